"""Which of two arms the search favours at which budget, in words that the evidence bears."""

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
"""Budgets in a row that must agree before anything is said."""
MAX_TOLD = 100
"""Budgets beyond this are not looked at."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Budgets k in a row for which the search favours one arm."""

    first: int
    last: int
    a_leads: bool
    strength: str
    """The weakest in the stretch: weak, fair or strong."""


def favoured_stretches(a: Scores, b: Scores, largest: int, bounds: Interval) -> tuple[Stretch, ...]:
    """Stretches of budgets k in 1..`largest` for which `a` [n] or `b` [n'] is favoured.

    The evidence at one k is strong where the bands of the two median curves are disjoint, fair
    where each band excludes the other curve, weak where one of them does. Only an arm that is ahead
    both by its median curve and by P(its best of k is better) is favoured. A stretch needs three
    budgets in a row with the same arm.

    Args:
        a: Scores of independent trials, higher is better.
        b: Scores of the other arm.
        largest: Largest k about which anything may be said.
        bounds: The lowest and highest score there can be.

    Source: Lourie, Cho and He 2024, section 5 (strong, fair and weak evidence).
    """
    if largest < MIN_CONSECUTIVE:
        return ()
    budgets = range(1, min(largest, MAX_TOLD) + 1)
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
            weakest = min(strength[start : start + length])
            yield Stretch(
                first=start + 1,
                last=start + length,
                a_leads=sign > 0,
                strength=STRENGTHS[weakest],
            )
        start += length


def effort_sentences(record: StudyRecord) -> tuple[str, ...]:
    """One sentence for each pair of arms whose random trials support a statement at all.

    None for arms with pruned random trials, whose final scores are unknown, and for those with too
    few to support three budgets.
    """
    draws = [random_draws(record, arm.name) for arm in record.arms]
    usable = [own for own in draws if own.is_known.all() and own.supported >= MIN_CONSECUTIVE]
    metric = record.objective
    low, high = sorted((metric.sign * metric.low, metric.sign * metric.high))
    sentences = []
    for a, b in combinations(usable, 2):
        largest = min(a.supported, b.supported, MAX_TOLD)
        stretches = favoured_stretches(a.scores, b.scores, largest, (low, high))
        told = _sentence((a.arm, b.arm), stretches, largest, metric_name(metric))
        sentences.append(told + approximation(record))
    return tuple(sentences)


def _sentence(
    names: tuple[str, str], stretches: Sequence[Stretch], largest: int, metric: str
) -> str:
    if not stretches:
        return (
            f"Up to {plural(largest, 'random trial')} the search does not tell {join(names)} apart"
            f" on validation {metric}, {SCOPE}."
        )
    claims = [_claim(names, stretch) for stretch in stretches]
    told = sum(stretch.last - stretch.first + 1 for stretch in stretches)
    gaps = "; at other budgets the search does not tell" if told < largest else ""
    leaders = {stretch.a_leads for stretch in stretches}
    crossing = "; the answer depends on the budget" if len(leaders) > 1 else ""
    return (
        f"Of up to {plural(largest, 'random trial')}, by median best validation {metric}:"
        f" {join(claims)}{gaps}{crossing}, {SCOPE}."
    )


def _claim(names: tuple[str, str], stretch: Stretch) -> str:
    ahead, behind = names if stretch.a_leads else names[::-1]
    return (
        f"{ahead} is ahead of {behind} with {stretch.first} to {stretch.last} trials"
        f" ({stretch.strength} evidence)"
    )
