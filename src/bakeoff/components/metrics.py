"""The metrics of each task: what they mean, how they are computed, which epoch they score."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bakeoff.records import EpochResult, Loss, MetricInfo, ScoreRule, Task
from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """A model that knows nothing: fair guesses at classes and tokens, the mean of targets."""

    num_outputs: int
    """Classes, or tokens of the vocabulary; 1 in regression."""
    loss: Loss = "cross_entropy"
    """That the study trains with."""
    target_deviation: float = 1.0
    """Of the training targets, in regression."""
    mean_losses: Mapping[Loss, float] = field(default_factory=dict)
    """Losses on validation of predicting the training mean, in standardised units."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One metric of one task."""

    info: MetricInfo
    compute: str
    """Reference to a function of the task's predictions that gives a scalar tensor."""
    chance: Callable[[Untrained], float]
    """Score of an untrained model."""
    source: str
    min_outputs: int = 1
    """With fewer classes it says nothing."""

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.info.name


def find_metric(name: str, task: Task) -> MetricSpec:
    """The metric called `name` of a task.

    Raises:
        UsageError: The task has no such metric; the message offers the nearest one.
    """
    return METRICS[task][name]


def recorded_metrics(task: Task, num_outputs: int, objective: str) -> tuple[MetricSpec, ...]:
    """The metrics that are recorded of a run: all of its task, but for those that say nothing.

    The objective is always among them.
    """
    return tuple(
        spec for spec in METRICS[task] if num_outputs >= spec.min_outputs or spec.name == objective
    )


def chance_score(metric: str, task: Task, untrained: Untrained) -> float:
    """Score of a model that knows nothing; a run that diverged gets it.

    With C balanced classes or tokens it gives each the same probability and decides by a fair
    draw: accuracies are 1/C, the cross-entropy is ln C. (Its calibration error would be perfect, so
    that the worst one stands in for it.) In regression it predicts the mean of the
    training targets: R2 is 0, and the errors are how far the validation targets lie from it.

    Raises:
        UsageError: The task has no such metric.
    """
    return find_metric(metric, task).chance(untrained)


def scored_epoch(
    history: Sequence[EpochResult], objective: MetricInfo, rule: ScoreRule
) -> EpochResult | None:
    """The epoch whose value of `objective` is the run's score.

    `last_epoch` takes the last one, `best_epoch` the best, the first on ties. An epoch without a
    finite value is never scored; None if that leaves none.
    """
    candidates = history[-1:] if rule == "last_epoch" else history
    scored: EpochResult | None = None
    best = -math.inf
    for result in candidates:
        value = objective.sign * result.metrics.get(objective.name, math.nan)
        if math.isfinite(value) and value > best:
            scored, best = result, value
    return scored


def _share(
    name: str,
    title: str,
    source: str,
    *,
    chance: Callable[[Untrained], float],
    is_mean_over_samples: bool = False,
    min_outputs: int = 1,
) -> MetricSpec:
    """A metric between 0 and 1, higher being better."""
    return MetricSpec(
        info=MetricInfo(
            name=name,
            direction="maximize",
            low=0.0,
            high=1.0,
            title=title,
            is_mean_over_samples=is_mean_over_samples,
        ),
        compute=f"bakeoff.training.metric_functions:{name}",
        chance=chance,
        source=source,
        min_outputs=min_outputs,
    )


def _error(
    name: str,
    title: str,
    source: str,
    *,
    chance: Callable[[Untrained], float],
    unit: str = "",
    low: float = 0.0,
    high: float = math.inf,
) -> MetricSpec:
    """A metric of which less is better."""
    return MetricSpec(
        info=MetricInfo(
            name=name, direction="minimize", low=low, high=high, title=title, unit=unit
        ),
        compute=f"bakeoff.training.metric_functions:{name}",
        chance=chance,
        source=source,
    )


def _one_of_all(untrained: Untrained) -> float:
    return 1 / untrained.num_outputs


def _entropy(untrained: Untrained) -> float:
    return math.log(untrained.num_outputs)


_CLASSIFICATION: Registry[MetricSpec] = Registry(
    "classification metric",
    (
        _share(
            "accuracy",
            "Accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy, micro average",
            chance=_one_of_all,
            is_mean_over_samples=True,
        ),
        _share(
            "top5_accuracy",
            "Top-5 accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy, micro average, top_k=5",
            chance=lambda one: min(5, one.num_outputs) / one.num_outputs,
            is_mean_over_samples=True,
            min_outputs=6,
        ),
        _share(
            "balanced_accuracy",
            "Balanced accuracy",
            "sklearn.metrics.balanced_accuracy_score: mean recall of the classes present",
            chance=_one_of_all,
        ),
        _error(
            "loss",
            "Cross-entropy",
            "torch.nn.functional.cross_entropy, mean over samples, no label smoothing",
            unit="nats",
            chance=_entropy,
        ),
        _share(
            "macro_f1",
            "Macro F1",
            "torchmetrics.functional.classification.multiclass_f1_score, macro average",
            chance=_one_of_all,
        ),
        _share(
            "auroc",
            "AUROC",
            "torchmetrics.functional.classification.multiclass_auroc, one against the rest, macro",
            chance=lambda _: 0.5,
        ),
        _error(
            "calibration_error",
            "Expected calibration error",
            "torchmetrics.functional.classification.multiclass_calibration_error, 15 bins",
            high=1.0,
            # Guessing without knowing is perfectly calibrated; a run that diverged gets the worst.
            chance=lambda _: 1.0,
        ),
    ),
)

_REGRESSION: Registry[MetricSpec] = Registry(
    "regression metric",
    (
        _error(
            "rmse",
            "RMSE",
            "torchmetrics.functional.mean_squared_error, squared=False",
            unit="target units",
            chance=lambda one: one.target_deviation * math.sqrt(one.mean_losses["mse"]),
        ),
        _error(
            "mae",
            "MAE",
            "torchmetrics.functional.mean_absolute_error",
            unit="target units",
            chance=lambda one: one.target_deviation * one.mean_losses["l1"],
        ),
        MetricSpec(
            info=MetricInfo(name="r2", direction="maximize", low=-math.inf, high=1.0, title="R2"),
            compute="bakeoff.training.metric_functions:r2",
            chance=lambda _: 0.0,
            source="torchmetrics.functional.r2_score",
        ),
        _error(
            "loss",
            "Loss",
            "torch.nn.functional: mse_loss, l1_loss or huber_loss of standardised targets",
            unit="standardised targets",
            chance=lambda one: one.mean_losses[one.loss],
        ),
    ),
)

_LANGUAGE: Registry[MetricSpec] = Registry(
    "language metric",
    (
        _error(
            "loss",
            "Cross-entropy",
            "torch.nn.functional.cross_entropy, mean over tokens, no label smoothing",
            unit="nats/token",
            chance=_entropy,
        ),
        _error(
            "perplexity",
            "Perplexity",
            "torchmetrics.functional.text.perplexity: the exponential of the cross-entropy",
            low=1.0,
            chance=lambda one: float(one.num_outputs),
        ),
        _share(
            "token_accuracy",
            "Token accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy over tokens",
            chance=_one_of_all,
        ),
    ),
)

METRICS: Mapping[Task, Registry[MetricSpec]] = {
    "classification": _CLASSIFICATION,
    "regression": _REGRESSION,
    "language": _LANGUAGE,
}
"""All that is recorded of every epoch; a metric's name means the same in each task it is of."""

DEFAULT_OBJECTIVES: Mapping[Task, str] = {
    "classification": "accuracy",
    "regression": "rmse",
    "language": "loss",
}

METRIC_NAMES = tuple(dict.fromkeys(spec.name for task in METRICS.values() for spec in task))
"""Of all tasks."""
