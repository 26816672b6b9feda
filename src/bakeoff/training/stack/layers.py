"""Layers that compute all members of a stack in one call.

Shapes: samples as they come [N, B, C, H, W], images [B, N * C, H, W] and vectors [N, B, F].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bakeoff.networks.plain import GlobalAverage
from bakeoff.training.stack.flat_weights import FlatWeights

SAMPLES, IMAGES, VECTORS = 5, 4, 3
"""Numbers of dimensions of the forms of values."""


class NotStackableError(Exception):
    """A model, loss or optimizer that a stack cannot train; the text says why."""


@dataclass(kw_only=True, eq=False)
class Rows:
    """What the layers of a stack share."""

    models: Sequence[nn.Module]
    """One for each row, from which a layer takes its buffers and dropout rates."""
    generators: Sequence[torch.Generator]
    weights: FlatWeights
    training: bool = True
    num_samples: int = 0
    """Samples of the batch without those that only fill it up."""

    def __len__(self) -> int:
        return len(self.models)


def as_images(values: Tensor) -> Tensor:
    """Samples as images [B, N * C, H, W], channels last; images stay as they are.

    Raises:
        NotStackableError: They are vectors.
    """
    if values.ndim == IMAGES:
        return values
    if values.ndim != SAMPLES:
        raise NotStackableError("has a layer of images after its vectors")
    num, batch, channels, height, width = values.shape
    grouped = values.permute(1, 0, 2, 3, 4).reshape(batch, num * channels, height, width)
    return grouped.contiguous(memory_format=torch.channels_last)


def as_vectors(values: Tensor) -> Tensor:
    """Vectors [N, B, F], which are left as they are.

    Raises:
        NotStackableError: They are images.
    """
    if values.ndim != VECTORS:
        raise NotStackableError("has a layer of vectors before its images are flattened")
    return values


def add(one: Tensor, other: Tensor) -> Tensor:
    """The sum of two values of the same form.

    Raises:
        NotStackableError: Their shapes differ.
    """
    if one.shape != other.shape:
        raise NotStackableError("adds values of different shapes")
    return one + other


class Layer:
    """A layer of all members.

    Args:
        name: Its name in the model.
        module: The first member's.
        rows: What the layers share.
    """

    mixes_samples = False
    """Whether what it computes of a sample depends on the other samples of the batch."""

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        self.name = name
        self.module: Any = module
        self.rows = rows
        self.buffers: dict[str, Tensor] = {}
        """The buffers of all members by their names in the model, each [N, *shape]."""

    def __call__(self, values: Tensor) -> Tensor:
        """The layer's output."""
        raise NotImplementedError

    @property
    def own_weights(self) -> list[str]:
        """The names of its weights in the module."""
        return [name for name, _ in self.module.named_parameters(recurse=False)]

    def weight(self, name: str) -> Tensor | None:
        """A weight of all members, [N, *shape]; None if the layer has none of this name."""
        return self.rows.weights.leaves.get(self.name_of(name))

    def name_of(self, name: str) -> str:
        """The name in the model of a weight of this layer."""
        return f"{self.name}.{name}" if self.name else name


class Pointwise(Layer):
    """Computes every number by itself."""

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        output: Tensor = self.module(values)
        return output


class Pool(Layer):
    """Summarises places of images."""

    def __call__(self, values: Tensor) -> Tensor:
        """Images with fewer places."""
        output: Tensor = self.module(as_images(values))
        return output


class _Product(torch.autograd.Function):
    """A matrix product for each member that writes its weights' gradients where they are kept.

    There every member's part begins at a multiple of 64 bytes. In a tensor of their own, the
    rounding of some products would depend on the member's row.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(values, weights)
        ctx.gradient = gradient
        return torch.bmm(values, weights.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, outputs: Tensor) -> tuple[Tensor | None, None, None]:
        values, weights = ctx.saved_tensors
        torch.bmm(outputs.transpose(1, 2), values, out=ctx.gradient)
        needed = torch.bmm(outputs, weights) if ctx.needs_input_grad[0] else None
        return needed, None, None


class Linear(Layer):
    """A product with each member's own matrix."""

    def __call__(self, values: Tensor) -> Tensor:
        """[N, B, I] -> [N, B, O]."""
        weights, bias = self.weight("weight"), self.weight("bias")
        assert weights is not None  # noqa: S101 - every linear layer has one
        gradient = self.rows.weights.gradient(self.name_of("weight"))
        products: Tensor = _Product.apply(as_vectors(values), weights, gradient)
        return products if bias is None else products + bias[:, None]


class Convolution(Layer):
    """A convolution whose channels are grouped by member."""

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        if self.module.padding_mode != "zeros":
            raise NotStackableError(f"pads with {self.module.padding_mode}")

    def __call__(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] -> [B, N * D, ...]."""
        weights, bias = self.weight("weight"), self.weight("bias")
        assert weights is not None  # noqa: S101 - every convolution has one
        one = self.module
        return functional.conv2d(
            as_images(values),
            weights.flatten(0, 1),
            None if bias is None else bias.flatten(),
            one.stride,
            one.padding,
            one.dilation,
            one.groups * len(self.rows),
        )


class BatchNorm(Layer):
    """Batch normalisation with each member's own statistics."""

    mixes_samples = True

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        if not self.module.track_running_stats or self.module.momentum is None:
            raise NotStackableError("has batch normalisation without decaying statistics")
        prefix = f"{name}." if name else ""
        for buffer, _ in self.module.named_buffers():
            held = [model.get_buffer(prefix + buffer) for model in rows.models]
            self.buffers[prefix + buffer] = torch.stack(held)
        self._mean, self._variance = (
            self.buffers[prefix + one].view(-1) for one in ("running_mean", "running_var")
        )
        self._num_batches = self.buffers[f"{prefix}num_batches_tracked"]

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        if isinstance(self.module, nn.BatchNorm2d):
            return self._normalise(as_images(values))
        num, batch, size = as_vectors(values).shape
        grouped = self._normalise(values.transpose(0, 1).reshape(batch, num * size))
        return grouped.view(batch, num, size).transpose(0, 1)

    def _normalise(self, values: Tensor) -> Tensor:
        weights, bias = self.weight("weight"), self.weight("bias")
        if self.rows.training:
            self._num_batches += 1
        return functional.batch_norm(
            values,
            self._mean,
            self._variance,
            None if weights is None else weights.flatten(),
            None if bias is None else bias.flatten(),
            self.rows.training,
            self.module.momentum,
            self.module.eps,
        )


class LayerNorm(Layer):
    """Layer normalisation of vectors."""

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        shape = self.module.normalized_shape
        if tuple(shape) != tuple(as_vectors(values).shape[2:]):
            raise NotStackableError("normalises something else than vectors")
        normalised = functional.layer_norm(values, shape, eps=self.module.eps)
        weights, bias = self.weight("weight"), self.weight("bias")
        normalised = normalised if weights is None else normalised * weights[:, None]
        return normalised if bias is None else normalised + bias[:, None]


class Dropout(Layer):
    """Dropout at each member's own rate, drawn from its own generator as torch draws it."""

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        rates = [float(model.get_submodule(name).p) for model in rows.models]  # type: ignore[arg-type]
        self._kept = [1 - rate for rate in rates]
        weights = rows.weights.values
        self._scale = weights.new_tensor([one or 1.0 for one in self._kept])[:, None, None]

    def __call__(self, values: Tensor) -> Tensor:
        """[N, B, F] -> [N, B, F]."""
        if not self.rows.training:
            return values
        mask = torch.ones_like(as_vectors(values), memory_format=torch.contiguous_format)
        drawn = mask[:, : self.rows.num_samples]
        for row, kept, generator in zip(drawn, self._kept, self.rows.generators, strict=True):
            row.bernoulli_(kept, generator=generator)
        return values * mask.div_(self._scale)


def flatten(values: Tensor, num_rows: int) -> Tensor:
    """Values of any form as vectors [N, B, F], in the order in which torch flattens a sample."""
    if values.ndim == SAMPLES:
        return values.flatten(2)
    if values.ndim == IMAGES:
        return values.reshape(len(values), num_rows, -1).transpose(0, 1)
    return values


class Flatten(Layer):
    """Makes vectors of samples and images."""

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        if (self.module.start_dim, self.module.end_dim) != (1, -1):
            raise NotStackableError("flattens some dimensions only")

    def __call__(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] or [N, B, C, H, W] -> [N, B, C * H * W]."""
        return flatten(values, len(self.rows))


POINTWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh,
    nn.Sigmoid, nn.Hardswish, nn.Hardtanh, nn.Softplus,
)  # fmt: skip
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, GlobalAverage)

LAYERS: Mapping[type[nn.Module], type[Layer]] = {
    **dict.fromkeys(POINTWISE, Pointwise),
    **dict.fromkeys(POOLS, Pool),
    nn.Linear: Linear,
    nn.Conv2d: Convolution,
    nn.BatchNorm1d: BatchNorm,
    nn.BatchNorm2d: BatchNorm,
    nn.LayerNorm: LayerNorm,
    nn.Dropout: Dropout,
    nn.Flatten: Flatten,
}
"""The stacked layer of every kind of module that can be stacked."""
