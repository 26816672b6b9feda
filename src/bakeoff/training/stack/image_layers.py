"""Layers of images for all members of a stack, whose channels are grouped by member.

Shapes: images [B, N * C, H, W] of N members, vectors [N, B, F].
"""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bakeoff.training.stack.layers import (
    Gradients,
    Layer,
    NotStackableError,
    Rows,
    as_images,
    as_vectors,
)


class Pool(Layer):
    """Summarises places of images."""

    def __call__(self, values: Tensor) -> Tensor:
        """Images with fewer places."""
        output: Tensor = self.module(as_images(values))
        return output


class MaxPool(Layer):
    """The greatest number of each window."""

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        one = self.module
        if one.return_indices:
            raise NotStackableError("has pooling that returns places")
        sides = (one.kernel_size, one.stride, one.padding, one.dilation)
        self._windows = (*map(_pair, sides), one.ceil_mode)

    def __call__(self, values: Tensor) -> Tensor:
        """Images with fewer places."""
        return torch.max_pool2d(as_images(values), *self._windows)

    def forward(self, values: Tensor) -> Tensor:
        """Images with fewer places."""
        images = as_images(values)
        output, places = torch.ops.aten.max_pool2d_with_indices(images, *self._windows)
        self._kept = (images, places)
        found: Tensor = output
        return found

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """The gradient of each window, at the place of its greatest number."""
        if not needed:
            return (None,)
        images, places = self._take_kept()
        find = torch.ops.aten.max_pool2d_with_indices_backward
        return (find(gradient, images, *self._windows, places),)


class GlobalMean(Layer):
    """The mean of every channel, as `bakeoff.networks.plain.GlobalAverage`."""

    def __call__(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] -> [B, N * C, 1, 1]."""
        output: Tensor = self.module(as_images(values))
        return output

    def forward(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] -> [B, N * C, 1, 1]."""
        self._shape = values.shape
        return self(values)

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """An equal share for each place."""
        if not needed:
            return (None,)
        shares = (gradient / prod(self._shape[2:])).expand(self._shape)
        return (shares.contiguous(memory_format=torch.channels_last),)


class Convolution(Layer):
    """A convolution whose channels are grouped by member."""

    def __init__(self, name: str, module: nn.Module, rows: Rows) -> None:
        super().__init__(name, module, rows)
        one = self.module
        if one.padding_mode != "zeros":
            raise NotStackableError(f"pads with {one.padding_mode}")
        self._settings = (one.stride, one.padding, one.dilation)
        self._groups = one.groups * len(rows)

    def __call__(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] -> [B, N * D, ...]."""
        weights, bias = self.weight("weight"), self.weight("bias")
        assert weights is not None  # noqa: S101 - every convolution has one
        bias = None if bias is None else bias.flatten()
        images = as_images(values)
        return functional.conv2d(images, weights.flatten(0, 1), bias, *self._settings, self._groups)

    def forward(self, values: Tensor) -> Tensor:
        """[B, N * C, H, W] -> [B, N * D, ...]."""
        if isinstance(self.module.padding, str):  # which its gradient does not take
            return super().forward(values)
        weights, bias = self.weight("weight"), self.weight("bias")
        assert weights is not None  # noqa: S101 - every convolution has one
        images, flat = as_images(values), weights.flatten(0, 1)
        self._kept = (images, flat)
        bias = None if bias is None else bias.flatten()
        return functional.conv2d(images, flat, bias, *self._settings, self._groups)

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """[B, N * D, ...] -> [B, N * C, H, W]."""
        if isinstance(self.module.padding, str):
            return super().backward(gradient, needed=needed)
        images, weights = self._take_kept()
        has_bias = self.module.bias is not None
        found = torch.ops.aten.convolution_backward(
            gradient,
            images,
            weights,
            [len(weights)] if has_bias else None,
            *self._settings,
            False,  # not transposed
            [0, 0],
            self._groups,
            [needed, True, has_bias],
        )
        for name, one in zip(("weight", "bias"), found[1 : 2 + has_bias], strict=False):
            place = self.gradient(name)
            place.copy_(one.view(place.shape))
        return (found[0],)


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
        # Accelerators have functions of their own for it, which autograd finds.
        self._is_on_cpu = self._mean.device.type == "cpu"

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        grouped = self._grouped(values)
        weights, bias = self._flat_weights()
        output = functional.batch_norm(
            grouped,
            self._mean,
            self._variance,
            weights,
            bias,
            self.rows.training,
            self.module.momentum,
            self.module.eps,
        )
        return self._as_given(output)

    def forward(self, values: Tensor) -> Tensor:
        """Values of the same form."""
        self._num_batches += 1
        if not self._is_on_cpu:
            return super().forward(values)
        grouped = self._grouped(values)
        weights, bias = self._flat_weights()
        output, mean, deviation = torch.native_batch_norm(
            grouped,
            weights,
            bias,
            self._mean,
            self._variance,
            True,  # training
            self.module.momentum,
            self.module.eps,
        )
        self._weights = weights
        self._kept = (grouped, mean, deviation)
        return self._as_given(output)

    def backward(self, gradient: Tensor, *, needed: bool) -> Gradients:
        """Values of the same form."""
        if not self._is_on_cpu:
            return super().backward(gradient, needed=needed)
        grouped, mean, deviation = self._take_kept()
        has_weights = self._weights is not None
        found: Any = torch.ops.aten.native_batch_norm_backward(
            self._grouped(gradient),
            grouped,
            self._weights,
            self._mean,
            self._variance,
            mean,
            deviation,
            True,  # training
            self.module.eps,
            [needed, has_weights, has_weights],
        )
        for name, one in zip(("weight", "bias"), found[1:] if has_weights else (), strict=False):
            place = self.gradient(name)
            place.copy_(one.view(place.shape))
        return (self._as_given(found[0]) if needed else None,)

    def _grouped(self, values: Tensor) -> Tensor:
        """Images, or vectors as [B, N * F]."""
        if isinstance(self.module, nn.BatchNorm2d):
            return as_images(values)
        _, batch, size = as_vectors(values).shape
        return values.transpose(0, 1).reshape(batch, len(self.rows) * size)

    def _as_given(self, grouped: Tensor) -> Tensor:
        """What `_grouped` made of values, as values again."""
        if isinstance(self.module, nn.BatchNorm2d):
            return grouped
        return grouped.view(len(grouped), len(self.rows), -1).transpose(0, 1)

    def _flat_weights(self) -> tuple[Tensor | None, Tensor | None]:
        weights, bias = self.weight("weight"), self.weight("bias")
        if weights is None or bias is None:
            return None, None
        return weights.flatten(), bias.flatten()


def _pair(setting: int | tuple[int, ...]) -> list[int]:
    return [setting, setting] if isinstance(setting, int) else [*setting]
