"""The summary of each arm: its cost, search, chosen configuration and confirmation."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bakeoff.analysis.boundaries import boundary_marks
from bakeoff.analysis.confirmation import ConfirmedRuns, summarize_confirmation
from bakeoff.records import CHARGED_OUTCOMES, ArmRecord, ArmSummary, StudyRecord, TrialRecord

Runs = Mapping[str, ConfirmedRuns]
"""Confirmed runs by arm; arms without confirmed runs are missing."""


def summarize_arms(record: StudyRecord, runs: Runs) -> tuple[ArmSummary, ...]:
    """Every arm of the study, best confirmed mean first.

    Unconfirmed arms follow by their best search score, then arms without a score; equal arms keep
    the order of the study. The time to target stays empty, because the target depends on the
    verdict.
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
    own = [trial for trial in record.trials if trial.arm == arm.name]
    default = next((trial for trial in own if trial.phase == "default"), None)
    seconds = [result.train_seconds for trial in searched for result in trial.history]
    chosen_trial = confirmed.configuration if confirmed else best.number if best else None
    chosen = next((trial for trial in own if trial.number == chosen_trial), None)
    # the record may lack the trial whose configuration was confirmed
    chosen_params = chosen.params if chosen else confirmed.runs[0].params if confirmed else {}
    return ArmSummary(
        arm=arm.name,
        num_by_outcome=dict(Counter(trial.outcome for trial in searched)),
        epochs=sum(trial.epochs_run for trial in searched),
        train_seconds=sum(trial.train_seconds for trial in searched),
        evaluate_seconds=sum(trial.evaluate_seconds for trial in searched),
        seconds_per_epoch=float(np.median(seconds)) if seconds else float("nan"),
        search_best=best.score if best else None,
        search_best_trial=best.number if best else None,
        default_score=default.score if default else None,
        default_outcome=default.outcome if default else None,
        chosen_trial=chosen_trial,
        chosen_params=chosen_params,
        confirmed=(
            summarize_confirmation(confirmed, record.objective, chosen.score if chosen else None)
            if confirmed
            else None
        ),
        time_to_target=None,
        boundaries=boundary_marks(arm, chosen_params, complete),
    )


def searched_trials(record: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """Search trials of `arm` except its default configuration, which is outside the budget."""
    return tuple(
        trial
        for trial in record.trials
        if trial.arm == arm and trial.purpose == "search" and trial.phase != "default"
    )


def charged_trials(record: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """Search trials of `arm` that count towards its budget; failed and running trials do not."""
    return tuple(t for t in searched_trials(record, arm) if t.outcome in CHARGED_OUTCOMES)


def best_first(trials: Sequence[TrialRecord], sign: int) -> list[TrialRecord]:
    """Complete trials with a finite score, best first, and of equal trials the earlier first."""
    complete = [
        (sign * trial.score, trial)
        for trial in trials
        if trial.outcome == "complete" and trial.score is not None and np.isfinite(trial.score)
    ]
    return [trial for _, trial in sorted(complete, key=lambda pair: (-pair[0], pair[1].number))]


def _without_rounding(value: float) -> float:
    """Keep twelve significant digits, so that means that were summed in another order are equal."""
    return float(f"{value:.12g}")
