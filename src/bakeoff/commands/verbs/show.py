from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_rows, print_table, run_name
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import UsageError
from bakeoff.ranges import split_name
from bakeoff.records import EpochResult, StudyRecord, TrialRecord


def show(
    name: options.StudyName,
    run: Annotated[
        str | None,
        typer.Argument(
            help="Number of a trial, or a run such as confirm-3, to show epoch by epoch.",
            metavar="RUN",
        ),
    ] = None,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show a study's trials and confirmation runs, or one of them epoch by epoch.

    Example: study show digits 12

    Example: study show digits confirm-3
    """
    from bakeoff.records.durations import plural

    record = open_storage(storage, output).load_record(name)
    runs = {run_name(one): one for one in (*record.trials, *record.confirmations)}
    if run is None and as_json:
        print_json(tuple(runs.values()))
    elif run is None:
        _show_trials(record)
        if record.confirmations:
            typer.echo()
            _show_confirmations(record)
    elif (chosen := runs.get(f"search-{run}" if run.isdecimal() else run)) is None:
        from bakeoff.records.durations import plural

        known = f"it has {plural(len(record.trials), 'trial')}, numbered from 0"
        if record.confirmations:
            known += f", and runs such as {run_name(record.confirmations[-1])}"
        raise UsageError(f"study {name!r} has no trial or run {run!r}; {known}")
    elif as_json:
        print_json(chosen)
    else:
        _show_one(chosen)


def _show_trials(record: StudyRecord) -> None:
    further = [metric.name for metric in record.further_objectives]
    print_rows(
        [
            {
                "trial": trial.number,
                **_repeat(record, trial),
                "arm": trial.arm,
                "phase": trial.phase,
                "outcome": trial.outcome,
                record.objective.name: trial.score,
                **{name: trial.further_scores.get(name) for name in further},
                "epochs": trial.epochs_run,
                "seconds": round(trial.train_seconds + trial.evaluate_seconds, 2),
                "settings": _settings(trial),
            }
            for trial in record.trials
        ]
    )


def _show_confirmations(record: StudyRecord) -> None:
    objective = record.objective.name
    print_rows(
        [
            {
                "run": run_name(run),
                **_repeat(record, run),
                "arm": run.arm,
                "of trial": run.configuration,
                "outcome": run.outcome,
                objective: run.score,
                f"test {objective}": run.test_metrics.get(objective),
                "seed": run.seed,
            }
            for run in record.confirmations
        ]
    )


def _repeat(record: StudyRecord, run: TrialRecord) -> dict[str, object]:
    """The repeat of a run, counted from 1; nothing in a study with a single search."""
    return {"repeat": run.repeat + 1} if record.repeats > 1 else {}


def _settings(trial: TrialRecord) -> str:
    """`scheduler cosine, learning_rate 0.01`: without the owner where it is the trial's own."""
    own = {str(trial.params.get(key)) for key in ("optimizer", "scheduler")}
    shown = []
    for name, value in trial.params.items():
        owner, parameter = split_name(name)
        if name != "optimizer":
            text = f"{value:.3g}" if isinstance(value, float) else value
            shown.append(f"{parameter if owner in own else name} {text}")
    return ", ".join(shown)


def _show_one(trial: TrialRecord) -> None:
    is_confirmation = trial.purpose != "search"
    facts = {
        **({"run": run_name(trial)} if is_confirmation else {"trial": trial.number}),
        "arm": trial.arm,
        "repeat": trial.repeat + 1 if trial.repeat else None,
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
    print_rows(
        [
            {
                "epoch": result.epoch,
                **{metric: result.metrics.get(metric) for metric in metrics},
                "train loss": result.train_loss,
                "learning rate": result.learning_rate,
                "gradient norm": result.grad_norm,
                "seconds": result.train_seconds,
            }
            for result in trial.history
        ]
    )
    for result in trial.history:
        if result.confusion:
            _show_classes(result)


def _show_classes(result: EpochResult) -> None:
    """Print each class's recall in the scored epoch, and the class it was most often taken for."""
    rows = list[dict[str, object]]()
    counted = "pixels" if "pixel_accuracy" in result.metrics else "samples"
    for label, counts in enumerate(result.confusion):
        others = [(count, other) for other, count in enumerate(counts) if other != label]
        count, other = max(others, key=lambda one: one[0])
        confused = f"class {other}, {count} times" if count else ""
        rows.append(
            {
                "class": label,
                f"validation {counted}": sum(counts),
                "share recognised": result.class_recall[label],
                "most often taken for": confused,
            }
        )
    typer.echo()
    print_rows(rows, title=f"epoch {result.epoch}")
