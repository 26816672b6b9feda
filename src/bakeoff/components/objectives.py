"""What a search can optimize: the metrics of the task, and the costs of a run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bakeoff.components.metrics import METRICS, metric_info
from bakeoff.records import EpochResult, MetricInfo, StudyConfig, Task
from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class CostSpec:
    """A cost of a whole run that is measured during training."""

    info: MetricInfo
    measure: Callable[[Sequence[EpochResult]], float]

    @property
    def name(self) -> str:
        """The cost's name."""
        return self.info.name


COSTS: Registry[CostSpec] = Registry(
    "cost",
    (
        CostSpec(
            info=MetricInfo(
                name="train_seconds",
                direction="minimize",
                low=0.0,
                high=math.inf,
                title="Training time",
                unit="s",
            ),
            measure=lambda history: sum(result.train_seconds for result in history),
        ),
    ),
)
"""Costs of a whole run. They can be compared only between runs on the same machine."""


def objective_names(task: Task) -> tuple[str, ...]:
    """The names of all objectives of a task."""
    return (*METRICS[task].names, *COSTS.names)


def find_objective(name: str, config: StudyConfig) -> MetricInfo:
    """The objective of a study that is called `name`.

    Raises:
        UsageError: The study has no such metric, and no cost has this name.
    """
    return COSTS[name].info if name in COSTS else metric_info(name, config)


def further_objectives(config: StudyConfig) -> tuple[MetricInfo, ...]:
    """The study's objectives after the first one; empty for most studies."""
    return tuple(find_objective(name, config) for name in config.further_objectives)


def further_scores(
    names: Sequence[str], history: Sequence[EpochResult], scored: EpochResult
) -> dict[str, float]:
    """The values of a run in its study's further objectives; NaN if a metric was not measured.

    Args:
        names: The objectives after the first.
        history: All epochs of the run; a cost is measured over all of them.
        scored: The epoch that gives the run's score. All metrics come from it, so that they
            describe the same model.
    """
    return {
        name: COSTS[name].measure(history) if name in COSTS else scored.metrics.get(name, math.nan)
        for name in names
    }
