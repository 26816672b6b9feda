"""Building models of torchvision and timm with fresh weights; imported only where one is built.

Nothing of bakeoff is imported here, as in `networks`.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

RGB = 3
WITH_HELPERS = ("googlenet", "inception_v3")
"""They have extra outputs while they train, which no other model has."""


def build_torchvision(
    architecture: str, input_shape: Sequence[int], num_outputs: int, **params: Any
) -> nn.Module:
    """A classifier of torchvision for images of any channels: [N, C, H, W] -> [N, num_outputs].

    The first convolution is made anew where the images are not of three channels; vision
    transformers are built for the size of the images.
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
    """A classifier of timm for images of any channels: [N, C, H, W] -> [N, num_outputs].

    Models that are made for one size of image are built for the size of these.
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
    """Let the first convolution that takes RGB take `channels`; its weights are drawn anew."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == RGB:
            parent, _, attribute = name.rpartition(".")
            fresh = nn.Conv2d(
                channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                stride=module.stride,  # type: ignore[arg-type]
                padding=module.padding,  # type: ignore[arg-type]
                dilation=module.dilation,  # type: ignore[arg-type]
                bias=module.bias is not None,
            )
            setattr(model.get_submodule(parent), attribute, fresh)
            return
