"""The learning rate of a trial, and how sensitive an arm is to it.

Axis B is the bins of half a decade. Scores are given so that higher is better.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from bakeoff.analysis.statistics import Scores
from bakeoff.analysis.tuning import expected_best_of_k
from bakeoff.records import RateRobustness, TrialRecord

LEARNING_RATE = re.compile(r"(^|[^A-Za-z])(learning_rate|lr)$")

BIN_DECADES = 0.5
WINDOW_BINS = 2
"""Bins on each side of the best bin, which make one decade."""
MIN_IN_BIN = 3
"""A bin with fewer trials is not judged by its best trial."""
TINY = 1e-9


def learning_rate_parameter(trial: TrialRecord) -> str | None:
    """Full name of the trial's learning rate, `<optimizer>.learning_rate`; None if it has none.

    In studies of other programs it is the first parameter whose name ends with `learning_rate` or
    `lr`.
    """
    named = f"{trial.params.get('optimizer', trial.arm)}.learning_rate"
    found = [name for name in trial.params if LEARNING_RATE.search(name)]
    return named if named in found else next(iter(found), None)


def learning_rate_of(trial: TrialRecord) -> float | None:
    """The trial's learning rate; None if it is missing or not a positive number."""
    name = learning_rate_parameter(trial)
    rate = trial.params[name] if name else None
    if not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
        return None
    return float(rate)


def rate_sensitivity(
    rates: Scores, scores: Scores, *, bounds: tuple[float, float], delta: float, floor: float
) -> RateRobustness:
    """Sensitivity S and tolerance of an arm from random trials, or a note that says why not.

    Bins are half decades of the logarithm, and a bin's score is the expected best of m of its
    trials, where m is the smallest count in the window of five bins, so that full bins have no
    advantage. The window is the bin with the best score and one decade to each side. No interval
    is given, because the best of nearly all trials of a bin cannot be resampled (see
    `expected_best_interval`).

    Args:
        rates: Learning rates [n].
        scores: Scores [n] of the same trials, finite.
        bounds: The range that was searched; it must cover at least half of each outer bin of the
            window.
        delta: Smallest difference that matters.
        floor: Score of an untrained model, below which no bin counts; -inf if unknown.

    Source: Wortsman et al. 2023, section 2.2 (sensitivity S), with a window for each arm instead of
    one absolute grid, since learning rates of different optimizers are different quantities.
    """
    members, bests = _binned(rates, scores), best_by_half_decade(rates, scores)
    if not bests:
        return RateRobustness(note=f"no half decade has {MIN_IN_BIN} trials")
    best = max(bests, key=lambda place: bests[place])
    window = range(best - WINDOW_BINS, best + WINDOW_BINS + 1)
    # at least half of each outer bin must have been searched
    middles = [(place + 0.5) * BIN_DECADES for place in (window[0], window[-1])]
    low, high = (math.log10(bound) if bound > 0 else math.inf for bound in bounds)
    if low > middles[0] + TINY or high < middles[1] - TINY:
        return RateRobustness(note="the range ends within a decade of the best")
    fewest = min(len(members.get(place, ())) for place in window)
    if fewest < MIN_IN_BIN:
        return RateRobustness(note=f"a half decade has {fewest} trials, not {MIN_IN_BIN}")
    values = np.array([expected_best_of_k(members[place], fewest) for place in window])
    tolerance = tolerance_of(values, delta, BIN_DECADES)
    return RateRobustness(
        sensitivity=sensitivity_of(values, floor),
        tolerance_decades=None if math.isnan(tolerance) else tolerance,
        best_of=fewest,
    )


def best_by_half_decade(rates: Scores, scores: Scores) -> Mapping[int, float]:
    """Expected best of three trials, by `half_decade`, of each half decade with enough trials.

    Args:
        rates: Learning rates [n].
        scores: Scores [n] of the same trials, finite.

    Source: `expected_best_of_k`, so that a half decade with many trials has no advantage.
    """
    return {
        place: expected_best_of_k(own, MIN_IN_BIN)
        for place, own in _binned(rates, scores).items()
        if len(own) >= MIN_IN_BIN
    }


def half_decade(rate: float) -> int:
    """Number of the half decade that `rate` lies in: from 10 ** (number / 2) to the next."""
    return math.floor(math.log10(rate) / BIN_DECADES)


def sensitivity_of(values: Scores, floor: float = -math.inf) -> float:
    """Mean shortfall of `values` [B] from the best value, where none counts as below `floor`.

    Source: Wortsman et al. 2023, section 2.2, for losses `-values` and a loss `-floor` at
    initialization, on a grid that is even in the logarithm of the learning rate.
    """
    kept = np.maximum(values, floor)
    return float(np.max(kept) - np.mean(kept))


def tolerance_of(values: Scores, delta: float, bin_decades: float) -> float:
    """Decades of learning rate at which `values` [B] are within `delta` of the best value."""
    if math.isnan(delta):
        return math.nan
    return bin_decades * int(np.count_nonzero(values >= np.max(values) - delta))


def _binned(rates: Scores, scores: Scores) -> Mapping[int, Scores]:
    places = np.array([half_decade(rate) for rate in rates.tolist()])
    return {int(place): scores[places == place] for place in np.unique(places)}
