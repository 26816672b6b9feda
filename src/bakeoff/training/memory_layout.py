"""Stores the weights of image models channels last, where the model allows it.

Convolutions are faster so, also on CPUs. The registered models and those of packages are known to
allow it; any other model is tried.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

IMAGE_NDIM = 3
"""(C, H, W)"""
WEIGHTS_NDIM = 4
"""Of a two-dimensional convolution: outputs, inputs, height, width."""
NUM_TRIED = 2
"""Samples on which both layouts are compared."""
TOLERANCE = 1e-3
"""Greatest difference of outputs and gradients, as a share of the largest of them."""


def store_channels_last(model: nn.Module, input_shape: Sequence[int]) -> bool:
    """Store the weights of a model channels last if its outputs and gradients stay the same.

    A model without two-dimensional convolutions, one that does not run so (`view` needs contiguous
    memory) and one that computes something else so are left as they are. The global random
    generators of torch are as before.

    Args:
        model: The model, on its device.
        input_shape: Shape of a sample; only images [C, H, W] have channels.

    Returns:
        Whether the weights are stored channels last now.
    """
    has_convolutions = any(isinstance(one, nn.Conv2d) for one in model.modules())
    if len(input_shape) != IMAGE_NDIM or not has_convolutions:
        return False
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        if not _computes_the_same(model, torch.randn(NUM_TRIED, *input_shape, device=device)):
            return False
    model.to(memory_format=torch.channels_last)
    return True


def _computes_the_same(model: nn.Module, images: Tensor) -> bool:
    """Whether a copy of the model that is stored channels last trains and computes the same."""
    try:
        plain = deepcopy(model)
        changed = deepcopy(model).to(memory_format=torch.channels_last)
        changed.train()
        changed(images).sum().backward()  # training may take another path than evaluation
        changed.load_state_dict(model.state_dict())
        expected, found = _evaluate(plain, images), _evaluate(changed, images)
    except Exception:  # noqa: BLE001 - the user's model may raise anything; it is left as it is
        return False
    return all(map(_is_close, expected, found))


def _evaluate(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Outputs of a model, and the gradients of their squares."""
    model.eval()
    outputs = model(images)
    trained = [one for one in model.parameters() if one.requires_grad]
    gradients = torch.autograd.grad(outputs.square().mean(), trained, allow_unused=True)
    return [outputs.detach(), *(one for one in gradients if one is not None)]


def _is_close(expected: Tensor, found: Tensor) -> bool:
    if not expected.numel():
        return True
    difference = (expected - found).abs().max()
    return bool(difference <= TOLERANCE * expected.abs().max().clamp_min(1e-12))


def is_channels_last(model: nn.Module) -> bool:
    """Whether weights of the model's convolutions are stored channels last."""
    # Not `layer.weight`: a spectral norm takes a step of its own whenever that is read.
    return any(
        one.ndim == WEIGHTS_NDIM
        and one.is_contiguous(memory_format=torch.channels_last)
        and not one.is_contiguous()
        for one in model.parameters()
    )
