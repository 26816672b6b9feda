"""Keeps the gradients of images channels last where the weights are.

A layer that flattens or averages the places of an image hands back a gradient whose channels come
first, and the layers below it compute on it, or copy it at every step. A network of two
convolutions that ends in `nn.AdaptiveAvgPool2d` takes a fifth more time so. Which layers get such a
gradient shows in the first backward pass. From then on only their outputs are watched.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

IMAGES_NDIM = 4
"""[N, C, H, W]"""


class GradientLayout:
    """Stores the gradient of an output channels last if the output itself is stored so.

    Args:
        model: The model, whose layers get hooks. The values of gradients do not change.
    """

    def __init__(self, model: nn.Module) -> None:
        self._lost = set[nn.Module]()
        """Layers that got a gradient with channels first."""
        self._seen = set[nn.Module]()
        """Layers that got a gradient."""
        self._hooks: dict[nn.Module, RemovableHandle] = {}
        for layer in model.modules():
            if not any(layer.children()) and not isinstance(layer, torch.jit.ScriptModule):
                self._hooks[layer] = layer.register_forward_hook(self._watch)

    def _watch(self, layer: nn.Module, _inputs: Any, output: Any) -> None:
        if torch.compiler.is_compiling():
            return  # a compiler chooses layouts of its own
        if layer in self._seen and layer not in self._lost:
            self._hooks.pop(layer).remove()
        elif _is_image_batch(output) and output.requires_grad:
            output.register_hook(partial(self._see, layer))

    def _see(self, layer: nn.Module, gradient: Tensor) -> Tensor:
        self._seen.add(layer)
        if gradient.is_contiguous(memory_format=torch.channels_last):
            return gradient
        self._lost.add(layer)
        return gradient.contiguous(memory_format=torch.channels_last)


def _is_image_batch(output: Any) -> bool:
    """Whether this is a tensor of images that is stored channels last and in no other way."""
    return (
        isinstance(output, Tensor)
        and output.ndim == IMAGES_NDIM
        and not output.is_contiguous()
        and output.is_contiguous(memory_format=torch.channels_last)
    )
