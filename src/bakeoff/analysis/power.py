"""Which differences a study usually shows, and how many units would show one.

The power is that of the rule that decides (`bakeoff.analysis.pairs`): exact sign-flip test with
Holm's correction over all pairs, and the simultaneous interval. It was simulated once
(`bakeoff.records.power_table`). A unit is a confirmation seed, or a search.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

from bakeoff.analysis.estimates import t_quantile
from bakeoff.analysis.statistics import MIN_FOR_SPREAD, Scores, num_pairs_of
from bakeoff.records.power_table import DETECTABLE
from bakeoff.records.significance import ALPHA, POWER, min_confirmation_seeds

MAX_SEEDS = 10_000
"""Larger numbers of seeds are not estimated; the difference then has no practical relevance."""
EXACT_DEGREES = 30
"""Above, the noncentral t distribution is approximated."""


def detectable_deviations(num_units: int, num_arms: int, alpha: float = ALPHA) -> float:
    """Difference that paired units show with probability 0.8, in its standard deviations.

    It is infinite with too few units for any claim, and at a look that decides nothing. In the
    table it is simulated. Outside, it is what the t test of level alpha / m detects, times the
    ratio that the table has at equally many units above the fewest: the exact test loses most where
    it can barely decide. Above 16 units the ratio of 16 is used, above 10 arms that of 10.

    Source: `tests/benchmarks/power_table.py`; power of the paired t test, Cohen 1988.
    """
    if num_arms < 2 or alpha <= 0:  # noqa: PLR2004 - no pair
        return math.inf
    more = num_units - min_confirmation_seeds(num_arms, alpha)
    if more < 0:
        return math.inf
    ratios = _ratios(min(num_arms, max(DETECTABLE)))
    return ratios[min(more, len(ratios) - 1)] * _by_t(num_units, num_arms, alpha)


def detectable_difference(
    sd: float, num_units: int, num_arms: int, alpha: float = ALPHA, *, lasting_error: float = 0.0
) -> float:
    """Difference that paired units show with probability 0.8, in units of the score.

    Args:
        sd: Standard deviation of the paired differences over units.
        num_units: Units of both arms; the result is NaN with too few for any claim.
        num_arms: Arms of the study, between which all pairs are compared.
        alpha: Error rate that all pairs share.
        lasting_error: The part of the standard error that no further unit reduces.

    Source: `detectable_deviations`.
    """
    found = detectable_deviations(num_units, num_arms, alpha)
    if math.isinf(found):
        return math.nan
    return found * math.hypot(sd, math.sqrt(num_units) * lasting_error)


def detectable_unpaired_difference(sd: float, num_a: int, num_b: int, alpha: float) -> float:
    """Like `detectable_difference`, for unpaired units and the standard deviation of one arm.

    Source: power of the two-sample t test at level `alpha`, Cohen 1988.
    """
    if min(num_a, num_b) < MIN_FOR_SPREAD:
        return math.nan
    return _noncentrality(num_a + num_b - 2, alpha) * math.sqrt(1 / num_a + 1 / num_b) * sd


def seeds_to_decide(
    mean: float, sd: float, num_arms: int, alpha: float = ALPHA, *, lasting_error: float = 0.0
) -> int | None:
    """Estimated paired units that show a mean difference of this size with probability 0.8.

    An estimate from few units is rough; it helps to decide whether to add some or to give up. It
    is None where the difference is zero, the spread is unknown or 10,000 units are too few, which
    is also so where the lasting error alone hides the difference.

    Source: `detectable_difference`, searched for the smallest number.
    """
    if mean == 0 or not (math.isfinite(mean) and math.isfinite(sd)):
        return None
    least = min_confirmation_seeds(num_arms, alpha)
    spread = np.hypot(sd, np.sqrt(np.arange(least, MAX_SEEDS + 1)) * lasting_error)
    shows = _all_deviations(num_arms, alpha) * spread <= abs(mean)
    return least + int(np.argmax(shows)) if shows.any() else None


@lru_cache(maxsize=64)
def _all_deviations(num_arms: int, alpha: float) -> Scores:
    """`detectable_deviations` of the fewest units that can decide, of one more, and so on."""
    least = min_confirmation_seeds(num_arms, alpha)
    return np.array(
        [detectable_deviations(num, num_arms, alpha) for num in range(least, MAX_SEEDS + 1)]
    )


@lru_cache(maxsize=64)
def _ratios(num_arms: int) -> tuple[float, ...]:
    """The table over what the t test detects, from the fewest units that can decide."""
    least = min_confirmation_seeds(num_arms)
    return tuple(
        cell / _by_t(least + more, num_arms, ALPHA)
        for more, cell in enumerate(DETECTABLE[num_arms])
    )


def _by_t(num_units: int, num_arms: int, alpha: float) -> float:
    """What the paired t test detects, in standard deviations of the difference."""
    return _noncentrality(num_units - 1, alpha / num_pairs_of(num_arms)) / math.sqrt(num_units)


@lru_cache(maxsize=20_000)
def _noncentrality(degrees: int, alpha: float) -> float:
    """Shift of t that a two-sided test of level `alpha` finds with probability `POWER`.

    The tail beyond the opposite bound (below 1e-4 here) is left out.
    `statsmodels.stats.power.TTestPower` gives the same, except where scipy's `nct.cdf` underflows.

    Source: above 30 degrees of freedom the normal approximation 26.7.10 of Abramowitz and Stegun
    1964, which is off by less than 1 in 1,000 there.
    """
    critical = t_quantile(1 - alpha, degrees)
    if degrees > EXACT_DEGREES:
        spread = math.sqrt(1 + critical**2 / (2 * degrees))
        return critical * (1 - 1 / (4 * degrees)) + float(special.ndtri(POWER)) * spread
    return float(
        optimize.brentq(
            lambda shift: stats.nct.sf(critical, degrees, shift) - POWER, 0.0, 10 * critical
        )
    )
