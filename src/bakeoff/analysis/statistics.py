"""Statistics of confirmation runs: pure functions of numpy arrays.

Axes: K confirmation seeds, m pairs of arms. Scores are given so that higher is better; nothing
here knows a metric or an arm. Statistics of search scores are in `tuning.py`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from bakeoff.records.significance import ALPHA, CONFIDENCE

Scores = npt.NDArray[np.float64]
Interval = tuple[float, float]

POWER = 0.8
"""Probability with which a detectable difference is found."""
EXACT_SEEDS = 40
"""Up to this many seeds every sign pattern is counted (two halves of 2**20 sums)."""
RESAMPLES = 20_000
"""Monte Carlo permutations where counting every permutation would take too long."""
MAX_SEEDS = 10_000
"""Larger numbers of seeds are not estimated; the difference then has no practical relevance."""
MIN_FOR_SPREAD = 2
"""A spread needs two values."""
ROUNDING = 1e-12
"""Relative size up to which differences count as rounding errors of floating point."""

UNKNOWN: Interval = (math.nan, math.nan)
UNBOUNDED: Interval = (-math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean of `a` minus mean of `b`, with its interval and test."""

    mean: float
    sd: float
    """Standard deviation of the paired differences; unpaired, of one arm, pooled over both."""
    ci: Interval
    p: float
    """Two-sided p of a permutation test."""


def num_pairs_of(num_arms: int) -> int:
    """The number m of pairs among `num_arms` arms, at least 1."""
    return max(1, math.comb(num_arms, 2))


def t_interval(values: Scores, level: float) -> Interval:
    """Student's t interval of the mean of `values` [K].

    It is unbounded with fewer than two values and has width zero where all values are equal.

    Source: Student 1908; equals `scipy.stats.ttest_1samp(values, 0).confidence_interval(level)`,
    which warns where all values are equal.
    """
    if len(values) < MIN_FOR_SPREAD:
        return UNBOUNDED
    mean = float(np.mean(values))
    quantile = float(stats.t.ppf((1 + level) / 2, len(values) - 1))
    half_width = quantile * standard_deviation(values) / math.sqrt(len(values))
    return mean - half_width, mean + half_width


def standard_deviation(values: Scores) -> float:
    """Sample standard deviation of `values` [K] (divisor K - 1).

    It is NaN with fewer than two values and exactly 0 where they differ by rounding only.
    """
    if len(values) < MIN_FOR_SPREAD:
        return math.nan
    sd = float(np.std(values, ddof=1))
    return 0.0 if sd <= ROUNDING * float(np.max(np.abs(values))) else sd


def paired_difference(a: Scores, b: Scores, level: float) -> Difference:
    """Mean of `a - b` [K] over the same seeds, its t interval and its sign-flip p.

    The interval is Student's rather than a bootstrap's, which is too narrow at K <= 10.
    With fewer than two seeds the interval is unbounded and the standard deviation NaN.

    Raises:
        ValueError: The arrays differ in length, are empty, or hold a value that is not finite.

    Source: Bouthillier et al. 2021, sections 4 and 5 (paired seeds); `t_interval`;
    `sign_flip_p`.
    """
    _check_scores(a, b)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} scores cannot be paired")
    scale = float(max(np.max(np.abs(a)), np.max(np.abs(b))))
    differences = _without_rounding(a - b, scale)
    return Difference(
        mean=float(_without_rounding(np.mean(differences), scale)),
        sd=standard_deviation(differences),
        ci=t_interval(differences, level),
        p=sign_flip_p(differences),
    )


def sign_flip_p(differences: Scores) -> float:
    """Two-sided p of the test that flips the sign of each paired difference [K].

    It is exact up to 40 seeds: the sums of all sign patterns are counted by combining sorted sums
    of two halves. Above 40, 20,000 seeded random patterns and the observed one are used. The result
    is 1 where all differences are zero.

    Source: Fisher 1935; equals `scipy.stats.permutation_test(..., permutation_type="samples",
    n_resamples=inf)`, which needs half a second at K = 17 and doubles with each seed.
    """
    nonzero = differences[differences != 0.0]
    if len(nonzero) > EXACT_SEEDS:
        return _sampled_sign_flip_p(nonzero)
    half = len(nonzero) // 2
    left, right = _signed_sums(nonzero[:half]), np.sort(_signed_sums(nonzero[half:]))
    observed = abs(float(np.sum(nonzero))) - ROUNDING * float(np.sum(np.abs(nonzero)))
    num_above = len(right) - np.searchsorted(right, observed - left, side="left")
    return min(1.0, 2.0 * float(np.sum(num_above)) / 2.0 ** len(nonzero))


def unpaired_difference(a: Scores, b: Scores, level: float) -> Difference:
    """Mean of `a` [K_a] minus mean of `b` [K_b] over different seeds: Welch interval, exact p.

    Up to 20,000 splits (K_a = K_b = 8) are all counted; of more, that many seeded random splits are
    used. With fewer than two scores in an arm the interval is unbounded and p is NaN.

    Raises:
        ValueError: An array is empty or holds a value that is not finite.

    Source: Welch 1947 (interval); Fisher 1935 (permutation test).
    """
    _check_scores(a, b)
    sd = math.sqrt((standard_deviation(a) ** 2 + standard_deviation(b) ** 2) / 2)
    if min(len(a), len(b)) < MIN_FOR_SPREAD:
        return Difference(mean=float(np.mean(a) - np.mean(b)), sd=sd, ci=UNBOUNDED, p=math.nan)
    estimate = _unpaired_mean(a, b)
    half_width = float(stats.t.ppf((1 + level) / 2, estimate.degrees)) * estimate.error
    test = stats.permutation_test(
        (a, b), lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis), vectorized=True,
        n_resamples=RESAMPLES, batch=1_000, rng=np.random.default_rng(0),
        permutation_type="independent",
    )  # fmt: skip
    return Difference(
        mean=estimate.mean,
        sd=sd,
        ci=(estimate.mean - half_width, estimate.mean + half_width),
        p=float(test.pvalue),
    )


def holm(p_values: Scores) -> Scores:
    """Holm's step-down adjusted p values [m], in the given order; NaN counts as 1 and stays NaN.

    Source: Holm 1979; equals `statsmodels.stats.multitest.multipletests(p, method="holm")`,
    which collects garbage in every call (60 ms).
    """
    order = np.argsort(p_values)
    ordered = np.nan_to_num(p_values[order], nan=1.0)
    num_left = len(ordered) - np.arange(len(ordered))
    adjusted = np.empty_like(ordered)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(num_left * ordered))
    return np.where(np.isnan(p_values), np.nan, adjusted)


def equality_p(a: Scores, b: Scores, delta: float, *, paired: bool = True) -> float:
    """P value of two one-sided t tests against a difference outside `[-delta, delta]`.

    A small value means practically equal. It is NaN where `delta` is not positive or there are
    fewer than two scores, and 0 or 1 where the differences do not vary.

    Source: Schuirmann 1987; equals `statsmodels.stats.weightstats.ttost_paired`, `ttost_ind`.
    """
    if min(len(a), len(b)) < MIN_FOR_SPREAD or not delta > 0:
        return math.nan
    estimate = _paired_mean(a, b) if paired else _unpaired_mean(a, b)
    if estimate.error == 0:
        return 0.0 if abs(estimate.mean) < delta else 1.0
    above = stats.t.sf((estimate.mean + delta) / estimate.error, estimate.degrees)
    below = stats.t.cdf((estimate.mean - delta) / estimate.error, estimate.degrees)
    return float(max(above, below))


def win_share(a: Scores, b: Scores) -> float:
    """Share of paired seeds [K] on which `a` is above `b`; ties count one half.

    Source: Bouthillier et al. 2021, section 4 (paired probability of outperforming).
    """
    return float(np.mean(np.where(a == b, 0.5, a > b)))


def wilson_interval(share: float, num: int) -> Interval:
    """Wilson score interval (95 %) of a share observed in `num` trials; (0, 1) without any.

    The number of successes need not be whole, since ties count one half.

    Source: Wilson 1927; equals `scipy.stats.binomtest(...).proportion_ci(method="wilson")`, which
    takes whole numbers only.
    """
    if num == 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    spread = z * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2)) / (1 + z**2 / num)
    return max(0.0, middle - spread), min(1.0, middle + spread)


def detectable_difference(sd: float, num_seeds: int, alpha: float) -> float:
    """Difference that K paired seeds of this spread show with probability 0.8, in units of `sd`.

    It is 1.00, 1.22, 1.37 standard deviations at K = 10 for alpha = 0.05 / (1, 3, 6), and NaN with
    fewer than two seeds.

    Source: power of the paired t test, Cohen 1988; the tail beyond the opposite bound (below
    1e-4 here) is left out. `statsmodels.stats.power.TTestPower` gives the same, except where
    scipy's `nct.cdf` underflows to NaN and its search stops early without an error.
    """
    if num_seeds < MIN_FOR_SPREAD:
        return math.nan
    return _noncentrality(num_seeds - 1, alpha) / math.sqrt(num_seeds) * sd


def detectable_unpaired_difference(sd: float, num_a: int, num_b: int, alpha: float) -> float:
    """Like `detectable_difference`, for unpaired seeds and the standard deviation of one arm.

    Source: power of the two-sample t test, Cohen 1988.
    """
    if min(num_a, num_b) < MIN_FOR_SPREAD:
        return math.nan
    return _noncentrality(num_a + num_b - 2, alpha) * math.sqrt(1 / num_a + 1 / num_b) * sd


def seeds_to_decide(mean: float, sd: float, alpha: float, at_least: int) -> int | None:
    """Estimated paired seeds that show a mean difference of this size with probability 0.8.

    An estimate from few seeds is rough; it helps to decide whether to add seeds or to give up. It
    is None where the difference is zero, the spread is unknown or 10,000 seeds are too few.

    Args:
        mean: Mean paired difference.
        sd: Standard deviation of the paired differences.
        alpha: Two-sided level, already divided by the number of pairs.
        at_least: Seeds needed whatever the spread (`min_confirmation_seeds`).

    Source: `detectable_difference`, searched for the smallest K.
    """
    if mean == 0 or not (math.isfinite(mean) and math.isfinite(sd)):
        return None
    low, high = at_least - 1, at_least
    while detectable_difference(sd, high, alpha) > abs(mean):
        low, high = high, 2 * high
        if low >= MAX_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        shown = detectable_difference(sd, middle, alpha) <= abs(mean)
        low, high = (low, middle) if shown else (middle, high)
    return high


def pairs_for_win_share(share: float, alpha: float = ALPHA, beta: float = ALPHA) -> int:
    """Pairs needed to distinguish a true win share from one half, one-sided.

    They are 29 for 0.75. With fewer pairs, a win share supports a verdict but cannot decide it.

    Source: Noether 1987 (sample size of rank tests), as in Bouthillier et al. 2021, appendix C.3.
    """
    quantiles = float(stats.norm.isf(alpha)) - float(stats.norm.ppf(beta))
    return math.ceil(quantiles**2 / (6 * (share - 0.5) ** 2))


def standard_error_of_share(share: float, num_samples: int) -> float:
    """Standard error of a mean of yes/no over `num_samples` samples: `sqrt(p (1 - p) / n)`.

    A share of 0 or 1 counts as one sample away from it, so that the error is never zero. It is NaN
    without samples.

    Source: binomial variance; Bouthillier et al. 2021, figure 2.
    """
    if num_samples < 1:
        return math.nan
    p = min(max(share, 1 / num_samples), 1 - 1 / num_samples)
    return math.sqrt(max(0.0, p * (1 - p)) / num_samples)


def _check_scores(*arrays: Scores) -> None:
    for array in arrays:
        if len(array) == 0 or not np.all(np.isfinite(array)):
            raise ValueError(f"scores must be finite and at least one: {array.tolist()}")


def _without_rounding(differences: Scores | np.floating, scale: float) -> Scores:
    """Differences, with zero where they could be rounding errors of scores of this size."""
    return np.where(np.abs(differences) <= ROUNDING * scale, 0.0, differences)


def _signed_sums(values: Scores) -> Scores:
    """Sums of `values` [n] under every pattern of signs [2**n]."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _sampled_sign_flip_p(differences: Scores) -> float:
    rng = np.random.default_rng(0)
    signs = rng.choice((-1.0, 1.0), size=(RESAMPLES, len(differences)))
    observed = abs(float(np.sum(differences))) * (1 - ROUNDING)
    num_above = int(np.count_nonzero(np.abs(signs @ differences) >= observed))
    return (num_above + 1) / (RESAMPLES + 1)


@dataclass(frozen=True, kw_only=True)
class _Mean:
    """A mean difference, its standard error and the degrees of freedom of that error."""

    mean: float
    error: float
    degrees: float


def _paired_mean(a: Scores, b: Scores) -> _Mean:
    error = standard_deviation(a - b) / math.sqrt(len(a))
    return _Mean(mean=float(np.mean(a - b)), error=error, degrees=len(a) - 1)


def _unpaired_mean(a: Scores, b: Scores) -> _Mean:
    """Welch's error and degrees of freedom."""
    mean = float(np.mean(a) - np.mean(b))
    of_a, of_b = standard_deviation(a) ** 2 / len(a), standard_deviation(b) ** 2 / len(b)
    if not of_a + of_b > 0:
        return _Mean(mean=mean, error=of_a + of_b, degrees=1)
    degrees = (of_a + of_b) ** 2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1))
    return _Mean(mean=mean, error=math.sqrt(of_a + of_b), degrees=degrees)


@lru_cache(maxsize=1024)
def _noncentrality(degrees: int, alpha: float) -> float:
    """Shift of t that a two-sided test of level `alpha` finds with probability `POWER`."""
    critical = float(stats.t.isf(alpha / 2, degrees))
    return float(
        optimize.brentq(
            lambda shift: stats.nct.sf(critical, degrees, shift) - POWER, 0.0, 10 * critical
        )
    )
