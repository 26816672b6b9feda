"""What a given number of trials can be expected to find: the estimates of table T4."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from bakeoff.analysis.draws import Draws, approximation, best_k_values, random_draws
from bakeoff.analysis.statistics import ROUNDING, UNKNOWN, Interval, Scores
from bakeoff.analysis.tuning import (
    expected_best_interval,
    expected_best_of_k,
    median_best_interval,
    median_best_of_k,
    probability_best_interval,
    probability_best_of_k,
)
from bakeoff.records import BudgetEstimate, BudgetQuantity, StudyRecord

Estimator = Callable[[Scores, int], float]
IntervalEstimator = Callable[[Scores, int], Interval]

BOOTSTRAP = "percentile bootstrap over trials"


def budget_estimates(record: StudyRecord) -> tuple[BudgetEstimate, ...]:
    """Median and expected best of k trials of each arm, and P(best of k of A beats that of B).

    The values of k are 1, 2, 5, 10, ... up to a fifth of an arm's random trials (for pairs, of the
    arm with fewer). A number that the unknown final scores of pruned trials could change is
    withheld, and only its bounds are given.
    """
    draws = [random_draws(record, arm.name) for arm in record.arms]
    sign = record.objective.sign
    rows = (
        *(row for own in draws for row in _best_rows(own, sign)),
        *(row for a, b in combinations(draws, 2) for row in _pair_rows(a, b)),
    )
    if not approximation(record):
        return rows
    return tuple(replace(row, method=f"{row.method}; approximate, Sobol points") for row in rows)


BEST_OF_K: tuple[tuple[BudgetQuantity, Estimator, IntervalEstimator, str], ...] = (
    ("median_best", median_best_of_k, median_best_interval, "exact, order statistics"),
    ("expected_best", expected_best_of_k, expected_best_interval, BOOTSTRAP),
)


def _best_rows(draws: Draws, sign: int) -> Iterator[BudgetEstimate]:
    for k in best_k_values(draws.supported):
        for quantity, estimate, interval, method in BEST_OF_K:
            row = BudgetEstimate(
                arm=draws.arm, other="", quantity=quantity, k=k, estimate=None, bounds=UNKNOWN,
                ci=UNKNOWN, method=method, n=draws.num,
            )  # fmt: skip
            found = [sign * estimate(scores, k) for scores in draws.bounds]
            if not _is_decided(found):
                yield _withheld(row, found)
                continue
            sides = [interval(scores, k) for scores in draws.bounds]
            ends = sign * sides[0][0], sign * sides[-1][1]
            yield replace(row, estimate=found[0], bounds=_ends(found), ci=_ends(ends))


def _pair_rows(a: Draws, b: Draws) -> Iterator[BudgetEstimate]:
    """The lowest value has the lower bounds of `a` and the upper bounds of `b`."""
    all_known = len(a.bounds) == len(b.bounds) == 1
    extremes = [(0, 0)] if all_known else [(0, -1), (-1, 0)]
    for k in best_k_values(min(a.supported, b.supported)):
        pairs = [(a.bounds[own], b.bounds[other]) for own, other in extremes]
        row = BudgetEstimate(
            arm=a.arm, other=b.arm, quantity="probability_better", k=k, estimate=None,
            bounds=UNKNOWN, ci=UNKNOWN, method=BOOTSTRAP, n=min(a.num, b.num),
        )  # fmt: skip
        found = [probability_best_of_k(*pair, k) for pair in pairs]
        if not _is_decided(found):
            yield _withheld(row, found)
            continue
        sides = [probability_best_interval(*pair, k) for pair in pairs]
        ends = sides[0][0], sides[-1][1]
        yield replace(row, estimate=found[0], bounds=_ends(found), ci=_ends(ends))


def _is_decided(found: Sequence[float]) -> bool:
    """Whether the estimate is the same with the lower and with the upper bounds of the scores."""
    return bool(np.isfinite(found).all()) and math.isclose(*_ends(found), rel_tol=ROUNDING)


def _withheld(row: BudgetEstimate, found: Sequence[float]) -> BudgetEstimate:
    """`row` without an estimate, because unknown final scores could change it."""
    return replace(row, bounds=_ends(found), method="bounds from pruned trials")


def _ends(values: Sequence[float]) -> Interval:
    return min(values), max(values)
