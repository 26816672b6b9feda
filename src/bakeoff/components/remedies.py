"""The remedies of `[training]`: the tasks that can use them, and what they cannot be used with."""

from collections.abc import Collection
from dataclasses import dataclass

from bakeoff.components.optimizers import find_optimizer
from bakeoff.records import Task
from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class RemedySpec:
    """One remedy for class imbalance, overfitting or noisy weights."""

    name: str
    """Its key in `[training]`."""
    source: str
    off: float | str = 0.0
    """The value that switches it off."""
    tasks: tuple[Task, ...] = ("classification",)
    reason: str = ""
    """The reason why other tasks cannot use it."""


def find_task_conflict(name: str, task: Task) -> str | None:
    """The reason why a task cannot use this remedy; None if it can."""
    if name not in REMEDIES or task in REMEDIES[name].tasks:
        return None
    return f"cannot be used in {task}: {REMEDIES[name].reason}"


def find_clash(used: Collection[str], optimizers: Collection[str]) -> tuple[str, str] | None:
    """The first remedy in use that cannot be used with the others, and the reason; None if all can.

    Args:
        used: Keys of `[training]` that are not switched off.
        optimizers: The optimizers that train with them.

    Raises:
        UsageError: An optimizer is unknown.
    """
    if {"sampling", "class_weights"} <= {*used}:
        return "sampling", "class_weights already correct the same imbalance; leave one out"
    averaging = [name for name in optimizers if find_optimizer(name).averages]
    if "ema_decay" in used and averaging:
        return (
            "ema_decay",
            f"optimizer {averaging[0]!r} already averages the weights; leave one out",
        )
    return None


def is_used(name: str, value: object) -> bool:
    """Whether a value of this key, or a range, switches the remedy on."""
    return value != REMEDIES[name].off


REMEDIES: Registry[RemedySpec] = Registry(
    "remedy",
    (
        RemedySpec(
            name="label_smoothing",
            tasks=("classification", "segmentation", "language"),
            reason="only a probability can be smoothed",
            source="Szegedy et al. 2016, arXiv:1512.00567, section 7",
        ),
        RemedySpec(
            name="class_weights",
            off="none",
            tasks=("classification", "multilabel", "segmentation"),
            reason="it weighs classes",
            source="King and Zeng 2001; scikit-learn, compute_class_weight('balanced')",
        ),
        RemedySpec(
            name="sampling",
            off="shuffled",
            reason="'weighted' draws by the class of a sample",
            source="Kang et al. 2020, arXiv:1910.09217: class-balanced sampling",
        ),
        RemedySpec(
            name="focal_gamma",
            reason="the focal loss is one of samples with a class each",
            source="Lin et al. 2017, arXiv:1708.02002, equation 4",
        ),
        RemedySpec(
            name="mixup_alpha",
            reason="it mixes the classes of samples",
            source="Zhang et al. 2018, arXiv:1710.09412",
        ),
        RemedySpec(
            name="cutmix_alpha",
            reason="it mixes the classes of samples",
            source="Yun et al. 2019, arXiv:1905.04899",
        ),
        RemedySpec(
            name="ema_decay",
            tasks=("classification", "multilabel", "segmentation", "regression", "language"),
            source="Tarvainen and Valpola 2017, arXiv:1703.01780",
        ),
    ),
)
