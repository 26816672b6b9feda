"""Everything that was computed from a study, before it is put into flags and words."""

import math
from dataclasses import dataclass

import numpy as np

from bakeoff.analysis.arms import Runs, collect_runs, summarize_arms
from bakeoff.analysis.pairs import Pair, compare_pairs, leading_group
from bakeoff.analysis.statistics import min_seeds, standard_error_of_share
from bakeoff.analysis.target import target_of, with_time_to_target
from bakeoff.records import ArmSummary, Level, StudyRecord

DELTA_IN_STANDARD_ERRORS = 2
"""A difference below two standard errors of the test set could be its choice of samples."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """Numbers and statuses of a study."""

    record: StudyRecord
    runs: Runs
    arms: tuple[ArmSummary, ...]
    """Best confirmed mean first."""
    pairs: tuple[Pair, ...]
    """Sentences still empty."""
    leading: tuple[str, ...]
    level: Level
    delta: float
    delta_source: str
    min_seeds: int
    test_standard_error: float | None


def find(record: StudyRecord) -> Findings:
    """Compute all numbers and statuses of `record`."""
    runs = collect_runs(record)
    arms = summarize_arms(record, runs)
    ranked = [arm.arm for arm in arms]
    delta, delta_source = smallest_difference_that_matters(record, arms)
    pairs = compare_pairs(
        ranked,
        runs,
        sign=record.objective.sign,
        delta=delta,
        blocked=record.shared_sampler or test_was_read_early(record),
    )
    needed = min_seeds(len(record.arms))
    leading = leading_group(ranked, runs, pairs, needed)
    target = target_of(record, runs, leading)
    return Findings(
        record=record,
        runs=runs,
        arms=tuple(with_time_to_target(arm, record, runs.get(arm.arm), target) for arm in arms),
        pairs=pairs,
        leading=leading,
        level="L1" if leading else "L0",
        delta=delta,
        delta_source=delta_source,
        min_seeds=needed,
        test_standard_error=best_mean_standard_error(record, arms),
    )


def test_was_read_early(record: StudyRecord) -> bool:
    """Whether a search or shortlist run carries test scores, which must not guide a choice."""
    return any(
        run.test_metrics for run in record.trials + record.confirmations if run.purpose != "confirm"
    )


def smallest_difference_that_matters(
    record: StudyRecord, arms: tuple[ArmSummary, ...]
) -> tuple[float, str]:
    """The difference delta below which one does not care, and where it comes from.

    The user's, else two standard errors of the test set for metrics averaged over samples, else
    the standard deviation over confirmation seeds, pooled over the arms without diverged runs.
    NaN if none of these is known.
    """
    if record.delta is not None:
        return record.delta, "set in the study file"
    error = best_mean_standard_error(record, arms)
    if error is not None:
        return DELTA_IN_STANDARD_ERRORS * error, (
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

    None unless the objective is a mean over samples between finite bounds, the number of test
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
