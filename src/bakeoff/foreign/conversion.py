"""Converts an Optuna study of another program to a `StudyRecord`, with caveats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from bakeoff.errors import UsageError, visible
from bakeoff.foreign.csv_runs import read_csv_runs
from bakeoff.foreign.draws import Sampling, find_sampling
from bakeoff.foreign.objective import Objective, find_objective
from bakeoff.foreign.opening import StoredStudy, read_study
from bakeoff.foreign.spaces import arm_labels, find_arms
from bakeoff.foreign.trials import convert_trial
from bakeoff.records import ConfirmConfig, Direction, StudyRecord, TrialRecord
from bakeoff.records.durations import plural

OBSERVED_ONLY = (
    "Another program made this study. Nothing was run on fresh seeds or on a test set, so this"
    " report describes one search and cannot call any arm better."
)


@dataclass(frozen=True, kw_only=True)
class ForeignStudy:
    """Names a study of another program, and holds what its user knows about it."""

    location: str
    """`sqlite:///FILE`, `postgresql://...`, `journal:///FILE`, `csv:FILE`, or a path."""
    arms: tuple[str, ...]
    """Parameters or user attributes whose values are compared."""
    name: str | None = None
    """None selects the only study in the storage."""
    metric_name: str | None = None
    """A name for the objective, or the name of the one to analyze if there are several."""
    epochs: int | None = None
    """The planned epochs of a run; None uses the latest reported one."""
    sampler: str | None = None
    """The sampler, if it is known: random, tpe, gp, cmaes, nsga, grid or qmc."""
    delta: float | None = None
    """The smallest difference that matters, in units of the objective."""
    direction: Direction | None = None
    """Whether larger values of a CSV file's metric are better; None asks the registered metrics."""


def load_foreign_study(wanted: ForeignStudy) -> StudyRecord:
    """The record of a study of another program.

    The study has no confirmation runs, so a comparison reaches level L0. Nothing is written to its
    storage.

    Raises:
        UsageError: The study, an arm's parameter or the metric does not exist, or a direction is
            given for a study that stores it.
        StorageError: The storage cannot be read.
        MissingDependencyError: The database's driver is not installed.
    """
    study = _read(wanted)
    _refuse_own(study)
    labels = arm_labels(study.trials, wanted.arms)
    arms = find_arms(study, wanted.arms, labels)
    objective = find_objective(study, wanted.metric_name)
    sampling = find_sampling(study, wanted.sampler)
    epochs = wanted.epochs or objective.last_step
    trials = tuple(
        convert_trial(trial, arm, objective, epochs, sampling)
        for trial in study.trials
        if (arm := labels[trial.number]) is not None and trial.state is not TrialState.WAITING
    )
    return StudyRecord(
        name=visible(study.name),
        question=visible(
            f"What does the {'table' if study.is_table else 'Optuna study'} {study.name} show of"
            f" {' and '.join(wanted.arms)}?"
        ),
        objective=objective.metric,
        score_rule=objective.score_rule,
        epochs=epochs,
        arms=arms,
        trials=trials,
        confirmations=(),
        trials_per_arm=0,
        sampler=sampling.sampler,
        pruner="unknown" if any(trial.outcome == "pruned" for trial in trials) else "none",
        confirm=ConfirmConfig(seeds=0, shortlist=0, shortlist_seeds=0),
        delta=wanted.delta,
        shared_sampler=sampling.learns and len(arms) > 1,
        protocol=_protocol(study, objective, trials),
        finished=all(trial.outcome != "running" for trial in trials),
        foreign=True,
        caveats=tuple(
            _caveats(objective, sampling, labels.values(), trials, is_table=study.is_table)
        ),
    )


def _read(wanted: ForeignStudy) -> StoredStudy:
    scheme, _, path = wanted.location.partition(":")
    if scheme == "csv":
        return read_csv_runs(Path(path), wanted.metric_name, wanted.direction)
    if wanted.direction is not None:
        raise UsageError("--direction: goes only with --csv; Optuna stores the direction")
    return read_study(wanted.location, wanted.name)


def _refuse_own(study: StoredStudy) -> None:
    if any(key.startswith("bakeoff:") for key in study.system_attrs):
        raise UsageError(
            f"--study: bakeoff made {study.name!r}; `study report {study.name}` shows more"
        )


def _protocol(
    study: StoredStudy, objective: Objective, trials: Sequence[TrialRecord]
) -> dict[str, str]:
    started = [trial.datetime_start for trial in study.trials if trial.datetime_start]
    ended = [trial.datetime_complete for trial in study.trials if trial.datetime_complete]
    times = {
        "first trial started": min(started, default=None),
        "last trial ended": max(ended, default=None),
    }
    return {
        "storage": visible(study.location),
        "objectives": ", ".join(objective.all_names),
        "score rule": objective.evidence,
        "training seconds": "from start to end of a trial, including evaluation and waiting",
        "trials": f"{len(trials)} of {len(study.trials)} stored ones",
        **{key: f"{time:%Y-%m-%d %H:%M}" for key, time in times.items() if time},
    }


def _caveats(
    objective: Objective,
    sampling: Sampling,
    labels: Iterable[str | None],
    trials: Sequence[TrialRecord],
    *,
    is_table: bool,
) -> list[str]:
    found = [OBSERVED_ONLY, sampling.evidence]
    if len(objective.all_names) > 1:
        others = [name for name in objective.all_names if name != objective.metric.name]
        found.append(
            f"The study has {len(objective.all_names)} objectives, and this report analyzes only"
            f" {objective.metric.name} (choose another with `--metric-name`). The search also"
            f" optimized {', '.join(others)}, so an arm may reach better values than its trials."
        )
    without = sum(label is None for label in labels)
    if without:
        found.append(f"{without} trials have no arm and are excluded.")
    failed = sum(trial.outcome == "failed" for trial in trials)
    if failed:
        reason = "such a row has no result" if is_table else "Optuna stores NaN as a failure"
        found.append(
            f"{plural(failed, 'trial')} failed, which may include diverged runs, because {reason},"
            " so the share of trials that diverged is unknown."
        )
    return found
