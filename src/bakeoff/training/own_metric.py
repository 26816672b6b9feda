"""A metric of the user's own: a function of all predictions, or an object that collects batches.

The outputs of text and pixels are not kept, so their metrics must be objects that collect batches.

Shapes: N samples, C classes, L tokens in a sample, V tokens in the vocabulary, P pixels that are
not ignored. In regression outputs and targets are in units of the target.
"""

import copy
import inspect
from collections.abc import Callable, Mapping
from math import inf, nan
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.components.own_calls import METRIC, METRIC_CALLS
from bakeoff.data.targets import TargetScale
from bakeoff.errors import UsageError
from bakeoff.records import MetricInfo, Task
from bakeoff.registry import expecting, resolve, users_code
from bakeoff.training.pixel_predictions import PixelPredictions
from bakeoff.training.predictions import (
    Predictions,
    SamplePredictions,
    TokenPredictions,
    no_predictions,
    of_targets,
)

NUM_TRIED, MOST_TRIED = 8, 256
"""Samples with which a metric is tried: one of each class, within these bounds."""
NUM_CLASSES: Mapping[Task, str] = {
    "classification": "num_classes", "multilabel": "num_labels", "segmentation": "num_classes",
    "language": "num_classes",
}  # fmt: skip
"""The arguments by which metrics of torchmetrics take the number of classes or labels."""
MAX_BYTES = 1 << 30
"""Bytes of outputs up to which a function is called with all samples at once."""
CountedPredictions = TokenPredictions | PixelPredictions
"""Predictions that are not kept."""
COUNTED = ("segmentation", "language")
"""Their tasks."""
UNBOUNDED = MetricInfo(name="", direction="maximize", low=-inf, high=inf)


class OwnMetric:
    """A metric of the user's, called with the predictions of a split as a registered one is.

    Args:
        where: Names the metric in messages.
        compute: The function, or the object with `update` and `compute`.
        info: The bounds of its values.
        scale: Turns standardised predictions and targets into units of the target.
    """

    def __init__(
        self, where: str, compute: Any, info: MetricInfo, scale: TargetScale | None
    ) -> None:
        self.where = where
        self.compute = compute
        self.info = info
        self.scale = scale
        self._followed: tuple[CountedPredictions, _Follower] | None = None

    def follow(self, found: Predictions) -> None:
        """Collect the batches that are added to `found` from now on, if it does not keep them."""
        if isinstance(found, CountedPredictions):
            follower = _Follower(self._new_collector)
            found.follow(follower.update)
            self._followed = found, follower

    def __call__(self, found: Predictions) -> Tensor:
        """The value as float64; NaN where an output is not finite.

        Raises:
            UsageError: It is no number within its bounds, or the outputs are too many at once.
        """
        if isinstance(found, CountedPredictions):
            return self._of_followed(found)
        if not found.outputs.isfinite().all():
            return torch.tensor(nan, dtype=torch.float64, device=found.outputs.device)
        with users_code(), torch.no_grad():
            value = self._compute(found)
        return self._checked(value).to(found.outputs.device)

    def _compute(self, found: SamplePredictions) -> object:
        if not is_collecting(self.compute):
            num_bytes = found.outputs.nbytes
            if num_bytes > MAX_BYTES:
                raise UsageError(
                    f"{self.where}: a function is called with all outputs at once, expected at most"
                    f" {MAX_BYTES:,} bytes of them, found {num_bytes:,}; give a class with update"
                    " and compute"
                )
            given = self._in_units(found.outputs, found.labels)
            return self._unchanged(self.compute, given)
        metric = self._new_collector(found.outputs.device)
        for outputs, labels in found.batches():
            self._unchanged(metric.update, self._in_units(outputs, labels))
        return metric.compute()

    def _unchanged(self, call: Callable[..., object], given: tuple[Tensor, Tensor]) -> object:
        """What a call returns that must leave its tensors alone, which other metrics read too.

        Raises:
            UsageError: It has changed one of them in place.
        """
        # that of an inference tensor is not counted, and all outputs are made in the same mode
        before = [one._version for one in given if not one.is_inference()]  # noqa: SLF001
        returned = call(*given)
        if before != [one._version for one in given if not one.is_inference()]:  # noqa: SLF001
            raise UsageError(
                f"{self.where}: changes the outputs or labels in place, which other metrics read"
                " too; work on a copy of them (outputs.clone())"
            )
        return returned

    def _new_collector(self, device: torch.device) -> Any:
        """A copy of the user's object that has seen nothing."""
        metric = copy.deepcopy(self.compute)
        return metric.to(device) if isinstance(metric, nn.Module) else metric

    def _of_followed(self, found: CountedPredictions) -> Tensor:
        if self._followed is None or self._followed[0] is not found:
            raise ValueError("the metric did not follow these predictions")
        follower = self._followed[1]
        with users_code(), torch.no_grad():
            value = follower.metric.compute() if follower.is_finite else nan
        return self._checked(value).to(follower.device)

    def _in_units(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if self.scale is None:
            return outputs, labels
        deviation, mean = (
            one if isinstance(one, float) else outputs.new_tensor(one)
            for one in (self.scale.deviation, self.scale.mean)
        )
        return tuple(  # type: ignore[return-value]
            one * deviation + mean for one in (of_targets(outputs, labels), labels)
        )

    def _checked(self, value: object) -> Tensor:
        try:
            number = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise self._wrong(type(value).__name__) from None
        if number.ndim:
            raise self._wrong(str(list(number.shape)))
        plain = float(number)
        if not self.info.allows(plain):
            raise self._wrong(f"{plain:.6g}, outside {self.info.low:g} to {self.info.high:g}")
        return number

    def _wrong(self, found: str) -> UsageError:
        return UsageError(f"{self.where}: expected {METRIC.gives}, found {found}")


class _Follower:
    """Feeds batches of text or pixels to a collector; it stops at an output that is not finite."""

    def __init__(self, build: Callable[[torch.device], Any]) -> None:
        self._build = build
        self.metric: Any = None
        self.is_finite = True
        self.device = torch.device("cpu")

    def update(self, logits: Tensor, tokens: Tensor) -> None:
        """One batch: logits [N * L, V] and tokens [N * L], or [P, C] and classes [P]."""
        if self.metric is None:
            self.device = logits.device
            self.metric = self._build(self.device)
        self.is_finite = self.is_finite and bool(logits.isfinite().all())
        if self.is_finite:
            with users_code():
                self.metric.update(logits, tokens)


def build_own_metric(
    reference: str,
    task: Task,
    num_outputs: int,
    scale: TargetScale | None = None,
    info: MetricInfo = UNBOUNDED,
) -> OwnMetric:
    """The metric that `package.module:name` refers to, tried on random outputs.

    Args:
        reference: The metric.
        task: What the labels are.
        num_outputs: Classes, labels, tokens of the vocabulary, or targets in regression.
        scale: Mean and deviation of the targets in regression.
        info: The bounds of its values.

    Raises:
        UsageError: It cannot be imported or called so, or gives no number within its bounds.
    """
    where = f"metric {reference!r}"
    found = resolve(reference)
    expected = f"{where}: expected {METRIC.accepts}, called with {METRIC_CALLS[task]}"
    argument = NUM_CLASSES.get(task)
    given = {argument: num_outputs} if argument and _takes(found, argument) else {}
    with expecting(expected, found):
        compute = found(**given) if _is_factory(found) else found  # type: ignore[operator]
    if not is_collecting(compute) and (task in COUNTED or not callable(compute)):
        kind = "a function" if callable(compute) else type(compute).__name__
        raise UsageError(f"{expected}; in {task} with update and compute, found {kind}")
    metric = OwnMetric(where, compute, info, scale)
    _try(metric, expected, task, num_outputs)
    return metric


def is_collecting(metric: object) -> bool:
    """Whether it has the methods of torchmetrics, which see batch after batch."""
    return callable(getattr(metric, "update", None)) and callable(getattr(metric, "compute", None))


def _is_factory(found: object) -> bool:
    """Whether it has to be called for the metric: a class, or a function of no two arguments."""
    if isinstance(found, type):
        return True
    if is_collecting(found) or not callable(found):
        return False
    try:
        inspect.signature(found).bind(None, None)
    except (TypeError, ValueError):
        return True
    return False


def _takes(found: object, argument: str) -> bool:
    try:
        return argument in inspect.signature(found).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _try(metric: OwnMetric, expected: str, task: Task, num_outputs: int) -> None:
    """Compute the metric once, with a sample of every class if there are not too many."""
    generator = torch.Generator().manual_seed(0)
    num_samples = min(max(NUM_TRIED, num_outputs), MOST_TRIED)
    predictions = no_predictions(task, nn.functional.mse_loss)
    outputs = torch.randn(num_samples, num_outputs, generator=generator)
    labels = torch.arange(num_samples) % num_outputs
    if task == "regression":
        shape = (num_samples, num_outputs) if num_outputs > 1 else (num_samples,)
        labels = torch.randn(shape, generator=generator)
    elif task == "multilabel":
        labels = (outputs > 0).long()
    elif task == "language":
        outputs, labels = outputs[None], labels[None]
    elif task == "segmentation":
        outputs, labels = outputs.T[None, ..., None], labels[None, :, None]
    called = metric.compute.update if is_collecting(metric.compute) else metric.compute
    with expecting(expected, called):
        metric.follow(predictions)
        predictions.add(outputs, labels)
        metric(predictions)
