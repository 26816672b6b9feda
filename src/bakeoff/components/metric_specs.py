"""What one metric is: an entry of the tables of metrics."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bakeoff.records import Direction, Loss, MetricInfo


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """What the scores of an untrained model depend on."""

    num_outputs: int
    """Classes, labels, tokens of the vocabulary, or targets in regression."""
    loss: Loss = "cross_entropy"
    """The loss that the study trains with."""
    target_deviation: float = 1.0
    """Standard deviation of the training target in regression; 1 with several targets."""
    mean_losses: Mapping[Loss, float] = field(default_factory=dict)
    """Validation losses of predicting the training mean, in standardised units."""
    label_shares: tuple[float, ...] = ()
    """Share of the validation samples that have each label, in a multi-label task, or of the
    validation pixels that have each class, in segmentation."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One metric of one task."""

    info: MetricInfo
    compute: str
    """Reference to a function that maps the task's predictions to a scalar tensor."""
    chance: Callable[[Untrained], float]
    """The score of an untrained model."""
    source: str
    min_outputs: int = 1
    """The fewest classes with which the metric is meaningful."""

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.info.name


def metric(
    name: str,
    title: str,
    source: str,
    chance: Callable[[Untrained], float],
    *,
    direction: Direction = "minimize",
    low: float = 0.0,
    high: float = math.inf,
    unit: str = "",
    is_mean_over_samples: bool = False,
    min_outputs: int = 1,
    module: str = "metric_functions",
) -> MetricSpec:
    """An entry whose code is the function of that name in `bakeoff.training.<module>`."""
    info = MetricInfo(
        name=name, direction=direction, low=low, high=high, title=title, unit=unit,
        is_mean_over_samples=is_mean_over_samples,
    )  # fmt: skip
    compute = f"bakeoff.training.{module}:{name}"
    return MetricSpec(
        info=info, compute=compute, chance=chance, source=source, min_outputs=min_outputs
    )


share = partial(metric, direction="maximize", high=1.0)
"""A metric between 0 and 1; higher is better."""
