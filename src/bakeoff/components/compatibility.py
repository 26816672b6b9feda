"""What can train together: optimizers and schedules, models and data.

Precision excludes no pair: weights, gradients and optimizer state are fp32 in every precision, only
the forward and backward passes are lower. The tests train every pair that is allowed in each of
them; a study file that asks for another pair is refused before anything runs.
"""

from bakeoff.components.models import find_model
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.data.inputs import InputKind, describe_kinds


def allowed_schedulers(optimizer: str) -> tuple[str, ...]:
    """The schedules that `optimizer` can train with, in the order of their table.

    An optimizer that averages its weights allows only schedules that keep the learning rate after
    warm-up. The average weighs every step by the largest rate so far, so steps at a lowered rate
    would count as full ones, and a changing momentum would separate the average from its weights.

    Source: Defazio et al. 2024, https://arxiv.org/abs/2405.15682, as in the package schedulefree

    Raises:
        UsageError: The optimizer is unknown.
    """
    averages = find_optimizer(optimizer).averages
    return tuple(spec.name for spec in SCHEDULERS if not (averages and spec.lowers_rate))


def find_conflict(optimizer: str, scheduler: str) -> str | None:
    """Why these two cannot train together; None if they can.

    Raises:
        UsageError: The optimizer is unknown.
    """
    allowed = allowed_schedulers(optimizer)
    if scheduler in allowed:
        return None
    return (
        f"optimizer {optimizer!r} cannot train with scheduler {scheduler!r}: the average it keeps"
        f" of its weights takes the place of a schedule; allowed: {', '.join(allowed)}"
    )


def find_model_conflict(model: str, inputs: InputKind | None) -> str | None:
    """Why a model cannot take samples of a kind; None if it can, or if the kind is not known yet.

    Raises:
        UsageError: The model is unknown.
    """
    takes = find_model(model).inputs
    if inputs is None or inputs in takes:
        return None
    return (
        f"model {model!r} cannot take {describe_kinds([inputs])}; it takes {describe_kinds(takes)}"
    )
