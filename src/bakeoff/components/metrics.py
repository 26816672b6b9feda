"""The metrics: what each means, how it is computed, and which epoch is scored by it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bakeoff.records import EpochResult, MetricInfo, ScoreRule
from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One metric."""

    info: MetricInfo
    compute: str
    """Reference to a function of logits [N, C] and labels [N] that gives a scalar tensor."""
    chance: Callable[[int], float]
    """Number of classes C -> score of an untrained model."""
    source: str

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.info.name


def chance_score(metric: str, num_classes: int) -> float:
    """Score of a model that knows nothing, on balanced classes.

    It gives every class the same probability and decides by a fair draw: accuracy and macro F1
    are 1/C, the cross-entropy is ln C. A diverged run gets this score.

    Raises:
        UsageError: The metric is unknown.
    """
    return METRICS[metric].chance(num_classes)


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


METRICS: Registry[MetricSpec] = Registry(
    "metric",
    (
        MetricSpec(
            info=MetricInfo(
                name="accuracy",
                direction="maximize",
                low=0.0,
                high=1.0,
                title="Accuracy",
                is_mean_over_samples=True,
            ),
            compute="bakeoff.components.metric_functions:accuracy",
            chance=lambda num_classes: 1 / num_classes,
            source="torchmetrics.functional.classification.multiclass_accuracy, micro average",
        ),
        MetricSpec(
            info=MetricInfo(
                name="loss",
                direction="minimize",
                low=0.0,
                high=math.inf,
                title="Cross-entropy",
                unit="nats",
            ),
            compute="bakeoff.components.metric_functions:loss",
            chance=math.log,
            source="torch.nn.functional.cross_entropy, mean over samples, no label smoothing",
        ),
        MetricSpec(
            info=MetricInfo(
                name="macro_f1",
                direction="maximize",
                low=0.0,
                high=1.0,
                title="Macro F1",
            ),
            compute="bakeoff.components.metric_functions:macro_f1",
            chance=lambda num_classes: 1 / num_classes,
            source="torchmetrics.functional.classification.multiclass_f1_score, macro average",
        ),
    ),
)
