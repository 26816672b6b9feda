"""Everything that is computed from a study before flags and sentences are derived from it."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bakeoff.analysis.arm_summary import Runs, summarize_arms
from bakeoff.analysis.confirmation import confirmed_runs
from bakeoff.analysis.pairs import Pair, compare_pairs, leading_group
from bakeoff.analysis.robustness import best_validation_mean, robustness_of
from bakeoff.analysis.statistics import standard_error_of_share
from bakeoff.analysis.target import target_of, with_arrival_tests, with_time_to_target
from bakeoff.analysis.wording import scope_of
from bakeoff.records import ArmSummary, Level, StudyRecord
from bakeoff.records.significance import min_confirmation_seeds

Blocker = Literal["shared_sampler", "test_set_read"]

DELTA_IN_STANDARD_ERRORS = 2
"""A smaller difference could come from the choice of test samples alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """Numbers and statuses of a study."""

    record: StudyRecord
    runs: Runs
    arms: tuple[ArmSummary, ...]
    """Best confirmed mean first."""
    pairs: tuple[Pair, ...]
    """Their sentences are still empty."""
    leading: tuple[str, ...]
    level: Level
    """L1 if a pair of arms could be compared on confirmation runs, otherwise L0."""
    delta: float
    delta_source: str
    min_seeds: int
    test_standard_error: float | None
    scope: str
    """What every claim holds for."""
    blocked_by: Blocker | None
    """Why nothing may be claimed, whatever the number of confirmed seeds."""


def find(record: StudyRecord) -> Findings:
    """Compute all numbers and statuses of `record`."""
    confirmed = {arm.name: confirmed_runs(record, arm.name) for arm in record.arms}
    runs = {arm: found for arm, found in confirmed.items() if found}
    arms = summarize_arms(record, runs)
    ranked = [arm.arm for arm in arms]
    standard_error = best_mean_standard_error(record, arms)
    delta, delta_source = smallest_difference_that_matters(record, arms, standard_error)
    blocked_by = find_blocker(record)
    blocked = blocked_by is not None
    pairs = compare_pairs(ranked, runs, sign=record.objective.sign, delta=delta, blocked=blocked)
    needed = min_confirmation_seeds(len(record.arms))
    leading = leading_group(ranked, runs, pairs, needed)
    target = target_of(record, runs, leading)
    best = best_validation_mean(record, arms)
    arms = tuple(
        with_time_to_target(
            replace(arm, robustness=robustness_of(record, arm, delta=delta, best=best)),
            record,
            runs.get(arm.arm),
            target,
        )
        for arm in arms
    )
    # a study of one arm reaches L1 with as many runs as two arms would need
    alone = len(arms) == 1 and any(len(found.seeds) >= needed for found in runs.values())
    compared = any(pair.result.status != "not_enough_data" for pair in pairs)
    return Findings(
        record=record,
        runs=runs,
        arms=arms,
        pairs=with_arrival_tests(pairs, arms, record.epochs),
        leading=leading,
        level="L1" if compared or (alone and not blocked) else "L0",
        delta=delta,
        delta_source=delta_source,
        min_seeds=needed,
        test_standard_error=standard_error,
        scope=scope_of(record),
        blocked_by=blocked_by,
    )


def find_blocker(record: StudyRecord) -> Blocker | None:
    """What forbids every claim: one sampler for all arms (W01), or a test set read early (W06)."""
    if record.shared_sampler:
        return "shared_sampler"
    return "test_set_read" if peeked_at_test(record) else None


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
    objective = record.objective
    width = objective.high - objective.low
    confirmed = next((arm.confirmed for arm in arms if arm.confirmed), None)
    if confirmed is None or not record.num_test or not objective.is_mean_over_samples:
        return None
    if not math.isfinite(width) or width <= 0:
        return None
    share = (confirmed.test_mean - objective.low) / width
    return width * standard_error_of_share(share, record.num_test)
