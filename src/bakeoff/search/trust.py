"""How far the order of a cohort's trials at a rung can be trusted to be their order at the end.

A rung promotes the smallest share of its trials with which a trial of the finally best tenth passes
it with a probability of `SAFETY`. The share follows from the rank correlation between the rung and
the end. That correlation is the product of the correlations from rung to rung, each of which is
estimated from the trials that got further, in all cohorts of a study, and from a prior belief that
counts as much as `PRIOR_TRIALS` trials.

Only the better half of a rung is evidence, because the order among the best decides. A sampler that
has found a good region crowds its trials there, and a rung that tells them from bad ones may still
say nothing about which of them is best.

Trials were selected by their value at a rung, which makes a correlation among them smaller than
among all trials of the rung. It is corrected for their smaller spread, and weighs less for it.

Sources: Thorndike, "Personnel Selection" (1949), case 2, for the restricted range; Fisher's z for
the precision of a correlation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bakeoff.search import normal

Array = NDArray[np.float64]

SAFETY = 0.72
"""Chosen on the choosing half of the replay tables; see the decision `cautious-halving`."""
BEST_SHARE = 0.1
PRIOR = 0.85
"""The rank correlation from one rung to the next that is believed without evidence."""
PRIOR_TRIALS = 1.5
"""What that belief weighs."""
LEAST_SHARE = 0.25
"""A rung never promotes a smaller share. The largest is `SAFETY`, at a rung that says nothing."""
FEWEST_PAIRS = 3
LARGEST = 0.95
"""Estimates are held below 1, where Fisher's z is infinite."""
SMALLEST_SPREAD = 0.2


@dataclass(frozen=True)
class Evidence:
    """A rank correlation as Fisher's z, and the number of trials it is worth."""

    z: float = 0.0
    weight: float = 0.0


class RungEvidence:
    """What the trials of a cohort say about the correlation of a rung with what comes next.

    It keeps what it has read, so that a new value costs little, however many trials there are.
    """

    def __init__(self) -> None:
        self._ordered = np.empty(0)
        """All values at the rung, sorted."""
        self._num_later = 0
        """Later values that were read."""
        self._here, self._later = np.empty(0), np.empty(0)
        """The two values of each trial that has both."""
        self._evidence = Evidence()

    def of(self, values: dict[int, float], later: dict[int, float]) -> Evidence:
        """The evidence of the values so far, which may only be added to between two calls.

        Args:
            values: By trial, all values at the rung; higher is better. A trial has its value here
                before it has a later one.
            later: By trial, the values at the next rung or at the end, as far as they are known.
        """
        fresh = _latest(values, len(values) - len(self._ordered))
        fresh_later = _latest(later, len(later) - self._num_later)
        if fresh or fresh_later:
            added = np.sort([value for _, value in fresh])
            self._ordered = np.insert(self._ordered, self._ordered.searchsorted(added), added)
            both = [(values[number], value) for number, value in fresh_later if number in values]
            self._here = np.append(self._here, [one for one, _ in both])
            self._later = np.append(self._later, [value for _, value in both])
            self._num_later = len(later)
            self._evidence = self._estimate()
        return self._evidence

    def _estimate(self) -> Evidence:
        ordered = self._ordered
        is_better = self._here >= (ordered[(len(ordered) - 1) // 2] if len(ordered) else 0.0)
        here, later = self._here[is_better], self._later[is_better]
        if len(here) < FEWEST_PAIRS:
            return Evidence()
        correlation = rank_correlation(here, later)
        if correlation is None:
            return Evidence()
        scores = normal_scores(ordered, here)
        stretch = max(1.0, 1 / max(float(scores.std()), SMALLEST_SPREAD))
        restored = correlation * stretch / math.sqrt(1 + correlation**2 * (stretch**2 - 1))
        return Evidence(z=math.atanh(_held(restored)), weight=(len(here) - 2) / stretch**2)


def _latest(values: dict[int, float], count: int) -> list[tuple[int, float]]:
    """The items that were added last, in the order in which they were added."""
    return [(number, values[number]) for number in [*islice(reversed(values), count)][::-1]]


def rank_correlation(first: Array, second: Array) -> float | None:
    """Spearman's correlation, a little inside its bounds; None if all values of one are equal."""
    one, other = (_ranks(values) for values in (first, second))
    spread = math.sqrt(float(one @ one) * float(other @ other))
    return None if spread == 0 else _held(float(one @ other) / spread)


def _ranks(values: Array) -> Array:
    """Twice the ranks of the values less their mean; ties share their mean rank."""
    ordered = np.sort(values)
    below, up_to = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray(below + up_to - len(values), dtype=np.float64)


def normal_scores(all_values: Array, values: Array) -> Array:
    """The normal quantiles of the places of `values` among `all_values`, which are sorted."""
    places = np.searchsorted(all_values, values)
    return np.asarray(normal.quantile((places + 0.5) / len(all_values)))


def _held(correlation: float) -> float:
    return min(max(correlation, -LARGEST), LARGEST)


def believed(evidence: Sequence[Evidence]) -> float:
    """The rank correlation from one rung to the next, after all cohorts' evidence; at least 0."""
    weights = [PRIOR_TRIALS, *(one.weight for one in evidence)]
    terms = [math.atanh(PRIOR) * PRIOR_TRIALS, *(one.z * one.weight for one in evidence)]
    return max(0.0, math.tanh(sum(terms) / sum(weights)))


def share_to_promote(correlation: float) -> float:
    """The share of a rung's trials to promote, given its correlation with the end, from 0 to 1."""
    correlations, shares = _shares()
    return max(float(np.interp(correlation, correlations, shares)), LEAST_SHARE)


@cache
def _shares() -> tuple[Array, Array]:
    """Correlations, and for each the share that lets the best tenth pass, under normal scores."""
    correlations = np.linspace(0.0, 0.99, 100)
    best = normal.quantile(1 - BEST_SHARE * (np.arange(200) + 0.5) / 200)
    low, high = np.full(100, -6.0), np.full(100, 6.0)
    means, spread = correlations[:, None] * best, np.sqrt(1 - correlations**2)
    for _ in range(50):
        middle = (low + high) / 2
        passing = normal.cdf((means - middle[:, None]) / spread[:, None]).mean(axis=1)
        low = np.where(passing > SAFETY, middle, low)
        high = np.where(passing > SAFETY, high, middle)
    return correlations, np.asarray(1 - normal.cdf(low))
