"""The learning curve of one run, as arrays over its evaluated epochs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.analysis.statistics import Scores
from bakeoff.records import EpochResult, MetricInfo

LOSS = "loss"
"""Name of the metric that is the training criterion, measured on the validation set."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One run that trained to its end; axis E is its evaluated epochs."""

    objective: MetricInfo
    floor: float
    """Smallest difference of the objective worth mentioning; 0 where none is known."""
    epochs: Scores
    """Epoch numbers [E]."""
    scores: Scores
    """Validation objective [E], as measured."""
    train_loss: Scores
    """[E], NaN where it was not measured."""
    validation_loss: Scores
    """[E], NaN where it was not measured."""
    data_share: float = 0.0
    """Share of the training time spent waiting for data; 0 if that was not measured."""

    @property
    def signed(self) -> Scores:
        """The objective [E] with its sign, so that higher is better."""
        return self.objective.sign * self.scores

    @property
    def gain(self) -> float:
        """Improvement from the first evaluation to the best one."""
        return float(np.max(self.signed) - self.signed[0])

    @property
    def span(self) -> float:
        """Difference between the best and the worst evaluation.

        It is the gain of a run that begins with its worst epoch. Shares are of the span, because
        the gain of a run that is best after its first epoch is 0, as in fine-tuning.
        """
        return float(np.ptp(self.signed))

    def is_notable(self, difference: float, share: float) -> bool:
        """Whether a difference is above the floor and above this share of the run's span."""
        return difference > self.floor and difference > share * self.span


def curve_of(
    history: Sequence[EpochResult], objective: MetricInfo, floor: float, *, at_least: int
) -> Curve | None:
    """The curve of a run; None with fewer than `at_least` epochs of finite scores.

    A floor of NaN counts as 0. Epochs without a finite score are left out.
    """
    seen = [
        result for result in history if math.isfinite(result.metrics.get(objective.name, math.nan))
    ]
    if len(seen) < at_least:
        return None
    train_seconds = sum(result.train_seconds for result in history)
    data_seconds = sum(result.data_seconds for result in history)
    return Curve(
        objective=objective,
        floor=0.0 if math.isnan(floor) else floor,
        epochs=np.array([result.epoch for result in seen], dtype=float),
        scores=np.array([result.metrics[objective.name] for result in seen]),
        train_loss=np.array([result.train_loss for result in seen]),
        validation_loss=np.array([result.metrics.get(LOSS, math.nan) for result in seen]),
        data_share=data_seconds / train_seconds if train_seconds > 0 else 0.0,
    )
