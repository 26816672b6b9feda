"""Statistics of search scores and of cost: pure functions of numpy arrays.

Axes: n trials of one arm, k trials drawn from them, E evaluated epochs of one run, K runs. Scores
are given so that higher is better. The statements on k trials hold for independent random trials
only; whether that is so is for the caller to know.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import integrate, stats

from bakeoff.analysis.statistics import Scores


def expected_best_of_k(scores: Scores, k: int) -> float:
    """Expected best score of k trials drawn without replacement from `scores` [n].

    Unbiased for independent trials. Ties need no care.

    Raises:
        ValueError: `k` is not in 1..n, or a score is not finite.

    Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work", equation 6; the ratio of
    binomials is the hypergeometric probability, which does not overflow.
    """
    below = _best_below(_checked(scores, k), k)
    return float(np.sum(np.sort(scores) * np.diff(below)))


def probability_best_of_k(a: Scores, b: Scores, k: int) -> float:
    """Probability that the best of k trials of `a` [n] beats the best of k trials of `b` [n'].

    Ties count one half, so that the two directions sum to 1. For k = 1 it is the Mann-Whitney
    statistic `U / (n n')`. Unbiased for independent trials.

    Raises:
        ValueError: `k` is above the number of trials of an arm, or a score is not finite.

    Source: two-sample U-statistic, Hoeffding 1948; idea of Sivaprasad et al. 2020, figure 3.
    """
    below_a, below_b = _best_below(_checked(a, k), k), _best_below(_checked(b, k), k)
    best_a, ordered_b = np.sort(a), np.sort(b)
    lost = below_b[np.searchsorted(ordered_b, best_a, side="left")]
    not_won = below_b[np.searchsorted(ordered_b, best_a, side="right")]
    return float(np.sum(np.diff(below_a) * (lost + not_won) / 2))


@lru_cache(maxsize=256)
def selection_gap_constant(num_trials: int) -> float:
    """Expected largest of n independent standard normal values (the constant c_n).

    The best of n equally good configurations looks better than it is by `c_n` standard
    deviations of the seed noise: 0.564, 1.163, 1.539, 1.867, 2.249, 2.508 for n = 2, 5, 10, 20,
    50, 100. Zero for one trial, NaN for none.

    Source: first moment of the largest order statistic, David and Nagaraja 2003, section 3.1.
    """
    if num_trials < 1:
        return math.nan

    def density(x: float) -> float:
        return float(x * num_trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (num_trials - 1))

    return float(integrate.quad(density, -10.0, 10.0)[0])


def first_reaching(scores: Scores, target: float) -> int | None:
    """Index of the first evaluated epoch in `scores` [E] at or above `target`; None if none is.

    An epoch whose score is NaN has not reached it.
    """
    reached = np.flatnonzero(scores >= target)
    return int(reached[0]) if len(reached) else None


def median_time(times: Scores) -> float:
    """Median of `times` [K], of which the censored ones are infinite; NaN without runs.

    The smallest time by which half of the runs had arrived; infinite if fewer than half did.

    Source: median of the Kaplan-Meier estimate, all censoring being at the planned end.
    """
    if len(times) == 0:
        return math.nan
    return float(np.quantile(times, 0.5, method="inverted_cdf"))


def expected_cost_of_success(costs: Scores, succeeded: Scores) -> float:
    """Expected cost until a trial succeeds: all costs [n], divided by the number of successes.

    Infinite if no trial succeeded. With costs of 1 and a success share p it is 1/p.

    Source: expected running time (ERT), Hansen et al. 2009, BBOB.
    """
    num_successes = int(np.count_nonzero(succeeded))
    return float(np.sum(costs)) / num_successes if num_successes else math.inf


def _checked(scores: Scores, k: int) -> Scores:
    if not 1 <= k <= len(scores):
        raise ValueError(f"k = {k} must lie between 1 and the number of trials, {len(scores)}")
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores must be finite; give diverged trials the score of chance")
    return scores


def _best_below(scores: Scores, k: int) -> Scores:
    """P(all k drawn are among the i lowest) for i = 0..n, [n + 1]."""
    num = len(scores)
    return np.asarray(stats.hypergeom.pmf(k, num, np.arange(num + 1), k), dtype=np.float64)
