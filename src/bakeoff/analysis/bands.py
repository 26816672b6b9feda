"""Exact simultaneous bands of the median tuning curve: the one adapter of the library opda."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.statistics import Scores

LARGEST_FOR_TIGHT_BAND = 60
"""Above this many trials the tighter method would take longer than a second."""


def median_best_band(
    scores: Scores, ks: Scores, bounds: tuple[float, float], level: float = 0.95
) -> tuple[Scores, Scores]:
    """Simultaneous band of the median best of k trials, for all `ks` [k] at once.

    With this probability the whole curve lies in the band, whatever the distribution of the
    independent `scores` [n]. Its order statistics are found once for each n: the band is
    distribution-free, so it depends on the scores through their ranks only, and stays valid, if
    wider than need be, where scores tie.

    Args:
        scores: Scores of independent trials, higher is better.
        ks: Numbers of trials, whole and at least 1.
        bounds: The lowest and highest score there can be; infinite where there is no bound.
        level: Simultaneous confidence.

    Returns:
        The lower and the upper side [k], equal to a bound where no trial bounds it.

    Source: Lourie, Cho and He 2024, "Show Your Work with Confidence", section 3, by its library
    opda: equal-tailed Learned-Miller-DeStefano bands, above 60 trials Kolmogorov-Smirnov bands.
    """
    low, high = _band_ranks(len(scores), tuple(int(k) for k in ks), level)
    ordered = np.concatenate(([bounds[0]], np.sort(scores), [bounds[1]]))
    return ordered[low], ordered[high]


@lru_cache(maxsize=64)
def _band_ranks(
    num: int, ks: tuple[int, ...], level: float
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Ranks of the band's sides among `num` scores; 0 and `num + 1` stand for the bounds."""
    # opda and what it imports take half a second; reports without such a figure do without
    from opda.nonparametric import EmpiricalDistribution

    tight = num <= LARGEST_FOR_TIGHT_BAND
    lower, _, upper = EmpiricalDistribution.confidence_bands(
        np.arange(1.0, num + 1),
        level,
        0.0,
        num + 1.0,
        generator=np.random.default_rng(0),
        method="ld_equal_tailed" if tight else "ks",
        n_jobs=1,
    )
    # the upper side of the distribution function is the lower side of the scores
    return _ranks(upper, ks), _ranks(lower, ks)


def _ranks(side: Any, ks: tuple[int, ...]) -> npt.NDArray[np.int_]:
    curve = np.asarray(side.quantile_tuning_curve(np.array(ks)), dtype=np.float64)
    return np.rint(curve).astype(int)
