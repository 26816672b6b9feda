"""Statistics of search scores and of cost: pure functions of numpy arrays.

Axes: n trials of one arm, k trials drawn from them, E evaluated epochs of one run, K runs. Scores
are given so that higher is better. Statements on k trials hold for independent random trials only,
which the caller has to ensure.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats

from bakeoff.analysis.statistics import ROUNDING, Interval, Scores
from bakeoff.records.significance import CONFIDENCE

RESAMPLES, FEWEST_RESAMPLES = 2_000, 400
"""Bootstrap resamples; with many trials fewer are used, but at least the second number."""
RESAMPLED_VALUES = 1_000_000
"""Limit of resamples times distinct scores, which bounds the memory."""
COST_ORDERS = 5_000
"""Random orders of the trials over which costs are averaged."""


def expected_best_of_k(scores: Scores, k: int) -> float:
    """Expected best score of k trials drawn without replacement from `scores` [n].

    It is unbiased for independent trials, also with ties. A score may be infinite, where only a
    bound is known and the metric has none: the expected best is then infinite, too, if such a score
    can be the best of k.

    Raises:
        ValueError: `k` is not in 1..n, or a score is NaN.

    Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work", equation 6; the ratio of
    binomials is the hypergeometric probability, which does not overflow.
    """
    shares = best_of_k_weights(len(_checked(scores, k)), k)
    return float(np.sum(np.sort(scores)[shares > 0] * shares[shares > 0]))


def best_of_k_weights(n: int, k: int) -> Scores:
    """The probability [n] that each of n ordered trials, worst first, is the best of k drawn."""
    return np.diff(_best_below(n, k))


def probability_best_of_k(a: Scores, b: Scores, k: int) -> float:
    """Probability that the best of k trials of `a` [n] beats the best of k trials of `b` [n'].

    Ties count one half, so that the two directions sum to 1. For k = 1 it is the Mann-Whitney
    statistic `U / (n n')`. It is unbiased for independent trials.

    Raises:
        ValueError: `k` is above the number of trials of an arm, or a score is NaN.

    Source: two-sample U-statistic, Hoeffding 1948; idea of Sivaprasad et al. 2020, figure 3.
    """
    below_a, below_b = _best_below(len(_checked(a, k)), k), _best_below(len(_checked(b, k)), k)
    best_a, ordered_b = np.sort(a), np.sort(b)
    lost = below_b[np.searchsorted(ordered_b, best_a, side="left")]
    not_won = below_b[np.searchsorted(ordered_b, best_a, side="right")]
    return float(np.sum(np.diff(below_a) * (lost + not_won) / 2))


def probability_best(samples: Sequence[Scores], k: int) -> Scores:
    """Probability [M] that the best of k trials of an arm beats that of every other arm.

    A tie at the top is shared equally, so that the probabilities sum to 1; for two arms they are
    `probability_best_of_k` in both directions. They are exact: with probabilities `b` that an arm
    stays below a value and `w` that its best is that value, an arm's share at a tie is the integral
    over t in [0, 1] of the product of the other arms' `b + t w`, a polynomial that Gauss-Legendre
    quadrature integrates without error.

    Args:
        samples: The scores of each of the M arms.
        k: Trials drawn without replacement from each of them.

    Raises:
        ValueError: `k` is above the number of trials of an arm, or a score is NaN.

    Source: stacked win probabilities of Sivaprasad et al. 2020, figure 4, as a U-statistic.
    """
    values = np.unique(np.concatenate(samples))
    upto = np.array(
        [
            _best_below(len(_checked(own, k)), k)[
                np.searchsorted(np.sort(own), values, side="right")
            ]
            for own in samples
        ]
    )
    below = np.pad(upto[:, :-1], ((0, 0), (1, 0)))
    nodes, weights = np.polynomial.legendre.leggauss(len(samples) // 2 + 1)
    # [T, M, V]: nodes moved from [-1, 1] to [0, 1]
    terms = below + (nodes[:, None, None] + 1) / 2 * (upto - below)
    shares = [
        np.sum(weights / 2 @ np.prod(np.delete(terms, arm, axis=1), axis=1) * (upto - below)[arm])
        for arm in range(len(samples))
    ]
    return np.array(shares)


def median_best_of_k(scores: Scores, k: int) -> float:
    """Median of the best of k independent trials: the `0.5 ** (1 / k)` quantile of `scores` [n].

    It does not depend on how badly a diverged trial is scored. If `k` is above n, it is the best
    score.

    Source: Lourie, Cho and He 2024, section 2; equals `quantile_tuning_curve` of their library.
    """
    return float(np.quantile(scores, 0.5 ** (1 / k), method="inverted_cdf"))


def median_best_interval(scores: Scores, k: int) -> Interval:
    """Exact interval of the median best of k, for one k; infinite where no trial bounds it.

    It is bounded on both sides for k below about n / 5.

    Source: Thompson 1936; `scipy.stats.quantile_test`.
    """
    found = stats.quantile_test(scores, p=0.5 ** (1 / k)).confidence_interval(CONFIDENCE)
    low, high = np.asarray(found, dtype=np.float64).tolist()
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def expected_best_interval(scores: Scores, k: int) -> Interval:
    """Percentile bootstrap interval of the expected best of k trials of `scores` [n].

    It is valid for k <= n / 5 only: its coverage at a nominal 95 % is 0.90 to 0.96 there, about 0.8
    at k = n / 2 and 0.6 at k = n. It is seeded, so that equal scores give equal intervals.

    Source: Efron 1979; weights of `expected_best_of_k`.
    """
    values = np.unique(_checked(scores, k))
    below, upto = _resampled(scores, values, k, seed=0)
    return _percentiles((upto - below) @ values)


def probability_best_interval(a: Scores, b: Scores, k: int) -> Interval:
    """Percentile bootstrap interval of `probability_best_of_k`, trials resampled within each arm.

    It is valid for k <= min(n, n') / 5 only, where its coverage at a nominal 95 % is 0.92 to 0.95.

    Source: Efron 1979.
    """
    values = np.unique(np.concatenate((_checked(a, k), _checked(b, k))))
    below_a, upto_a = _resampled(a, values, k, seed=0)
    below_b, upto_b = _resampled(b, values, k, seed=1)
    return _percentiles(np.sum((upto_a - below_a) * (below_b + upto_b) / 2, axis=1))


def expected_best_by_cost(scores: Scores, costs: Scores, budgets: Scores) -> Scores:
    """Expected best score [B] among the trials that end within each of `budgets` [B].

    It is the mean over 5,000 seeded random orders in which the trials run one after the other. It
    is NaN where the budget is below the cost of the costliest trial, because the order would then
    decide whether there is any score, and where it is above the cost of all trials. With costs of 1
    it estimates `expected_best_of_k`.

    Args:
        scores: Scores of independent trials [n].
        costs: Their costs [n], not negative, in any unit.
        budgets: Total costs [B] in that unit.

    Source: Dodge et al. 2019, "Show Your Work", section 3, with cost in place of trials.
    """
    rng = np.random.default_rng(0)
    total, limits = np.zeros(len(budgets)), budgets * (1 + ROUNDING)
    for _ in range(COST_ORDERS):
        order = rng.permutation(len(scores))
        num_ended = np.searchsorted(np.cumsum(costs[order]), limits, side="right")
        total += np.maximum.accumulate(scores[order])[np.maximum(num_ended, 1) - 1]
    possible = (budgets >= np.max(costs)) & (budgets <= np.sum(costs) * (1 + ROUNDING))
    return np.where(possible, total / COST_ORDERS, np.nan)


def trials_for_success(share: float, probability: float = 0.95) -> float:
    """Trials needed for at least one success with this probability, if each succeeds with `share`.

    They are 59 for a share of 5 %, infinite for a share of 0, 1 for a share of 1, NaN for NaN.

    Source: geometric distribution; `ln(1 - probability) / ln(1 - share)`, rounded up.
    """
    if math.isnan(share):
        return math.nan
    if share <= 0 or share >= 1:
        return math.inf if share <= 0 else 1.0
    return float(math.ceil(math.log(1 - probability) / math.log1p(-share)))


@lru_cache(maxsize=256)
def selection_gap_constant(num_trials: int) -> float:
    """Expected largest of n independent standard normal values (the constant c_n).

    The best of n equally good configurations looks better than it is by `c_n` standard
    deviations of the seed noise: 0.564, 1.163, 1.539, 1.867, 2.249, 2.508 for n = 2, 5, 10, 20,
    50, 100. It is zero for one trial and NaN for none.

    Source: first moment of the largest order statistic, David and Nagaraja 2003, section 3.1.
    """
    if num_trials < 1:
        return math.nan

    def density(x: float) -> float:
        return float(x * num_trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (num_trials - 1))

    return float(integrate.quad(density, -10.0, 10.0)[0])


def first_reaching(scores: Scores, target: float) -> int | None:
    """Index of the first evaluated epoch in `scores` [E] at or above `target`; None without one.

    An epoch whose score is NaN does not reach it.
    """
    reached = np.flatnonzero(scores >= target)
    return int(reached[0]) if len(reached) else None


def median_time(times: Scores) -> float:
    """Median of `times` [K], where censored times are infinite; NaN without runs.

    The smallest time by which half of the runs had arrived; infinite if fewer than half arrived.

    Source: median of the Kaplan-Meier estimate, where all censoring is at the planned end.
    """
    if len(times) == 0:
        return math.nan
    return float(np.quantile(times, 0.5, method="inverted_cdf"))


def expected_cost_of_success(costs: Scores, succeeded: Scores) -> float:
    """Expected cost until a trial succeeds: all costs [n], divided by the number of successes.

    It is infinite if no trial succeeded. With costs of 1 and a success share p it is 1/p.

    Source: expected running time (ERT), Hansen et al. 2009, BBOB.
    """
    num_successes = int(np.count_nonzero(succeeded))
    return float(np.sum(costs)) / num_successes if num_successes else math.inf


def _checked(scores: Scores, k: int) -> Scores:
    if not 1 <= k <= len(scores):
        raise ValueError(f"k = {k} must lie between 1 and the number of trials, {len(scores)}")
    if np.any(np.isnan(scores)):
        raise ValueError("scores must be numbers; give diverged trials the score of chance")
    return scores


@lru_cache(maxsize=256)
def _best_below(num: int, k: int) -> Scores:
    """P(all k drawn from `num` are among the i lowest) for i = 0..num, [num + 1]; not writable.

    The hypergeometric probability C(i, k) / C(num, k), as a product from the top: C(i - 1, k) is
    C(i, k) times (i - k) / i.
    """
    i = np.arange(num, 0, -1)
    factors = np.concatenate(([1.0], np.maximum(i - k, 0) / i))
    below = np.asarray(np.cumprod(factors)[::-1], dtype=np.float64).copy()
    below.setflags(write=False)
    return below


def _resampled(scores: Scores, values: Scores, k: int, seed: int) -> tuple[Scores, Scores]:
    """P(best of k < value) and P(best of k <= value), [R, V] each, in R resamples of `scores`.

    `values` [V] are sorted and hold every score.
    """
    num_upto = _resampled_counts(scores.tobytes(), values.tobytes(), seed)
    upto = _best_below(len(scores), k)[num_upto]
    below = np.zeros_like(upto)
    below[:, 1:] = upto[:, :-1]
    return below, upto


@lru_cache(maxsize=2)
def _resampled_counts(scores: bytes, values: bytes, seed: int) -> npt.NDArray[np.int32]:
    """Trials of each resample at or below each value [R, V], for `_resampled` and every k."""
    own, sorted_values = np.frombuffer(scores), np.frombuffer(values)
    num_values = len(sorted_values)
    num_resamples = min(RESAMPLES, max(FEWEST_RESAMPLES, RESAMPLED_VALUES // num_values))
    drawn = np.random.default_rng(seed).integers(len(own), size=(num_resamples, len(own)))
    places = np.searchsorted(sorted_values, own)[drawn]
    places += num_values * np.arange(num_resamples)[:, None]
    hits = np.bincount(places.ravel(), minlength=num_resamples * num_values)
    counts = np.cumsum(hits.reshape(num_resamples, num_values), axis=1, dtype=np.int32)
    counts.setflags(write=False)
    return counts


def _percentiles(values: Scores) -> Interval:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
