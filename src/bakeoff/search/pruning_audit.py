"""The audit of pruning: a share of the trials is never pruned, and shows what pruning is worth.

Nobody chose these trials, so the correlation between what they were worth at their first rung and
in the end is that of all trials of their cohort. Where it is poor, early values say little, and
pruning is switched off.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence

from bakeoff.records import TrialRecord
from bakeoff.search.cohorts import CohortKey

FEWEST = 8
"""Audited trials of a cohort that have to be complete before its pruning is judged."""
POOR = 0.2
"""Rank correlation below which pruning is switched off. By chance 0.4, 3 and 7 % of cohorts with a
true one of 0.9, 0.8 and 0.7 fall below it at eight trials, and two in three of those with none."""


def is_audited(index: int, num_trials: int | None, share: float) -> bool:
    """Whether trial `index` of an arm is audited: evenly spread, and at least one of an arm.

    Args:
        index: From 0.
        num_trials: Of the arm; None where its budget is in another unit.
        share: Of its trials, from 0 (none) to 1 (all).
    """
    if share <= 0:
        return False
    if num_trials is not None and math.floor(num_trials * share + 0.5) == 0:
        return index == num_trials - 1
    return math.floor((index + 1) * share + 0.5) > math.floor(index * share + 0.5)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's correlation; ties share their mean rank, and 0 where all values are equal."""
    try:
        return statistics.correlation(_ranks(first), _ranks(second))
    except statistics.StatisticsError:
        return 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    return [
        sum(other < value for other in values) + sum(other == value for other in values) / 2
        for value in values
    ]


class PruningAudit:
    """What the audited trials of each cohort showed."""

    def __init__(self, objective: str) -> None:
        self._objective = objective
        self._pairs: dict[CohortKey, list[tuple[float, float]]] = defaultdict(list)
        self._off: dict[CohortKey, str] = {}

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> str | None:
        """Note an audited trial that has ended; the reason, should it switch pruning off."""
        values = record.values(self._objective)
        if record.outcome != "complete" or record.score is None or not rungs:
            return None
        self._pairs[key].append((values[rungs[0] - 1], record.score))
        correlation = rank_correlation(*zip(*self._pairs[key], strict=True))
        if key in self._off or len(self._pairs[key]) < FEWEST or correlation >= POOR:
            return None
        self._off[key] = (
            f"pruning is off for {key[0]}, {key[1]}: of {len(self._pairs[key])} audited trials the"
            f" rank correlation between first rung and end is {correlation:.2f}"
        )
        return self._off[key]

    def is_off(self, key: CohortKey) -> bool:
        """Whether the cohort's trials are no longer pruned; once off, it stays off."""
        return key in self._off
