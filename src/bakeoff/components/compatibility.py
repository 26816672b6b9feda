"""Which optimizers train with which schedules, and which models take which data.

Precision does not matter here: weights, gradients and optimizer state are fp32 in every precision,
and only the forward and backward passes use a lower one. The tests train every allowed pair in
every precision. A study file with another pair is refused before anything runs.
"""

from bakeoff.components.models import MODELS, find_model
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.data.inputs import InputKind, describe_kinds
from bakeoff.records import Task


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
    """The reason why these two cannot train together; None if they can.

    Raises:
        UsageError: The optimizer is unknown.
    """
    allowed = allowed_schedulers(optimizer)
    is_own = scheduler not in SCHEDULERS
    if scheduler in allowed or (is_own and len(allowed) == len(SCHEDULERS)):
        return None
    return (
        f"optimizer {optimizer!r} cannot train with scheduler {scheduler!r}: it averages its"
        f" weights instead of using a schedule; allowed: {', '.join(allowed)}"
    )


def find_model_conflict(model: str, inputs: InputKind | None) -> str | None:
    """The reason why a model cannot take samples of a kind; None if it can, or the kind is unknown.

    Raises:
        UsageError: The model is unknown.
    """
    takes = find_model(model).inputs
    if inputs is None or inputs in takes:
        return None
    return (
        f"model {model!r} cannot take {describe_kinds([inputs])}; it takes {describe_kinds(takes)}"
    )


def find_output_conflict(model: str, task: Task) -> str | None:
    """The reason why a model's outputs do not suit a task; None if they do, or are not known.

    Raises:
        UsageError: The model is unknown.
    """
    outputs = find_model(model).outputs
    needed = "pixels" if task == "segmentation" else "samples"
    if outputs in (None, needed):
        return None
    fit = [spec.name for spec in MODELS if spec.outputs == needed]
    what = {"pixels": "each pixel", "samples": "each sample or token"}
    return (
        f"model {model!r} predicts for {what[outputs]}, and task = {task!r} needs outputs for"
        f" {what[needed]}; allowed: {', '.join(fit)}, or your own as package.module:function"
    )
