"""Everything that is computed from a study before flags and sentences are derived from it."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bakeoff.analysis.arm_summary import summarize_arms
from bakeoff.analysis.confirmation import is_undefined_on_test
from bakeoff.analysis.design import design_of
from bakeoff.analysis.pairs import Pair, compare_pairs, leading_group
from bakeoff.analysis.robustness import best_validation_mean, robustness_of
from bakeoff.analysis.searches import (
    Runs,
    Searches,
    counted_repeats,
    has_enough_searches,
    search_units,
    searches_of,
    shown_searches,
)
from bakeoff.analysis.statistics import standard_error_of_share
from bakeoff.analysis.target import target_of, with_arrival_tests, with_time_to_target
from bakeoff.analysis.wording import scope_of
from bakeoff.records import ArmSummary, Level, MetricInfo, StudyRecord
from bakeoff.records.significance import min_confirmation_seeds

Blocker = Literal["shared_sampler", "test_set_read", "undefined_on_test"]

DELTA_IN_STANDARD_ERRORS = 2
"""A smaller difference could come from the choice of test samples alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """Numbers and statuses of a study."""

    record: StudyRecord
    searches: Searches
    runs: Runs
    """The confirmation runs of each arm's recommended configuration."""
    units: Runs
    """What pairs are compared on: `runs`, or one run per search at level L2."""
    arms: tuple[ArmSummary, ...]
    """Best mean first."""
    pairs: tuple[Pair, ...]
    """Their sentences are still empty."""
    leading: tuple[str, ...]
    over_searches: bool
    """Whether pairs are compared on repeated searches, because enough of them count."""
    level: Level
    """L2 if a pair of arms could be compared on searches, L1 if on confirmation runs, else L0."""
    delta: float
    delta_source: str
    min_seeds: int
    """Fewest confirmation seeds, or searches at level L2, that can give a verdict."""
    repeats_counted: int
    """Repeats in which the searches of all arms count at level L2."""
    test_standard_error: float | None
    scope: str
    """What every claim holds for."""
    blocked_by: Blocker | None
    """Why nothing may be claimed, whatever the number of confirmed seeds."""


def find(record: StudyRecord) -> Findings:
    """Compute all numbers and statuses of `record`."""
    found = decide(record)
    target = target_of(record, found.runs, found.leading)
    best = best_validation_mean(record, found.arms)
    arms = tuple(
        with_time_to_target(
            replace(arm, robustness=robustness_of(record, arm, delta=found.delta, best=best)),
            record,
            found.runs.get(arm.arm),
            target,
        )
        for arm in found.arms
    )
    return replace(found, arms=arms, pairs=with_arrival_tests(found.pairs, arms, record.epochs))


def decide(record: StudyRecord) -> Findings:
    """What decides the answer: summaries, pairs and the leading group.

    The time to a target and robustness are still missing; nothing is decided by them.
    """
    needed = min_confirmation_seeds(len(record.arms))
    searches = searches_of(record)
    over_searches = has_enough_searches(searches, needed)
    sign = record.objective.sign
    shown = shown_searches(searches, needed, sign, over_searches=over_searches)
    runs = {arm: one.confirmed for arm, one in shown.items() if one.confirmed}
    units = search_units(record, searches) if over_searches else runs
    arms = summarize_arms(record, searches, shown, units if over_searches else {})
    ranked = [arm.arm for arm in arms]
    standard_error = best_mean_standard_error(record, arms)
    delta, delta_source = smallest_difference_that_matters(record, arms, standard_error)
    blocked_by = find_blocker(record)
    blocked = blocked_by is not None
    design = design_of(record, over_searches=over_searches)
    pairs = compare_pairs(ranked, units, sign=sign, delta=delta, blocked=blocked, design=design)
    leading = leading_group(ranked, units, pairs, needed)
    # a study of one arm reaches L1 with as many runs as two arms would need
    alone = len(arms) == 1 and any(len(found.seeds) >= needed for found in runs.values())
    compared = any(pair.result.status != "not_enough_data" for pair in pairs)
    return Findings(
        record=record,
        searches=searches,
        runs=runs,
        units=units,
        arms=arms,
        pairs=pairs,
        leading=leading,
        over_searches=over_searches,
        level=_level(compared or (alone and not blocked), over_searches),
        delta=delta,
        delta_source=delta_source,
        min_seeds=needed,
        repeats_counted=len(counted_repeats(searches)),
        test_standard_error=standard_error,
        scope=scope_of(record),
        blocked_by=blocked_by,
    )


def _level(has_verdict: bool, over_searches: bool) -> Level:
    if not has_verdict:
        return "L0"
    return "L2" if over_searches else "L1"


def find_blocker(record: StudyRecord) -> Blocker | None:
    """What forbids every claim.

    One sampler proposed for all arms (W01), or the test set was read early (W06) or gives no score
    (W17).
    """
    if record.shared_sampler:
        return "shared_sampler"
    if peeked_at_test(record):
        return "test_set_read"
    return "undefined_on_test" if is_undefined_on_test(record) else None


def peeked_at_test(record: StudyRecord) -> bool:
    """Whether a search or shortlist run has test scores, which must not guide a choice."""
    return any(
        run.test_metrics
        for run in record.trials + record.confirmations
        if run.purpose not in ("confirm", "default")
    )


def smallest_difference_that_matters(
    record: StudyRecord, arms: tuple[ArmSummary, ...], standard_error: float | None
) -> tuple[float, str]:
    """The smallest difference delta that matters, and where it comes from.

    It is the user's delta; without one, two standard errors of the test set for metrics averaged
    over samples; otherwise the standard deviation over confirmation seeds, pooled over the arms
    without diverged runs. It is NaN if none of these is known.
    """
    if record.delta is not None:
        return record.delta, "set in the study file"
    if standard_error is not None:
        return DELTA_IN_STANDARD_ERRORS * standard_error, (
            f"{DELTA_IN_STANDARD_ERRORS} x the standard error from {record.num_test:,} test "
            "samples, at the best confirmed mean"
        )
    variances = [
        arm.confirmed.test_sd**2
        for arm in arms
        if arm.confirmed and not arm.confirmed.num_diverged and arm.confirmed.test_sd >= 0
    ]
    if variances:
        return math.sqrt(np.mean(variances)), "pooled standard deviation over confirmation seeds"
    return math.nan, "unknown before confirmation"


def best_mean_standard_error(record: StudyRecord, arms: tuple[ArmSummary, ...]) -> float | None:
    """Test-set standard error at the best confirmed mean, in units of the objective.

    It is None unless the objective is a mean over samples between finite bounds, the number of test
    samples is known and an arm was confirmed.
    """
    confirmed = next((arm.confirmed for arm in arms if arm.confirmed), None)
    if confirmed is None:
        return None
    return standard_error_of_score(confirmed.test_mean, record.objective, record.num_test)


def standard_error_of_score(
    score: float, objective: MetricInfo, num_samples: int | None
) -> float | None:
    """Standard error of a score over samples, in units of the objective.

    It is None unless the objective is a mean over samples between finite bounds and the number of
    samples is known.
    """
    width = objective.high - objective.low
    if not num_samples or not objective.is_mean_over_samples:
        return None
    if not math.isfinite(width) or width <= 0:
        return None
    return width * standard_error_of_share((score - objective.low) / width, num_samples)
