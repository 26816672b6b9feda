"""Exact simultaneous bands of the median tuning curve: the one adapter of the library opda."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.statistics import Scores
from bakeoff.records.significance import CONFIDENCE

LARGEST_FOR_TIGHT_BAND = 60
"""With more trials the tighter method would take longer than a second."""


def median_best_band(
    scores: Scores, ks: Scores, bounds: tuple[float, float]
) -> tuple[Scores, Scores]:
    """Simultaneous band of the median best of k trials, for all `ks` [k] at once.

    The whole curve lies in the band with a probability of 95 %, whatever the distribution of the
    independent `scores` [n]. The band is distribution-free, so it depends on the ranks of the
    scores only, and its order statistics are computed once for each n. Where scores tie, it is
    valid but wider than necessary.

    Args:
        scores: Scores of independent trials, higher is better.
        ks: Numbers of trials, whole and at least 1.
        bounds: The lowest and highest score there can be; infinite where there is no bound.

    Returns:
        The lower and the upper side [k], equal to a bound where no trial bounds it.

    Source: Lourie, Cho and He 2024, "Show Your Work with Confidence", section 3, by its library
    opda: equal-tailed Learned-Miller-DeStefano bands, above 60 trials Kolmogorov-Smirnov bands.
    """
    low, high = _band_ranks(len(scores), tuple(int(k) for k in ks))
    ordered = np.concatenate(([bounds[0]], np.sort(scores), [bounds[1]]))
    return ordered[low], ordered[high]


@lru_cache(maxsize=64)
def _band_ranks(num: int, ks: tuple[int, ...]) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Ranks of the band's sides among `num` scores; 0 and `num + 1` mean the bounds."""
    # importing opda takes half a second, which reports without such a figure save
    from opda.nonparametric import EmpiricalDistribution

    tight = num <= LARGEST_FOR_TIGHT_BAND
    lower, _, upper = EmpiricalDistribution.confidence_bands(
        np.arange(1.0, num + 1),
        CONFIDENCE,
        0.0,
        num + 1.0,
        generator=np.random.default_rng(0),
        method="ld_equal_tailed" if tight else "ks",
        n_jobs=1,
    )
    # the upper side of the distribution function is the lower side of the scores
    curves = [side.quantile_tuning_curve(np.array(ks)) for side in (upper, lower)]
    low, high = (np.rint(np.asarray(curve, dtype=np.float64)).astype(int) for curve in curves)
    return low, high
