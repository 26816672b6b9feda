"""An optimizer of the user's own: built by its reference, and tried before it trains anything."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bakeoff.components.own_calls import OPTIMIZER
from bakeoff.errors import UsageError
from bakeoff.registry import expecting
from bakeoff.training.averaging import switch_to_training
from bakeoff.training.own_state import copy_plain

SHAPES = ((4, 3), (4,))
"""Shapes of the weights with which it is tried: a matrix that decays, and a bias that does not."""


def build_own_optimizer(
    name: str, build: object, groups: Sequence[dict[str, Any]], **arguments: object
) -> torch.optim.Optimizer:
    """The optimizer that the user's class or function builds, after a step on small weights.

    Args:
        name: The reference.
        build: What it refers to.
        groups: Parameter groups; weight decay is part of each.
        **arguments: Everything else.

    Raises:
        UsageError: It cannot be called so, gives no optimizer with a learning rate, cannot step
            without arguments, or has state that cannot be saved.
    """
    decays = [float(group["weight_decay"]) for group in groups]
    tried = [
        {"params": [nn.Parameter(torch.ones(shape))], "weight_decay": decay}
        for shape, decay in zip(SHAPES, (max(decays), 0.0), strict=True)
    ]
    with torch.random.fork_rng(devices=[]):
        _try_step(name, _call(name, build, tried, arguments))
    return _call(name, build, groups, arguments)


def _call(
    name: str, build: object, groups: Sequence[dict[str, Any]], arguments: Mapping[str, Any]
) -> torch.optim.Optimizer:
    where = f"optimizer {name!r}"
    if not callable(build):
        raise UsageError(f"{where}: is {type(build).__name__}, not {OPTIMIZER.accepts}")
    given = ", ".join(["groups", *(f"{key}={value!r}" for key, value in arguments.items())])
    expected = f"{where}: expected a call with {OPTIMIZER.called_with}, here ({given})"
    with expecting(expected, build):
        optimizer = build([*groups], **arguments)
    if not isinstance(optimizer, torch.optim.Optimizer):
        found = type(optimizer).__name__
        raise UsageError(f"{where}: expected {OPTIMIZER.gives}, found {found}")
    if not all("lr" in group for group in optimizer.param_groups):
        found = f"groups with {', '.join(sorted(optimizer.param_groups[0].keys() - {'params'}))}"
        raise UsageError(f"{where}: expected {OPTIMIZER.gives}, found {found}")
    return optimizer


def _try_step(name: str, optimizer: torch.optim.Optimizer) -> None:
    """Make a step, and save and load the state that it leaves."""
    where = f"optimizer {name!r}"
    switch_to_training(optimizer)
    for group in optimizer.param_groups:
        for weights in group["params"]:
            weights.grad = torch.ones_like(weights)
    with expecting(f"{where}: expected a step without arguments", optimizer.step):
        optimizer.step()
    try:
        copy_plain(optimizer.state_dict(), "state_dict()")
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
