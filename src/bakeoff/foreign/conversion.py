"""An Optuna study of another program as a `StudyRecord`: what is known, and what is not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from bakeoff.errors import UsageError
from bakeoff.foreign.draws import Sampling, find_sampling
from bakeoff.foreign.objective import Objective, find_objective
from bakeoff.foreign.opening import StoredStudy, read_study
from bakeoff.foreign.spaces import arm_label, find_arms
from bakeoff.foreign.trials import convert_trial
from bakeoff.records import ConfirmConfig, StudyRecord, TrialRecord

OBSERVED_ONLY = (
    "This study was made by another program: nothing was run on fresh seeds or on a test set, so"
    " what follows was observed in one search, and no arm can be called better."
)


@dataclass(frozen=True, kw_only=True)
class ForeignStudy:
    """Which study of another program is read, and what its user knows about it."""

    location: str
    """`sqlite:///FILE`, `postgresql://...`, `journal:///FILE`, or a path."""
    arms: tuple[str, ...]
    """Parameters or user attributes whose values are compared."""
    name: str | None = None
    """None takes the only study there is."""
    metric_name: str | None = None
    """What the objective is called; of several objectives, which one is looked at."""
    epochs: int | None = None
    """Epochs a run was planned for; None takes the latest that was reported."""
    sampler: str | None = None
    """What drew the trials, where it is known: random, tpe, gp, cmaes, nsga, grid or qmc."""
    delta: float | None = None
    """Smallest difference that matters, in units of the objective."""


def load_foreign_study(wanted: ForeignStudy) -> StudyRecord:
    """All that a study made by another program tells, and nothing it does not.

    There are no confirmation runs in it, so a comparison reaches level L0. Nothing is written
    where the study is kept.

    Raises:
        UsageError: The study, an arm's parameter or the metric is not there.
        StorageError: The storage cannot be read.
        MissingDependencyError: The database's driver is not installed.
    """
    study = read_study(wanted.location, wanted.name)
    _refuse_own(study)
    labels = {trial.number: arm_label(trial, wanted.arms) for trial in study.trials}
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
        name=study.name,
        question=f"What does the Optuna study {study.name} show of {' and '.join(wanted.arms)}?",
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
        caveats=tuple(_caveats(objective, sampling, labels.values(), trials)),
    )


def _refuse_own(study: StoredStudy) -> None:
    if any(key.startswith("bakeoff:") for key in study.system_attrs):
        raise UsageError(
            f"--study: {study.name!r} was made by bakeoff; `study report {study.name}` knows more"
        )


def _protocol(
    study: StoredStudy, objective: Objective, trials: Sequence[TrialRecord]
) -> dict[str, str]:
    started = [trial.datetime_start for trial in study.trials if trial.datetime_start]
    ended = [trial.datetime_complete for trial in study.trials if trial.datetime_complete]
    known = {
        "storage": study.location,
        "objectives": ", ".join(objective.all_names),
        "score rule": objective.evidence,
        "training seconds": "from the start to the end of a trial, evaluation and waiting included",
        "trials": f"{len(trials)} of {len(study.trials)} stored ones",
    }
    if started:
        known["first trial started"] = f"{min(started):%Y-%m-%d %H:%M}"
    if ended:
        known["last trial ended"] = f"{max(ended):%Y-%m-%d %H:%M}"
    return known


def _caveats(
    objective: Objective,
    sampling: Sampling,
    labels: Iterable[str | None],
    trials: Sequence[TrialRecord],
) -> list[str]:
    found = [OBSERVED_ONLY, sampling.evidence]
    if len(objective.all_names) > 1:
        others = [name for name in objective.all_names if name != objective.metric.name]
        found.append(
            f"The study has {len(objective.all_names)} objectives; this report looks at"
            f" {objective.metric.name} alone (`--metric-name` chooses). The search also sought"
            f" {', '.join(others)}, so an arm may do better here than its trials show."
        )
    without = sum(label is None for label in labels)
    if without:
        found.append(f"{without} trials have no arm and are left out.")
    failed = sum(trial.outcome == "failed" for trial in trials)
    if failed:
        found.append(
            f"{failed} trials failed; Optuna stores a result of NaN as a failure, so diverged runs"
            " may be among them."
        )
    return found
