"""The audit of pruning: some trials are exempt from pruning, to measure what pruning is worth.

The audited trials are not selected by their values, so they show how well the value at the first
rung correlates with the final score in their cohort. If the correlation is poor, early values say
little, and pruning is switched off.
"""

import math
import statistics
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from bakeoff.records import TrialRecord
from bakeoff.search.cohorts import CohortKey

FEWEST = 8
"""Complete audited trials that a cohort needs before its pruning is judged."""
POOR = 0.2
"""Rank correlation below which pruning is switched off. At eight trials, 0.4, 3 and 7 % of cohorts
with a true correlation of 0.9, 0.8 and 0.7 fall below it by chance, and two thirds of cohorts
without any correlation do."""


def is_audited(index: int, share: float) -> bool:
    """Whether trial `index` of an arm is audited. Audited trials are evenly spread.

    An arm has none if its trials times the share are below one half, with a tenth up to four
    trials: a whole run would take an eighth of their epochs, and so few of them show nothing.

    Args:
        index: Counts from 0.
        share: Share of the trials that are audited, from 0 to 1.
    """
    return math.floor((index + 1) * share + 0.5) > math.floor(index * share + 0.5)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's correlation. Ties share their mean rank; if all values are equal, it is 0."""
    try:
        return statistics.correlation(_ranks(first), _ranks(second))
    except statistics.StatisticsError:
        return 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(value for value in values if not math.isnan(value))
    counts = Counter(ordered)
    return [
        0.0 if math.isnan(value) else bisect_left(ordered, value) + counts[value] / 2
        for value in values
    ]


class PruningAudit:
    """The results of the audited trials of each cohort."""

    def __init__(self, objective: str) -> None:
        self._objective = objective
        self._pairs: dict[CohortKey, list[tuple[float, float]]] = defaultdict(list)
        self._off: dict[CohortKey, str] = {}

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> str | None:
        """Note an audited trial that has ended. If it switches pruning off, return the reason.

        One that early stopping ended before the first rung says nothing about that.
        """
        values = record.values(self._objective)
        if record.outcome != "complete" or record.score is None or not rungs:
            return None
        if len(values) < rungs[0]:
            return None
        self._pairs[key].append((values[rungs[0] - 1], record.score))
        if key in self._off or len(self._pairs[key]) < FEWEST:
            return None
        correlation = rank_correlation(*zip(*self._pairs[key], strict=True))
        if correlation >= POOR:
            return None
        self._off[key] = (
            f"pruning is off for {key[0]}, {key[1]}: of {len(self._pairs[key])} audited trials the"
            f" rank correlation between first rung and end is {correlation:.2f}"
        )
        return self._off[key]

    def is_off(self, key: CohortKey) -> bool:
        """Whether pruning is switched off for the cohort. It is never switched on again."""
        return key in self._off
