"""Which of two arms the search favours at which budget, in words that the evidence supports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np

from bakeoff.analysis.bands import median_best_band
from bakeoff.analysis.draws import approximation, random_draws
from bakeoff.analysis.statistics import Interval, Scores
from bakeoff.analysis.tuning import median_best_of_k, probability_best_of_k
from bakeoff.analysis.wording import SCOPE, join, metric_name, plural
from bakeoff.records import StudyRecord

STRENGTHS = ("no", "weak", "fair", "strong")
MIN_CONSECUTIVE = 3
"""Consecutive budgets that must agree before an arm counts as favoured."""
MAX_BUDGET = 100
"""Larger budgets are not examined."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive budgets k for which the search favours one arm."""

    first: int
    last: int
    a_leads: bool
    strength: str
    """The weakest in the stretch: weak, fair or strong."""


def favoured_stretches(a: Scores, b: Scores, largest: int, bounds: Interval) -> tuple[Stretch, ...]:
    """Stretches of budgets k in 1..`largest` for which `a` [n] or `b` [n'] is favoured.

    The evidence at one k is strong where the bands of the two median curves are disjoint, fair
    where each band excludes the other curve, weak where one band does. An arm is favoured only if
    it is ahead both by its median curve and by P(its best of k is better). A stretch needs three
    consecutive budgets with the same arm.

    Args:
        a: Scores of independent trials, higher is better.
        b: Scores of the other arm.
        largest: The largest k that the trials support.
        bounds: The lowest and highest score there can be.

    Source: Lourie, Cho and He 2024, section 5 (strong, fair and weak evidence).
    """
    if largest < MIN_CONSECUTIVE:
        return ()
    budgets = range(1, min(largest, MAX_BUDGET) + 1)
    ks = np.array(budgets, dtype=np.float64)
    curve_a, curve_b = (np.array([median_best_of_k(own, k) for k in budgets]) for own in (a, b))
    low_a, high_a = median_best_band(a, ks, bounds)
    low_b, high_b = median_best_band(b, ks, bounds)
    a_excludes = (curve_b < low_a) | (curve_b > high_a)
    b_excludes = (curve_a < low_b) | (curve_a > high_b)
    disjoint = (low_a > high_b) | (low_b > high_a)
    strength = np.where(disjoint, 3, a_excludes.astype(int) + b_excludes)
    by_chance = np.array([probability_best_of_k(a, b, k) for k in budgets]) - 0.5
    agree = (curve_a - curve_b) * by_chance > 0
    ahead = np.where((strength > 0) & agree, np.sign(by_chance), 0.0)
    return tuple(_stretches(ahead.tolist(), strength.tolist()))


def _stretches(ahead: Sequence[float], strength: Sequence[int]) -> Iterator[Stretch]:
    start = 0
    for sign, group in groupby(ahead):
        length = len(list(group))
        if sign and length >= MIN_CONSECUTIVE:
            weakest = STRENGTHS[min(strength[start : start + length])]
            last = start + length
            yield Stretch(first=start + 1, last=last, a_leads=sign > 0, strength=weakest)
        start += length


def effort_sentences(record: StudyRecord) -> tuple[str, ...]:
    """One sentence for each pair of arms whose random trials support a statement.

    Arms with pruned random trials, whose final scores are unknown, are left out, and so are arms
    with too few random trials to support three budgets.
    """
    draws = [random_draws(record, arm.name) for arm in record.arms]
    usable = [own for own in draws if own.is_known.all() and own.supported >= MIN_CONSECUTIVE]
    metric = record.objective
    low, high = sorted((metric.sign * metric.low, metric.sign * metric.high))
    sentences = []
    for a, b in combinations(usable, 2):
        largest = min(a.supported, b.supported, MAX_BUDGET)
        stretches = favoured_stretches(a.scores, b.scores, largest, (low, high))
        sentence = _sentence((a.arm, b.arm), stretches, largest, metric_name(metric))
        sentences.append(sentence + approximation(record))
    return tuple(sentences)


def _sentence(
    names: tuple[str, str], stretches: Sequence[Stretch], largest: int, metric: str
) -> str:
    if not stretches:
        return (
            f"With up to {plural(largest, 'random trial')}, the search does not separate"
            f" {join(names)} on validation {metric}, {SCOPE}."
        )
    claims = [
        f"{names[not each.a_leads]} is ahead of {names[each.a_leads]} with {each.first} to"
        f" {each.last} trials ({each.strength} evidence)"
        for each in stretches
    ]
    decided = sum(stretch.last - stretch.first + 1 for stretch in stretches)
    gaps = "; at other budgets the search does not separate them" if decided < largest else ""
    leaders = {stretch.a_leads for stretch in stretches}
    crossing = "; the answer depends on the budget" if len(leaders) > 1 else ""
    return (
        f"With up to {plural(largest, 'random trial')}, by the median best validation {metric},"
        f" {join(claims)}{gaps}{crossing}, {SCOPE}."
    )
