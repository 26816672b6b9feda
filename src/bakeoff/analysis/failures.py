"""Runs that fail: collapses that were seen, failures that may be, and whether arms differ in them.

A run fails if it diverged, or if it ended with a score far below the others of its arm.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from bakeoff.analysis.statistics import Scores
from bakeoff.records.significance import ALPHA

Mask = npt.NDArray[np.bool_]

DEVIATIONS_OF_A_COLLAPSE = 10
"""Of normal scores, at most 1 in 1,000 arms has a run that is so far below; of exponential ones 2
in 100, of Student's t with 3 degrees of freedom 1 in 100 (4 to 20 seeds, two arms)."""
DELTAS_OF_A_COLLAPSE = 2
"""A smaller drop moves the mean by less than delta, even if half of the runs drop."""
MIN_FOR_COLLAPSE = 4
"""Fewer scores do not tell what is usual."""
SCALE_OF_NORMAL = 1.4826
"""Standard deviations per median absolute deviation of normal scores."""


def find_collapses(arms: Sequence[Scores], delta: float) -> tuple[Mask, ...]:
    """Which scores of each arm are far below the others of the same arm.

    A score has collapsed if it is below the median of its arm by more than 10 robust standard
    deviations and by more than 2 delta. The deviation is that of the arm, but not below the mean
    deviation of all arms, because that of few scores can be near zero by chance.

    Args:
        arms: Scores of each arm [U], higher is better.
        delta: Smallest difference that matters; NaN if unknown.

    Source: Leys et al. 2013 (median absolute deviation as criterion); the two limits are ours, with
    the measured rates at `DEVIATIONS_OF_A_COLLAPSE`.
    """
    scales = [_robust_deviation(scores) for scores in arms if len(scores) >= MIN_FOR_COLLAPSE]
    typical = float(np.mean(scales)) if scales else math.nan
    least = DELTAS_OF_A_COLLAPSE * delta if delta > 0 else 0.0
    return tuple(
        np.median(scores) - scores
        > max(DEVIATIONS_OF_A_COLLAPSE * max(typical, _robust_deviation(scores)), least)
        if len(scores) >= MIN_FOR_COLLAPSE
        else np.zeros(len(scores), dtype=bool)
        for scores in arms
    )


def failure_limit(num_runs: int) -> float:
    """Upper 95 % limit of the share of runs that fail where none of `num_runs` failed.

    It is 0.39, 0.31, 0.26 and 0.14 for 6, 8, 10 and 20 runs.

    Source: Clopper and Pearson 1934, one-sided: `1 - 0.05 ** (1 / K)`.
    """
    return 1 - ALPHA ** (1 / num_runs) if num_runs else 1.0


@lru_cache(maxsize=1024)
def failure_p(failed_a: int, num_a: int, failed_b: int, num_b: int) -> float:
    """Two-sided p of the test that both arms fail equally often; 1 where no run failed.

    Source: Boschloo 1970 (uniformly more powerful than Fisher's test).
    """
    if not (failed_a + failed_b and num_a and num_b):
        return 1.0
    table = [[failed_a, failed_b], [num_a - failed_a, num_b - failed_b]]
    return min(1.0, float(stats.boschloo_exact(table).pvalue))


def _robust_deviation(scores: Scores) -> float:
    return SCALE_OF_NORMAL * float(np.median(np.abs(scores - np.median(scores))))
