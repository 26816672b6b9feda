"""The search trials of an arm: all, those that its budget was charged for, and the best ones.

This module loads neither scipy nor pandas, because the words of a command are built from it.
"""

from collections.abc import Sequence

import numpy as np

from bakeoff.records import CHARGED_OUTCOMES, StudyRecord, TrialRecord


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
