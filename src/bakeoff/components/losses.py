"""The losses that a study can train with: those of each task, or a function of the user's own."""

from collections.abc import Collection, Mapping

from bakeoff.errors import UsageError, describe_unknown
from bakeoff.records import Task
from bakeoff.registry import is_reference

LOSSES: Mapping[Task, tuple[str, ...]] = {
    "classification": ("cross_entropy",),
    "multilabel": ("bce",),
    "segmentation": ("cross_entropy",),
    "regression": ("mse", "l1", "huber"),
    "language": ("cross_entropy",),
}
"""The losses of each task, its default first."""
NOT_HONOURED = ("label_smoothing", "focal_gamma")
"""Remedies that are part of the registered losses of classes."""


def check_loss(name: str, task: Task) -> None:
    """Make sure that a task can train with this loss; of the user's own only the form is checked.

    Raises:
        UsageError: It cannot; the message says what is allowed.
    """
    losses = LOSSES[task]
    if name in losses or is_reference(name):
        return
    known = tuple(one for some in LOSSES.values() for one in some)
    own = "or your own as package.module:name"
    if name in known:
        raise UsageError(f"the task is {task}; allowed: {', '.join(losses)}, {own}")
    raise UsageError(f"{describe_unknown('loss', name, losses)}, {own}")


def find_loss_clash(
    name: str, used: Collection[str], objectives: Collection[str], task: Task
) -> tuple[str, str] | None:
    """The first key that a loss of the user's own cannot go with, and the reason; None if none.

    Args:
        name: The loss.
        used: Keys of `[training]` that are not switched off.
        objectives: The study's objectives.
        task: What the labels are.
    """
    if not is_reference(name):
        return None
    for key in NOT_HONOURED:
        if key in used:
            return f"training.{key}", f"is part of cross_entropy, and training.loss is {name!r}"
    if task == "multilabel" and "class_weights" in used:
        return "training.class_weights", f"is part of bce, and training.loss is {name!r}"
    if task == "regression" and "loss" in objectives:
        reason = f"is the training loss, and what {name!r} is without training is not known"
        return "study.objective = 'loss'", f"{reason}; compare by rmse, mae or r2"
    return None
