"""Statistics of confirmation runs: pure functions of numpy arrays.

Axes: K confirmation seeds, m pairs of arms. Scores are given so that higher is better; nothing
here knows a metric or an arm. Statistics of search scores are in `tuning.py`.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from bakeoff.records.significance import ALPHA, CONFIDENCE

Scores = npt.NDArray[np.float64]
Interval = tuple[float, float]

EXACT_SEEDS = 40
"""Up to this many seeds every sign pattern is counted (two halves of 2**20 sums)."""
RESAMPLES = 20_000
"""Monte Carlo permutations where counting every permutation would take too long."""
MIN_FOR_SPREAD = 2
"""A spread needs two values."""
ROUNDING = 1e-12
"""Relative size up to which differences count as rounding errors of floating point."""

UNKNOWN: Interval = (math.nan, math.nan)
UNBOUNDED: Interval = (-math.inf, math.inf)


def num_pairs_of(num_arms: int) -> int:
    """The number m of pairs among `num_arms` arms, at least 1."""
    return max(1, math.comb(num_arms, 2))


def standard_deviation(values: Scores) -> float:
    """Sample standard deviation of `values` [K] (divisor K - 1).

    It is NaN with fewer than two values and exactly 0 where they differ by rounding only.
    """
    if len(values) < MIN_FOR_SPREAD:
        return math.nan
    sd = float(np.std(values, ddof=1))
    return 0.0 if sd <= ROUNDING * float(np.max(np.abs(values))) else sd


def paired_differences(a: Scores, b: Scores) -> Scores:
    """`a - b` [K] over the same seeds, with zero where they differ by rounding only.

    Raises:
        ValueError: The arrays differ in length, are empty, or hold a value that is not finite.

    Source: Bouthillier et al. 2021, sections 4 and 5 (paired seeds).
    """
    check_scores(a, b)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} scores cannot be paired")
    scale = max(float(np.max(np.abs(a))), float(np.max(np.abs(b))))
    differences = a - b
    return np.where(np.abs(differences) <= ROUNDING * scale, 0.0, differences)


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


def permutation_p(a: Scores, b: Scores) -> float:
    """Two-sided p of the test that assigns the scores [K_a] and [K_b] to the arms anew.

    Up to 20,000 splits (K_a = K_b = 8) are all counted; of more, that many seeded random splits are
    used. It is NaN with fewer than two scores in an arm.

    Raises:
        ValueError: An array is empty or holds a value that is not finite.

    Source: Fisher 1935.
    """
    check_scores(a, b)
    if min(len(a), len(b)) < MIN_FOR_SPREAD:
        return math.nan
    test = stats.permutation_test(
        (a, b), lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis), vectorized=True,
        n_resamples=RESAMPLES, batch=1_000, rng=np.random.default_rng(0),
        permutation_type="independent",
    )  # fmt: skip
    return float(test.pvalue)


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
    z = float(special.ndtri((1 + CONFIDENCE) / 2))
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    spread = z * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2)) / (1 + z**2 / num)
    return max(0.0, middle - spread), min(1.0, middle + spread)


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


def check_scores(*arrays: Scores) -> None:
    """Refuse arrays that are empty or hold a value that is not finite."""
    for array in arrays:
        if len(array) == 0 or not np.all(np.isfinite(array)):
            raise ValueError(f"scores must be finite and at least one: {array.tolist()}")


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
