"""`study status`, `study list`, `study show`: what is stored."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer

from bakeoff.commands.output import print_json, print_table
from bakeoff.errors import UsageError, one_line
from bakeoff.pareto import front_of
from bakeoff.records import OUTCOMES, EpochResult, StudyRecord, TrialRecord
from bakeoff.storage import Storage
from bakeoff.storage.database import choose_storage_url


def show_status(name: str, *, output: Path, storage_url: str | None, as_json: bool) -> None:
    """Print a study's arms with what each was charged, its best score, and what has not ended.

    Raises:
        BakeoffError: The storage cannot be read, or holds no such study.
    """
    record = Storage(choose_storage_url(storage_url, output)).load_record(name)
    arms = [_arm_status(record, arm.name) for arm in record.arms]
    running = [
        {"run": _run_name(trial), "arm": trial.arm, "epochs": trial.epochs_run}
        for trial in (*record.trials, *record.confirmations)
        if trial.outcome == "running" and not trial.is_paused
    ]
    if as_json:
        known = {"study": name, "finished": record.finished, "notes": list(record.notes)}
        print_json({**known, "arms": arms, "running": running})
        return
    state = "finished" if record.finished else "unfinished; `study run FILE` continues it"
    shown = [_for_people(arm, arms) for arm in arms]
    print_table(list(shown[0]), [list(arm.values()) for arm in shown], title=f"{name}: {state}\n")
    for note in record.notes:
        typer.echo(f"note: {note}")
    for run in running:
        typer.echo(
            f"not yet ended: {run['run']}, {run['arm']}, {run['epochs']} of {record.epochs} epochs"
        )


def _for_people(arm: dict[str, object], arms: Sequence[dict[str, object]]) -> dict[str, object]:
    """An arm's status that fits a terminal: without what is nothing in every arm, or in JSON."""
    rare = ("paused", *(one for one in OUTCOMES if one != "complete"))
    left_out = {key for key in rare if not any(other.get(key) for other in arms)}
    left_out |= {"audited", "confirmation runs"}
    kept = {key: value for key, value in arm.items() if key not in left_out}
    spent = {"trials": "charged", "epochs": "epochs", "seconds": "seconds"}
    for unit, column in spent.items():
        limit = kept.pop(f"budget in {unit}", None)
        if isinstance(limit, (int, float)):
            kept[column] = f"{kept[column]} of {limit:g}"
    return kept | {"confirmed": arm["confirmation runs"]}


def _arm_status(record: StudyRecord, arm: str) -> dict[str, object]:
    trials = [one for one in record.trials if one.arm == arm and one.phase != "default"]
    counts = Counter(trial.outcome for trial in trials)
    scores = [one.score for one in trials if one.outcome == "complete" and one.score is not None]
    sign, is_several = record.objective.sign, bool(record.further_objectives)
    return {
        "arm": arm,
        **{f"budget in {unit}": limit for unit, limit in record.budget.limits.items()},
        "charged": len(trials) - counts["running"],
        "paused": sum(trial.is_paused for trial in trials),
        "audited": sum(trial.audited for trial in trials),
        **{outcome: counts[outcome] for outcome in OUTCOMES if outcome != "running"},
        "epochs": sum(trial.epochs_run for trial in trials),
        "seconds": round(sum(one.train_seconds + one.evaluate_seconds for one in trials), 1),
        f"best {record.objective.name}": (
            max(scores, key=lambda score: sign * score) if scores else None
        ),
        **({"on its front": len(front_of(trials, record.objectives))} if is_several else {}),
        "confirmation runs": sum(
            one.arm == arm and one.outcome != "running" for one in record.confirmations
        ),
    }


def show_studies(*, output: Path, storage_url: str | None, as_json: bool) -> None:
    """Print a line per stored study.

    Raises:
        BakeoffError: The storage cannot be read.
    """
    storage = Storage(choose_storage_url(storage_url, output))
    studies = [_study_line(storage, name) for name in storage.names()]
    if as_json:
        print_json(studies)
        return
    foreign = storage.foreign_names()
    if studies:
        lines = [{**study, "confirmed": study.pop("confirmation runs")} for study in studies]
        order = ("study", "state", "trials", "confirmed", "objective", "arms", "question")
        print_table(order, [[line[key] for key in order] for line in lines])
    else:
        typer.echo(f"no studies of bakeoff in {storage}")
    if foreign:
        typer.echo(one_line(f"of other programs: {', '.join(foreign)}"))
        typer.echo(one_line(f"a report on one of them: {storage.report_command(foreign[0])}"))


def _study_line(storage: Storage, name: str) -> dict[str, object]:
    record = storage.load_record(name)
    return {
        "study": name,
        "state": "finished" if record.finished else "unfinished",
        "arms": ", ".join(arm.name for arm in record.arms),
        "trials": sum(trial.outcome != "running" for trial in record.trials),
        "confirmation runs": sum(run.outcome != "running" for run in record.confirmations),
        "objective": ", ".join(metric.name for metric in record.objectives),
        "question": record.question,
    }


def show_trials(
    name: str, run: str | None, *, output: Path, storage_url: str | None, as_json: bool
) -> None:
    """Print a study's trials and confirmation runs, or one of them epoch by epoch.

    Args:
        name: Of the study.
        run: The number of a trial, or `search-12`, `shortlist-3`, `confirm-3`; None prints all.
        output: Folder of results.
        storage_url: Where the study is stored; None takes the file in `output`.
        as_json: Whether to print JSON.

    Raises:
        UsageError: There is no such trial or run.
        BakeoffError: The storage cannot be read, or holds no such study.
    """
    record = Storage(choose_storage_url(storage_url, output)).load_record(name)
    if run is None:
        _show_all(record, as_json=as_json)
        return
    runs = {_run_name(one): one for one in (*record.trials, *record.confirmations)}
    chosen = runs.get(f"search-{run}" if run.isdecimal() else run)
    if chosen is None:
        known = f"it has {len(record.trials)} trials, numbered from 0"
        if record.confirmations:
            known += f", and runs such as {_run_name(record.confirmations[-1])}"
        raise UsageError(f"study {name!r} has no trial or run {run!r}; {known}")
    _show_one(chosen, as_json=as_json)


def _run_name(run: TrialRecord) -> str:
    """`search-12` or `confirm-3`, as while the study runs."""
    return f"{run.purpose}-{run.number}"


def _show_all(record: StudyRecord, *, as_json: bool) -> None:
    if as_json:
        runs = (*record.trials, *record.confirmations)
        print_json(runs)
        return
    print_table(
        [
            "trial",
            "arm",
            "phase",
            "outcome",
            *(metric.name for metric in record.objectives),
            "epochs",
            "seconds",
            "settings",
        ],
        [
            [
                trial.number,
                trial.arm,
                trial.phase,
                trial.outcome,
                trial.score,
                *(trial.further_scores.get(metric.name) for metric in record.further_objectives),
                trial.epochs_run,
                round(trial.train_seconds + trial.evaluate_seconds, 2),
                _settings(trial),
            ]
            for trial in record.trials
        ],
    )
    if record.confirmations:
        typer.echo()
        _show_confirmations(record)


def _show_confirmations(record: StudyRecord) -> None:
    objective = record.objective.name
    print_table(
        ["run", "arm", "of trial", "outcome", objective, f"test {objective}", "seed"],
        [
            [
                _run_name(run),
                run.arm,
                run.configuration,
                run.outcome,
                run.score,
                run.test_metrics.get(objective),
                run.seed,
            ]
            for run in record.confirmations
        ],
    )


def _settings(trial: TrialRecord) -> str:
    owners = {str(trial.params.get(key)) for key in ("optimizer", "scheduler")}
    short = {
        name: name.partition(".")[2] if name.partition(".")[0] in owners else name
        for name in trial.params
        if name != "optimizer"
    }
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in ((short[key], trial.params[key]) for key in short)
    )


def _show_one(trial: TrialRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(trial)
        return
    is_confirmation = trial.purpose != "search"
    facts = {
        **({"run": _run_name(trial)} if is_confirmation else {"trial": trial.number}),
        "arm": trial.arm,
        "of trial": trial.configuration,
        "phase": None if is_confirmation else trial.phase,
        "outcome": trial.outcome,
        "score": trial.score,
        **trial.further_scores,
        "seed": trial.seed,
        "attempts": trial.attempts,
        "stopped": trial.stop_reason,
        **{f"test {metric}": value for metric, value in trial.test_metrics.items()},
        **trial.params,
    }
    print_table(["", ""], [[key, value] for key, value in facts.items() if value not in (None, "")])
    if not trial.history:
        return
    typer.echo()
    metrics = list(trial.history[-1].metrics)
    print_table(
        ["epoch", *metrics, "train loss", "learning rate", "gradient norm", "seconds"],
        [
            [
                result.epoch,
                *(result.metrics.get(metric) for metric in metrics),
                result.train_loss,
                result.learning_rate,
                result.grad_norm,
                result.train_seconds,
            ]
            for result in trial.history
        ],
    )
    for result in trial.history:
        if result.confusion:
            _show_classes(result)


def _show_classes(result: EpochResult) -> None:
    """How well each class was recognised in the scored epoch, and what it was taken for."""
    rows = []
    for label, counts in enumerate(result.confusion):
        others = [(count, other) for other, count in enumerate(counts) if other != label]
        count, other = max(others, key=lambda one: one[0])
        confused = f"class {other}, {count} times" if count else ""
        rows.append([label, sum(counts), result.class_recall[label], confused])
    typer.echo()
    print_table(
        ["class", "validation samples", "share recognised", "most often taken for"],
        rows,
        title=f"epoch {result.epoch}",
    )
