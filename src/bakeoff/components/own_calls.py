"""What the user's own parts are called with and must give, in one table for messages and guide.

N is the number of samples, C of classes, K of labels, L of tokens in a sample, V of tokens in the
vocabulary, T of targets, P of the pixels that are not ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bakeoff.records import Task


@dataclass(frozen=True, kw_only=True)
class OwnCall:
    """One kind of part that a study file can name as `package.module:name`."""

    key: str
    """The key of the study file."""
    accepts: str
    """What the reference may lead to."""
    called_with: str
    """How it is called, as messages say after "expected a call with"."""
    gives: str
    """What it must return, as messages say after "expected"."""


LOSS_CALLS: Mapping[Task, str] = {
    "classification": "(outputs [N, C], labels [N])",
    "multilabel": "(outputs [N, K], labels [N, K])",
    "segmentation": "(outputs [N, C, H, W], masks [N, H, W] with 255 where a pixel is ignored)",
    "regression": "(predictions [N], standardised targets [N]; of T targets both [N, T])",
    "language": "(outputs [N * L, V], next tokens [N * L])",
}
"""What the loss of each task is called with."""

LOSS = OwnCall(
    key="training.loss",
    accepts="a function, a module, or a module's class",
    called_with=", ".join(f"{call} in {task}" for task, call in LOSS_CALLS.items()),
    gives="one number, the mean over the batch",
)
OPTIMIZER = OwnCall(
    key="search.optimizers",
    accepts="a class of torch.optim.Optimizer, or a function that returns one",
    called_with="(parameter groups, lr=..., and what [space] lists)",
    gives="a torch.optim.Optimizer whose groups have a learning rate lr",
)
SCHEDULER = OwnCall(
    key="search.schedulers",
    accepts="a function",
    called_with="(progress from 0 to 1, and what [space] lists)",
    gives="a finite factor of at least 0",
)
METRIC_CALLS: Mapping[Task, str] = {
    "classification": "(outputs [N, C], labels [N])",
    "multilabel": "(outputs [N, K], labels [N, K])",
    "segmentation": "(outputs [P, C], classes [P])",
    "regression": "(predictions [N], targets [N]; of T targets both [N, T])",
    "language": "(outputs [N * L, V], next tokens [N * L])",
}
"""What a metric of each task is called with; in regression both are in units of the target."""

METRIC = OwnCall(
    key="study.objective, training.metrics",
    accepts="a function, a class with update and compute as torchmetrics has, or a function that"
    " returns either of them",
    called_with=", ".join(f"{call} in {task}" for task, call in METRIC_CALLS.items())
    + "; a function with all samples (not in segmentation and language), update with each batch; a"
    " class gets num_classes=C, or num_labels=K in multilabel, where it takes it",
    gives="one number within the bounds that [metrics] names",
)
AUGMENTATION = OwnCall(
    key="data.augment",
    accepts="a function, a transform of torchvision.transforms.v2, its class, or a function without"
    " arguments that returns either of them",
    called_with="(images [N, C, H, W], generator), or a transform with one image [C, H, W]",
    gives="images of the same shape and type",
)
CALLBACK = OwnCall(
    key="tracking.callback",
    accepts="a function",
    called_with="(event), a dictionary",
    gives="nothing",
)
OWN_CALLS: tuple[OwnCall, ...] = (LOSS, OPTIMIZER, SCHEDULER, METRIC, AUGMENTATION, CALLBACK)
"""All of them, in the order of the guide."""
