"""What is said of each arm on its own: budget, search, chosen configuration, confirmation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bakeoff.analysis.boundaries import boundary_marks
from bakeoff.analysis.confirmation import (
    ConfirmedRuns,
    confirmed_runs,
    summarize_confirmation,
)
from bakeoff.ranges import Params
from bakeoff.records import ArmRecord, ArmSummary, StudyRecord, TrialRecord

Runs = Mapping[str, ConfirmedRuns]
"""Confirmed runs by arm; arms without any are missing."""


def collect_runs(record: StudyRecord) -> Runs:
    """The confirmation runs that count, of every arm that has any."""
    found = {arm.name: confirmed_runs(record, arm.name) for arm in record.arms}
    return {arm: runs for arm, runs in found.items() if runs is not None}


def summarize_arms(record: StudyRecord, runs: Runs) -> tuple[ArmSummary, ...]:
    """Every arm of the study, best confirmed mean first.

    Unconfirmed arms follow by their best search score, arms without one last; equal ones keep the
    order of the study. The time to target is left open, since the target depends on the verdict.
    """
    sign = record.objective.sign

    def rank(summary: ArmSummary) -> tuple[float, float]:
        mean = summary.confirmed.test_mean if summary.confirmed else -sign * np.inf
        best = -sign * np.inf if summary.search_best is None else summary.search_best
        return _without_rounding(-sign * mean), _without_rounding(-sign * best)

    summaries = [summarize_arm(record, arm, runs.get(arm.name)) for arm in record.arms]
    return tuple(sorted(summaries, key=rank))


def summarize_arm(
    record: StudyRecord, arm: ArmRecord, confirmed: ConfirmedRuns | None
) -> ArmSummary:
    """Counts, cost, best trial, chosen configuration and confirmation of one arm."""
    searched = searched_trials(record, arm.name)
    complete = best_first(searched, record.objective.sign)
    best = complete[0] if complete else None
    default = next(
        (trial for trial in record.trials if (trial.arm, trial.phase) == (arm.name, "default")),
        None,
    )
    chosen = _chosen_configuration(record, arm.name, confirmed) if confirmed else _found(best)
    return ArmSummary(
        arm=arm.name,
        num_by_outcome=dict(Counter(trial.outcome for trial in searched)),
        epochs=sum(trial.epochs_run for trial in searched),
        train_seconds=sum(trial.train_seconds for trial in searched),
        evaluate_seconds=sum(trial.evaluate_seconds for trial in searched),
        seconds_per_epoch=seconds_per_epoch(searched),
        search_best=best.score if best else None,
        search_best_trial=best.number if best else None,
        default_score=default.score if default else None,
        default_outcome=default.outcome if default else None,
        chosen_trial=chosen.trial,
        chosen_params=chosen.params,
        confirmed=(
            summarize_confirmation(confirmed, record.objective, chosen.search_score)
            if confirmed
            else None
        ),
        time_to_target=None,
        boundaries=boundary_marks(arm, chosen.params, complete),
    )


def searched_trials(record: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """Search trials of `arm` that belong to its budget: all but the default configuration."""
    return tuple(
        trial
        for trial in record.trials
        if trial.arm == arm and trial.purpose == "search" and trial.phase != "default"
    )


def best_first(trials: Sequence[TrialRecord], sign: int) -> list[TrialRecord]:
    """Complete trials with a finite score, best first; of equal ones the earlier first."""
    complete = [
        (sign * trial.score, trial)
        for trial in trials
        if trial.outcome == "complete" and trial.score is not None and np.isfinite(trial.score)
    ]
    return [trial for _, trial in sorted(complete, key=lambda pair: (-pair[0], pair[1].number))]


def seconds_per_epoch(trials: Sequence[TrialRecord]) -> float:
    """Median training seconds over all epochs of `trials`; NaN without any."""
    seconds = [result.train_seconds for trial in trials for result in trial.history]
    return float(np.median(seconds)) if seconds else float("nan")


def _without_rounding(value: float) -> float:
    """Twelve significant digits: equal means compare equal in whatever order they were summed."""
    return float(f"{value:.12g}")


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The configuration an arm is judged by."""

    trial: int | None = None
    params: Params = field(default_factory=dict)
    search_score: float | None = None


def _found(trial: TrialRecord | None) -> _Chosen:
    if trial is None:
        return _Chosen()
    return _Chosen(trial=trial.number, params=trial.params, search_score=trial.score)


def _chosen_configuration(record: StudyRecord, arm: str, confirmed: ConfirmedRuns) -> _Chosen:
    """The confirmed configuration, with its search score if the record holds that trial."""
    for trial in record.trials:
        if trial.arm == arm and trial.number == confirmed.configuration:
            return _found(trial)
    return _Chosen(trial=confirmed.configuration, params=confirmed.runs[0].params)
