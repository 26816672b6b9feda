"""Builds models of torchvision and timm with fresh weights. It is imported only if one is built.

This module imports nothing of bakeoff; see `plain`.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

RGB = 3
WITH_HELPERS = ("googlenet", "inception_v3")
"""Models with extra outputs during training, which no other model has."""


def build_torchvision(
    architecture: str, input_shape: Sequence[int], num_outputs: int, **params: Any
) -> nn.Module:
    """Build a classifier of torchvision: [N, C, H, W] -> [N, num_outputs].

    If the images do not have three channels, the first convolution is replaced. Vision transformers
    are built for the size of the images.
    """
    from torchvision.models import get_model

    channels, height, width = input_shape
    if architecture.startswith("vit_") and height == width:
        params.setdefault("image_size", height)
    if architecture in WITH_HELPERS:
        params = {"aux_logits": False, "init_weights": True, **params}
    model: nn.Module = get_model(architecture, weights=None, num_classes=num_outputs, **params)
    if channels != RGB:
        _replace_first_convolution(model, channels)
    return model


def build_timm(
    architecture: str, input_shape: Sequence[int], num_outputs: int, **params: Any
) -> nn.Module:
    """Build a classifier of timm: [N, C, H, W] -> [N, num_outputs].

    Models that take only one size of image are built for the size of these images.
    """
    import timm

    channels, height, width = input_shape
    settings = timm.get_pretrained_cfg(architecture)
    if settings is not None and settings.fixed_input_size:
        params.setdefault("img_size", (height, width))
    model: nn.Module = timm.create_model(
        architecture, pretrained=False, in_chans=channels, num_classes=num_outputs, **params
    )
    return model


def _replace_first_convolution(model: nn.Module, channels: int) -> None:
    """Replace the first convolution that takes RGB by one for `channels`, with fresh weights."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == RGB:
            module.in_channels = channels
            module.weight = nn.Parameter(
                module.weight.new_empty(module.out_channels, channels, *module.kernel_size)
            )
            module.reset_parameters()
            return
