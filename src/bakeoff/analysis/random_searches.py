"""Level L2 without repeated searches: random, unpruned trials can be drawn again.

Trials of a random search are independent, so any k of n of them are a search of k trials. Up to
k = n / 5 such searches say how the arms differ, and not only the configurations found. They speak
of validation scores of single runs: the noise of one training seed is part of every score, and the
best of k is as optimistic for one arm as for the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bakeoff.analysis.draws import Draws, approximation, is_random_search, random_draws
from bakeoff.analysis.statistics import Interval, Scores, holm, num_pairs_of
from bakeoff.analysis.tuning import best_of_k_weights
from bakeoff.analysis.wording import SCOPE, interval, metric_name, number, p_value
from bakeoff.records import StudyRecord
from bakeoff.records.significance import ALPHA, MIN_SEARCH_TRIALS

PERMUTATIONS, RESAMPLES = 4_999, 2_000
MAX_DRAWN = 2_000_000
"""Scores drawn at once; with many trials fewer permutations are made."""


@dataclass(frozen=True, kw_only=True)
class SearchDifference:
    """The best of k trials of one arm against that of another; higher is better."""

    mean: float
    """Difference of the expected best of k."""
    ci: Interval
    """Percentile bootstrap over trials."""
    p: float
    """Two-sided permutation test: trials change arms."""


def compare_random_searches(a: Scores, b: Scores, k: int, level: float) -> SearchDifference:
    """Compare searches of `k` trials, from independent trials `a` [n] and `b` [n'].

    The p value is exact for arms with one distribution of scores, up to the number of permutations.
    The interval holds for different distributions too, for k up to n / 5.

    Source: expected best of k of Tang et al. 2020; permutation test, Fisher 1935; coverage of the
    bootstrap in `tests/unit/analysis/test_simulations.py`.
    """
    rng = np.random.default_rng(0)
    weights_a, weights_b = best_of_k_weights(len(a), k), best_of_k_weights(len(b), k)

    def difference(one: Scores, other: Scores) -> Scores:
        return np.sort(one, axis=-1) @ weights_a - np.sort(other, axis=-1) @ weights_b

    pooled = np.concatenate((a, b))
    fits = max(1, MAX_DRAWN // len(pooled))
    mixed = rng.permuted(np.tile(pooled, (min(PERMUTATIONS, fits), 1)), axis=1)
    drawn = np.abs(difference(mixed[:, : len(a)], mixed[:, len(a) :]))
    observed = float(difference(a, b))
    as_far = np.count_nonzero(drawn >= abs(observed) * (1 - 1e-12))
    shape = min(RESAMPLES, fits)
    again = difference(
        rng.choice(a, (shape, len(a)), replace=True), rng.choice(b, (shape, len(b)), replace=True)
    )
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return SearchDifference(mean=observed, ci=(low, high), p=(1 + int(as_far)) / (1 + len(drawn)))


def random_search_sentences(record: StudyRecord) -> tuple[str, ...]:
    """A sentence for each pair of arms whose searches were random and not pruned.

    An arm is better if the permutation test says so after Holm's correction over these pairs, and
    the interval at level 1 - 0.05 / m agrees.
    """
    draws = [
        random_draws(record, arm.name) for arm in record.arms if is_random_search(record, arm.name)
    ]
    usable = [
        own
        for own in draws
        if own.num >= MIN_SEARCH_TRIALS and own.is_known.all() and np.isfinite(own.scores).all()
    ]
    return tuple(_sentences(record, list(combinations(usable, 2))))


def _sentences(record: StudyRecord, pairs: list[tuple[Draws, Draws]]) -> Iterator[str]:
    level = 1 - ALPHA / num_pairs_of(len(record.arms))
    budgets = [min(a.supported, b.supported) for a, b in pairs]
    found = [
        compare_random_searches(a.scores, b.scores, k, level)
        for (a, b), k in zip(pairs, budgets, strict=True)
    ]
    corrected = holm(np.array([one.p for one in found])).tolist()
    for (a, b), k, one, p in zip(pairs, budgets, found, corrected, strict=True):
        low, high = one.ci
        shown = p < ALPHA and (low > 0 or high < 0)
        first, second = (a, b) if one.mean >= 0 else (b, a)
        sign = 1 if one.mean >= 0 else -1
        bounds = tuple(sorted((sign * low, sign * high)))
        core = (
            f"{first.arm} beats {second.arm} in random searches of {k} trials"
            if shown
            else f"No difference was shown between random searches of {k} trials of {first.arm} and"
            f" {second.arm}"
        )
        yield (
            f"{core}: the expected best validation {metric_name(record.objective)} differs by"
            f" {number(sign * one.mean, (high - low) / 2)} ({100 * level:.3g} % CI"
            f" {interval((bounds[0], bounds[1]))}, Holm {p_value(p)}, from {a.num} and {b.num}"
            " random trials on one seed each, level L2 on validation),"
            f" {SCOPE}.{approximation(record)}"
        )
