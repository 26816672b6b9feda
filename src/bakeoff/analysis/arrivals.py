"""Times until runs reach a target, which some never do: curves and the test of two arms.

Axis K is runs. A run that ended without reaching the target is censored at its end.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from bakeoff.analysis.statistics import Scores

Mask = npt.NDArray[np.bool_]


class ArrivalCurve(NamedTuple):
    """Share of runs that have reached the target, at each time [T] at which one reached it."""

    times: Scores
    shares: Scores


class ArrivalTest(NamedTuple):
    """Log-rank test of two arms."""

    z: float
    """Negative where the first arm's runs arrive later; 0 where no run arrives."""
    p: float
    """Two-sided; NaN where an arm has no run."""


def arrival_curve(times: Scores, reached: Mask) -> ArrivalCurve:
    """One minus the Kaplan-Meier estimate of the share not yet arrived; empty if no run arrived.

    Without censoring before the last arrival it is simply the share of runs.

    Args:
        times: When each run arrived or was censored [K].
        reached: Whether it arrived [K].

    Source: Kaplan and Meier 1958; `scipy.stats.ecdf`.
    """
    if not reached.any():
        return ArrivalCurve(np.empty(0), np.empty(0))
    found = stats.ecdf(_watched(times, reached)).cdf
    at_arrivals = np.isin(found.quantiles, times[reached])
    return ArrivalCurve(
        np.asarray(found.quantiles[at_arrivals], dtype=np.float64),
        np.asarray(found.probabilities[at_arrivals], dtype=np.float64),
    )


def arrival_test(a: Scores, a_reached: Mask, b: Scores, b_reached: Mask) -> ArrivalTest:
    """Whether the runs of two arms reach the target at different times.

    Args:
        a: Times of the first arm's runs [K_a], as for `arrival_curve`.
        a_reached: Which of them arrived [K_a].
        b: Times of the second arm's runs [K_b].
        b_reached: Which of them arrived [K_b].

    Source: Mantel 1966; `scipy.stats.logrank`.
    """
    if not len(a) or not len(b):
        return ArrivalTest(math.nan, math.nan)
    if not a_reached.any() and not b_reached.any():
        return ArrivalTest(0.0, 1.0)
    # if all runs arrive at one time, the statistic has no variance
    with np.errstate(invalid="ignore", divide="ignore"):
        found = stats.logrank(_watched(a, a_reached), _watched(b, b_reached))
    if not math.isfinite(found.statistic):
        return ArrivalTest(0.0, 1.0)
    return ArrivalTest(float(found.statistic), float(found.pvalue))


def _watched(times: Scores, reached: Mask) -> stats.CensoredData:
    return stats.CensoredData.right_censored(times, ~reached)
