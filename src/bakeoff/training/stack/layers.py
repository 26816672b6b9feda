"""Layers that compute all members of a stack in one call: what they share, and those of vectors.

While a stack trains, a layer keeps what its gradient needs and computes that itself, by the
functions that autograd would call. In a small network autograd takes longer to record what was
calculated, and to find it again, than the calculations take. Layers without a gradient of their own
use autograd, each by itself.

Shapes: samples as they come [N, B, C, H, W], images [B, N * C, H, W] and vectors [N, B, F].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bakeoff.training.quick_dropout import draws_alike
from bakeoff.training.stack.flat_weights import ALIGNED_BYTES, FlatWeights

SAMPLES, IMAGES, VECTORS = 5, 4, 3
"""Numbers of dimensions of the forms of values."""
MAX_NARROW = 32
"""Outputs of a linear layer up to which a number of them that does not fill vectors of 16 makes a
product slow: 10 outputs take 2.3 times as long as the columns of a product than as its rows."""
VECTOR = 16

Gradients = Sequence[Tensor | None]
"""The gradient of each input of a layer; None stands for all if nothing before it has weights."""


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


class Calculation:
    """Something that is computed of one value, for all members.

    `forward` computes what a call computes and keeps what `backward` needs, once.

    Args:
        rows: What the layers share.
        call: What computes it; None in a class that defines how it is called.
    """

    mixes_samples = False
    """Whether what it computes of a sample depends on the other samples of the batch."""

    def __init__(self, rows: Rows, call: Callable[[Tensor], Tensor] | None = None) -> None:
        self.rows = rows
        self._call = call
        self._kept: tuple[Tensor, ...] = ()

    def __call__(self, values: Tensor) -> Tensor:
        """The output."""
        assert self._call is not None  # noqa: S101 - see above
        return self._call(values)

    @property
    def own_weights(self) -> Sequence[str]:
        """The names in the model of its weights."""
        return ()

    def forward(self, values: Tensor) -> Tensor:
        """The output in training."""
        with torch.inference_mode(mode=False), torch.enable_grad():
            given = values.clone().requires_grad_()  # it takes no tensors of inference mode
            output = self(given)
        self._kept = (given, output)
        return output.detach()

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """Write the gradients of its weights into their places; return those of its inputs.

        Args:
            gradient: Of the output of the last `forward`.
            needed: Whether something before it has weights.
        """
        given, output = self._take_kept()
        weights, names = self.rows.weights, self.own_weights
        inputs = [*([given] if needed else []), *(weights.leaves[one] for one in names)]
        if not inputs:
            return (None,)
        found = torch.autograd.grad(output, inputs, gradient, allow_unused=True)
        for name, one in zip(names, found[needed:], strict=True):
            if one is not None:
                weights.gradient(name).copy_(one)
        return found[:1] if needed else (None,)

    def _take_kept(self) -> tuple[Tensor, ...]:
        kept, self._kept = self._kept, ()
        return kept


class Layer(Calculation):
    """A layer of all members.

    Args:
        name: Its name in the model.
        module: The first member's.
        rows: What the layers share.
    """

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(rows)
        self.name = name
        self.module: Any = module
        self.buffers: dict[str, Tensor] = {}
        """The buffers of all members by their names in the model, each [N, *shape]."""
        self.own_names = [self.name_of(one) for one, _ in module.named_parameters(recurse=False)]

    @property
    def own_weights(self) -> Sequence[str]:
        """The names in the model of its weights."""
        return self.own_names

    def weight(self, name: str) -> Tensor | None:
        """A weight of all members, [N, *shape]; None if the layer has none of this name."""
        return self.rows.weights.leaves.get(self.name_of(name))

    def gradient(self, name: str) -> Tensor:
        """The place of a weight's gradients, [N, *shape]."""
        return self.rows.weights.gradient(self.name_of(name))

    def name_of(self, name: str) -> str:
        """The name in the model of a weight of this layer."""
        return f"{self.name}.{name}" if self.name else name


class Sum(Calculation):
    """Adds two values of the same form."""

    def __call__(self, one: Tensor, other: Tensor) -> Tensor:  # type: ignore[override]
        """Their sum.

        Raises:
            NotStackableError: Their shapes differ.
        """
        if one.shape != other.shape:
            raise NotStackableError("adds values of different shapes")
        return one + other

    forward = __call__  # type: ignore[assignment]

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """The same gradient for both."""
        return (gradient, gradient) if needed else (None, None)


class Relu(Calculation):
    """Replaces negative numbers by 0, in place after a calculation whose output only this reads."""

    overwrites = False

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        return torch.relu_(values) if self.overwrites else torch.relu(values)

    def forward(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        output = self(values)
        self._kept = (output,)
        return output

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """0 where the output is 0."""
        (output,) = self._take_kept()
        return (torch.ops.aten.threshold_backward(gradient, output, 0) if needed else None,)


class Pointwise(Layer):
    """Computes every number by itself."""

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        # What comes before it may need its output, and autograd leaves such inputs as they are.
        is_in_place = getattr(self.module, "inplace", False)
        output: Tensor = self.module(values.clone() if is_in_place else values)
        return output


class Linear(Layer):
    """A product with each member's own matrix.

    Gradients of the matrices are products too, and a product is much quicker where all members'
    results lie side by side. But every member's part has to begin at a multiple of 64 bytes, or
    rounding would depend on the member's row. So they are computed in a tensor of their own if
    their size is such a multiple, and else in their places, member by member.

    Several threads may share one member's product, if there are fewer members than threads. Where
    a share is not a whole number of vectors, rounding would depend on the number of members. So
    with several threads gradients are computed member by member, and no product has few rows.
    """

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        weights, bias = self.weight("weight"), self.weight("bias")
        assert weights is not None  # noqa: S101 - every linear layer has one
        outputs, has_one_thread = weights.shape[1], torch.get_num_threads() == 1
        self._is_narrow = has_one_thread and outputs < MAX_NARROW and outputs % VECTOR > 0
        self._weights = weights.detach()
        self._factor = self._weights if self._is_narrow else self._weights.transpose(1, 2)
        self._bias: Tensor | None = None
        if bias is not None:
            self._bias = bias.detach()[:, :, None] if self._is_narrow else bias.detach()[:, None]
            self._bias_place = self.gradient("bias")
        self._place = self.gradient("weight")
        size = weights[0].numel() * weights.element_size()
        is_whole = has_one_thread and size % ALIGNED_BYTES == 0
        self._products = torch.empty_like(self._weights) if is_whole else None

    def __call__(self, values: Tensor) -> Tensor:
        """[N, B, I] -> [N, B, O]."""
        one, other = as_vectors(values), self._factor
        if self._is_narrow:
            one, other = other, one.transpose(1, 2)
        if self._bias is None:
            products = torch.bmm(one, other)
        else:
            products = torch.baddbmm(self._bias, one, other)
        return products.transpose(1, 2) if self._is_narrow else products

    def forward(self, values: Tensor) -> Tensor:
        """[N, B, I] -> [N, B, O]."""
        self._kept = (values,)
        return self(values)

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """[N, B, O] -> [N, B, I]."""
        (values,) = self._take_kept()
        if self._products is None:
            torch.bmm(gradient.transpose(1, 2), values, out=self._place)
        else:
            torch.bmm(gradient.transpose(1, 2), values, out=self._products)
            self._place.copy_(self._products)
        if self._bias is not None:
            torch.sum(gradient, 1, out=self._bias_place)
        return (torch.bmm(gradient, self._weights) if needed else None,)


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
        self._rates = [float(one.get_submodule(name).p) for one in rows.models]  # type: ignore[arg-type]
        self._shares = [1 - rate for rate in self._rates]
        self._thresholds = torch.tensor(self._shares, dtype=torch.float64)[:, None, None]
        shares = [one or 1.0 for one in self._shares]
        self._scale = rows.weights.values.new_tensor(shares)[:, None, None]

    def __call__(self, values: Tensor) -> Tensor:
        """[N, B, F] -> [N, B, F]."""
        return values

    def forward(self, values: Tensor) -> Tensor:
        """[N, B, F] -> [N, B, F]."""
        mask = torch.ones_like(as_vectors(values), memory_format=torch.contiguous_format)
        self._draw(mask[:, : self.rows.num_samples])
        self._kept = (mask.div_(self._scale),)
        return values * mask

    def _draw(self, mask: Tensor) -> None:
        """Fill [N, B, F] with 0 and 1; like torch it draws nothing at rates of 0 and 1."""
        is_quick = mask.device.type == "cpu" and draws_alike()
        drawn = torch.empty_like(mask, dtype=torch.float64) if is_quick else mask
        for row, rate, generator in zip(drawn, self._rates, self.rows.generators, strict=True):
            if rate in (0, 1):
                row.fill_(rate if is_quick else 1 - rate)
            elif is_quick:
                row.uniform_(generator=generator)
            else:
                row.bernoulli_(1 - rate, generator=generator)
        if is_quick:
            torch.lt(
                drawn, torch.tensor(self._shares, dtype=torch.float64)[:, None, None], out=mask
            )

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """[N, B, F] -> [N, B, F]."""
        (mask,) = self._take_kept()
        return (gradient * mask if needed else None,)


class Flatten(Calculation):
    """Makes vectors of samples and images, in the order in which torch flattens a sample."""

    def __call__(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] or [N, B, C, H, W] -> [N, B, C * H * W]."""
        if values.ndim == SAMPLES:
            return values.flatten(2)
        if values.ndim == IMAGES:
            return values.reshape(len(values), len(self.rows), -1).transpose(0, 1)
        return values

    def forward(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] or [N, B, C, H, W] -> [N, B, C * H * W]."""
        self._shape = values.shape
        return self(values)

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """The gradient in the form of the input."""
        if not needed:
            return (None,)
        if len(self._shape) == IMAGES:
            gradient = gradient.transpose(0, 1)
        return (gradient.reshape(self._shape),)
