"""Complex weights: which optimizers train them rightly.

To a gradient method a complex weight is a pair of real weights. torch's optimizers treat it so.
Other packages may not: a second moment of `grad * grad` instead of `grad * grad.conj()` is wrong,
and nothing fails. So a few steps on a small complex weight are compared with steps on its parts.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bakeoff.errors import describe_error
from bakeoff.training.averaging import switch_to_training

NUM_STEPS = 3
SHAPE = (3, 2)
SEED = 0
TOLERANCE, ROUNDING = 1e-2, 1e-6
"""The paths may differ by this share of their length, and by what rounding a weight near 1 does."""

Build = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
"""From parameter groups to an optimizer."""


def check_complex_steps(build: Build, weight_decay: float, marks_hidden: bool) -> None:
    """Make sure that an optimizer steps a complex weight as it steps the weight's two parts.

    Args:
        build: Makes the optimizer.
        weight_decay: That of the weight.
        marks_hidden: Whether its groups say which weights are hidden; these are not.

    Raises:
        ValueError: It does not, or it fails on complex weights.
    """
    marks = {"hidden": False} if marks_hidden else {}
    generator = torch.Generator().manual_seed(SEED)
    start, *gradients = torch.randn(1 + NUM_STEPS, *SHAPE, 2, generator=generator)
    paired = nn.Parameter(torch.view_as_complex(start.clone()))
    apart = nn.Parameter(start.clone())
    try:
        with torch.random.fork_rng(devices=[]):
            for weights in (paired, apart):
                torch.manual_seed(SEED)
                optimizer = build([{"params": [weights], "weight_decay": weight_decay, **marks}])
                switch_to_training(optimizer)
                for gradient in gradients:
                    is_pair = weights.is_complex()
                    weights.grad = torch.view_as_complex(gradient) if is_pair else gradient.clone()
                    optimizer.step()
    except Exception as error:  # a package's step may raise anything
        raise ValueError(f"it does not train complex weights: {describe_error(error)}") from error
    difference = (torch.view_as_real(paired.detach()) - apart.detach()).abs().max()
    length = (apart.detach() - start).abs().max()
    if not difference <= TOLERANCE * length + ROUNDING:
        raise ValueError(
            "it does not treat complex weights as pairs of real ones, so they would be trained"
            " wrongly"
        )
