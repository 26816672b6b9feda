"""Statistics across workloads: ranks of arms, the test of the ranks, profiles of time to target.

Axes: W workloads, M arms. Scores are given so that higher is better.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bakeoff.analysis.statistics import Scores
from bakeoff.records.significance import ALPHA

PROFILE_END = 4.0
"""Ratios of time above this count as not reached (AlgoPerf)."""
FEWEST_FOR_FRIEDMAN = 3
"""Fewest arms; two are compared by Wilcoxon's signed-rank test."""


@dataclass(frozen=True, kw_only=True)
class RankTest:
    """Whether arms differ in their ranks over workloads."""

    method: str
    statistic: float
    p: float
    critical_difference: float
    """Difference of two mean ranks that is shown at 5 % over all pairs; infinite for two arms."""


def ranks_of(scores: Scores) -> Scores:
    """Rank of each arm on each workload [W, M]: 1 is best, equal scores share the mean rank."""
    return np.asarray(stats.rankdata(-scores, axis=1), dtype=np.float64)


def rank_test(scores: Scores) -> RankTest:
    """Friedman's test of equal mean ranks with Nemenyi's critical difference; Wilcoxon for two.

    Friedman's statistic is corrected for ties. Wilcoxon's test is exact without ties and zeros,
    else a normal approximation.

    Args:
        scores: [W, M], finite, at least two workloads and two arms.

    Source: Demsar 2006, sections 3.1.3 and 3.2.2.
    """
    num_workloads, num_arms = scores.shape
    statistic, p = 0.0, 1.0
    if num_arms < FEWEST_FOR_FRIEDMAN:
        method, apart = "Wilcoxon signed-rank", math.inf
        a, b = scores.T
        if not np.array_equal(a, b):
            statistic, p = map(float, stats.wilcoxon(a, b, zero_method="zsplit"))
    else:
        method, apart = "Friedman", critical_difference(num_arms, num_workloads)
        if np.ptp(scores, axis=1).max() > 0:
            statistic, p = map(float, stats.friedmanchisquare(*scores.T))
    return RankTest(method=method, statistic=statistic, p=p, critical_difference=apart)


def critical_difference(num_arms: int, num_workloads: int) -> float:
    """Nemenyi's critical difference of mean ranks.

    Source: Demsar 2006, section 3.2.2: the studentized range quantile over the square root of two.
    """
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, num_arms, np.inf)) / math.sqrt(2)
    return quantile * _standard_error(num_arms, num_workloads)


def nemenyi_p(difference: float, num_arms: int, num_workloads: int) -> float:
    """P value of a difference of two mean ranks, corrected for all pairs of arms."""
    scaled = abs(difference) / _standard_error(num_arms, num_workloads) * math.sqrt(2)
    return float(stats.studentized_range.sf(scaled, num_arms, np.inf))


def _standard_error(num_arms: int, num_workloads: int) -> float:
    return math.sqrt(num_arms * (num_arms + 1) / (6 * num_workloads))


def time_ratios(times: Scores) -> Scores:
    """Each time divided by the best time of its workload [W, M].

    It is infinite where an arm does not reach the target. Missing times (NaN) count as not reached.
    """
    known = np.where(np.isnan(times), np.inf, times)
    best = known.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(known), known / best, np.inf)


def profile(ratios: Scores, limits: Scores) -> Scores:
    """Share of workloads [T] on which one arm's `ratios` [W] are at most `limits` [T].

    Source: Dolan and More 2002.
    """
    return np.asarray(np.mean(ratios[None, :] <= limits[:, None], axis=1), dtype=np.float64)


def profile_score(ratios: Scores) -> float:
    """Area under one arm's performance profile between 1 and 4, as a share of the largest one.

    Source: AlgoPerf (Dahl et al. 2023), section 4.3; closed form of its integral.
    """
    return float(np.mean(np.maximum(0.0, (PROFILE_END - ratios) / (PROFILE_END - 1))))
