"""Keeps the gradients of images channels last where the weights are.

What flattens an image or averages its places hands back a gradient whose channels come first, and
the layers below it compute on it, or copy it at every step. A network of two convolutions that ends
in `nn.AdaptiveAvgPool2d` takes a fifth more time so.
"""

from typing import Any

import torch
from torch import Tensor, nn

LAYERS = (nn.MaxPool2d, nn.AvgPool2d, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU)
"""Layers whose outputs are watched: those that usually come before what flattens the image."""
IMAGES_NDIM = 4
"""[N, C, H, W]"""


def keep_gradients_channels_last(model: nn.Module) -> None:
    """Let layers of images get gradients that are stored channels last, as their outputs are.

    The layers get hooks that remember nothing, so a run that is resumed computes the same bits.
    What a compiler or `torch.jit.script` has made of a model is left alone.
    """
    for layer in model.modules():
        if isinstance(layer, LAYERS):
            layer.register_forward_hook(_watch)


def _watch(_layer: nn.Module, _inputs: Any, output: Any) -> None:
    if torch.compiler.is_compiling() or not isinstance(output, Tensor) or not output.requires_grad:
        return
    if output.ndim == IMAGES_NDIM and not output.is_contiguous() and _is_channels_last(output):
        output.register_hook(_store_channels_last)  # type: ignore[no-untyped-call]


def _store_channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def _is_channels_last(values: Tensor) -> bool:
    return values.is_contiguous(memory_format=torch.channels_last)
