"""Converts a trial of another program to a `TrialRecord`."""

import math

from optuna.trial import FrozenTrial, TrialState

from bakeoff.foreign.draws import Sampling
from bakeoff.foreign.objective import Objective
from bakeoff.foreign.spaces import param_values
from bakeoff.records import EpochResult, Outcome, TrialRecord

CONSTRAINTS = "constraints"
"""A system attribute of Optuna. Values above 0 are violations."""


def convert_trial(
    trial: FrozenTrial, arm: str, objective: Objective, epochs: int, sampling: Sampling
) -> TrialRecord:
    """The record of `trial`. Its score is never better than what the program stored."""
    outcome = _outcome(trial, objective)
    reasons = {"diverged": "a value was not finite", "infeasible": "violates a constraint"}
    return TrialRecord(
        number=trial.number,
        arm=arm,
        params=param_values(trial),
        outcome=outcome,
        score=_score(trial, outcome, objective),
        phase=sampling.phase(trial),
        history=_history(trial, objective, epochs),
        epochs_planned=epochs,
        other_seconds=_seconds(trial) if not _history(trial, objective, epochs) else 0.0,
        stop_reason=reasons.get(outcome, ""),
    )


def _outcome(trial: FrozenTrial, objective: Objective) -> Outcome:
    """How the trial ended. A trial has diverged if its last value is not finite.

    Optuna stores a final NaN as a failure without a value, and an infinite value as complete.
    """
    if not trial.state.is_finished():
        return "running"
    if trial.state is TrialState.COMPLETE:
        value = objective.value(trial)
        if value is None or not math.isfinite(value):
            return "diverged"
        constraints = trial.system_attrs.get(CONSTRAINTS) or ()
        return "infeasible" if any(violation > 0 for violation in constraints) else "complete"
    last = trial.last_step
    if last is not None and not math.isfinite(trial.intermediate_values[last]):
        return "diverged"
    return "failed" if trial.state is TrialState.FAIL else "pruned"


def _score(trial: FrozenTrial, outcome: Outcome, objective: Objective) -> float | None:
    """The final value. For a pruned trial it is the best reported value, not the last one."""
    if outcome in {"complete", "infeasible"}:
        return objective.value(trial)
    if outcome != "pruned" or not objective.reports_objective:
        return None
    sign = objective.metric.sign
    reported = [sign * value for value in trial.intermediate_values.values()]
    finite = [value for value in reported if math.isfinite(value)]
    return sign * max(finite) if finite else None


def _history(trial: FrozenTrial, objective: Objective, epochs: int) -> tuple[EpochResult, ...]:
    """The reported values by epoch, with the trial's time spread evenly over them.

    A complete trial without reports has one result, at its planned end, if the planned epochs are
    known. Otherwise nothing is known of its epochs.
    """
    name = objective.metric.name if objective.reports_objective else "reported value"
    steps = sorted(trial.intermediate_values.items())
    if steps:
        return tuple(
            EpochResult(
                epoch=step + 1 - objective.first_step,
                metrics={name: value},
                train_seconds=_seconds(trial) / len(steps),
            )
            for step, value in steps
        )
    value = objective.value(trial)
    if trial.state is not TrialState.COMPLETE or value is None or not epochs:
        return ()
    metrics = {objective.metric.name: value}
    return (EpochResult(epoch=epochs, metrics=metrics, train_seconds=_seconds(trial)),)


def _seconds(trial: FrozenTrial) -> float:
    """Seconds from start to end; 0 if they are not stored, as of trials that were only added."""
    return trial.duration.total_seconds() if trial.duration else 0.0
