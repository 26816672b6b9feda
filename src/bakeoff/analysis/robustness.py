"""What a careless choice costs: share near the best, divergence, sensitivity to the learning rate.

The report shows it as table T6.
"""

import math

import numpy as np

from bakeoff.analysis.arm_trials import searched_trials
from bakeoff.analysis.confirmation import finite_values
from bakeoff.analysis.draws import Draws, is_draw, random_draws
from bakeoff.analysis.learning_rate import (
    learning_rate_of,
    learning_rate_parameter,
    rate_sensitivity,
)
from bakeoff.analysis.statistics import ROUNDING, wilson_interval
from bakeoff.analysis.tuning import trials_for_success
from bakeoff.ranges import FloatRange, IntRange
from bakeoff.records import ArmSummary, NearBest, RateRobustness, Robustness, Share, StudyRecord


def robustness_of(
    record: StudyRecord, summary: ArmSummary, *, delta: float, best: float | None
) -> Robustness:
    """Shares of an arm's random trials, with Wilson intervals.

    Args:
        record: The study.
        summary: The arm.
        delta: Smallest difference that matters; NaN leaves near-best shares unknown.
        best: Best confirmed validation mean of all arms; None if no arm was confirmed.
    """
    draws = random_draws(record, summary.arm)
    own = summary.confirmed.validation_mean if summary.confirmed else summary.search_best
    diverged = sum(trial.outcome == "diverged" for trial in draws.trials)
    # a failure of another program's run may be a result of NaN, which Optuna stores as a failure
    failed = sum(
        record.foreign and trial.outcome == "failed" and is_draw(record, trial)
        for trial in searched_trials(record, summary.arm)
    )
    return Robustness(
        near_own=_near_best(draws, record, own, delta),
        near_best=_near_best(draws, record, best, delta),
        diverged=_share(diverged, diverged + failed, draws.num + failed),
        learning_rate=_rate_robustness(draws, record, delta),
    )


def best_validation_mean(record: StudyRecord, arms: tuple[ArmSummary, ...]) -> float | None:
    """The best confirmed validation mean of all arms; None if no arm has one."""
    sign = record.objective.sign
    means = finite_values(arm.confirmed.validation_mean for arm in arms if arm.confirmed)
    return sign * max(sign * mean for mean in means) if means else None


def untrained_score(record: StudyRecord) -> float:
    """Median score of the diverged trials, which is that of an untrained model; NaN without any."""
    scores = finite_values(t.score for t in record.trials if t.outcome == "diverged")
    return float(np.median(scores)) if scores else math.nan


def _near_best(
    draws: Draws, record: StudyRecord, reference: float | None, delta: float
) -> NearBest | None:
    if reference is None or not math.isfinite(reference) or math.isnan(delta) or not draws.num:
        return None
    least = record.objective.sign * reference - delta
    # scores are decimal fractions: 0.91 - 0.01 must reach 0.90
    least -= ROUNDING * abs(least)
    share = _share(
        int(np.count_nonzero(draws.scores >= least)),
        int(np.count_nonzero(draws.upper >= least)),
        draws.num,
    )
    return NearBest(
        reference=reference,
        share=share,
        trials_needed=trials_for_success(share.at_least / share.of),
        trials_ci=(trials_for_success(share.ci[1]), trials_for_success(share.ci[0])),
    )


def _share(at_least: int, at_most: int, of: int) -> Share:
    """Interval from the lower side of the smaller share to the upper side of the larger one."""
    # the ends for "none" and "all" are exactly 0 and 1; rounding would miss them
    low = wilson_interval(at_least / of, of)[0] if at_least else 0.0
    high = wilson_interval(at_most / of, of)[1] if at_most < of else 1.0
    return Share(at_least=at_least, at_most=at_most, of=of, ci=(low, high))


def _rate_robustness(draws: Draws, record: StudyRecord, delta: float) -> RateRobustness:
    """Sensitivity from the arm's random trials with a learning rate, or why there is none."""
    rates = [learning_rate_of(trial) for trial in draws.trials]
    bounds = _rate_bounds(record, draws.arm)
    if bounds is None or not rates or None in rates:
        return RateRobustness(note="no learning rate was searched")
    if not draws.is_known.all():
        return RateRobustness(note="unknown, because trials were pruned")
    untrained = untrained_score(record)
    return rate_sensitivity(
        np.array(rates, dtype=float),
        draws.scores,
        bounds=bounds,
        delta=delta,
        floor=-math.inf if math.isnan(untrained) else record.objective.sign * untrained,
    )


def _rate_bounds(record: StudyRecord, arm: str) -> tuple[float, float] | None:
    """The range in which the arm's learning rate was searched; None if it was not."""
    trials = searched_trials(record, arm)
    name = learning_rate_parameter(trials[0]) if trials else None
    searched = next(known.space for known in record.arms if known.name == arm).get(name or "")
    if not isinstance(searched, FloatRange | IntRange):
        return None
    return float(searched.low), float(searched.high)
