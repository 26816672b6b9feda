from collections import Counter
from collections.abc import Sequence

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_table, run_name
from bakeoff.commands.stored_studies import open_storage
from bakeoff.pareto import front_of
from bakeoff.records import OUTCOMES, StudyRecord


def status(
    name: options.StudyName,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show a study's arms, budgets, best scores and what is running.

    Example: study status digits
    """
    record = open_storage(storage, output).load_record(name)
    arms = [_arm_status(record, arm.name) for arm in record.arms]
    running = [
        {
            "run": run_name(trial),
            "arm": trial.arm,
            "epochs": trial.epochs_run,
            "place": trial.place,
        }
        for trial in (*record.trials, *record.confirmations)
        if trial.outcome == "running" and not trial.is_paused
    ]
    places = Counter(run["place"] for run in running if run["place"])
    if as_json:
        known = {
            "study": name,
            "finished": record.finished,
            "repeats": record.repeats,
            "repeats begun": _begun(record),
            "notes": list(record.notes),
        }
        print_json({**known, "arms": arms, "running": running, "places": places})
        return
    state = "finished" if record.finished else "unfinished; `study run FILE` continues it"
    shown = [_columns_for_people(arm, arms) for arm in arms]
    print_table(list(shown[0]), [list(arm.values()) for arm in shown], title=f"{name}: {state}\n")
    if record.repeats > 1:
        typer.echo(f"repeat: {_begun(record)} of {record.repeats}")
    for note in record.notes:
        typer.echo(f"note: {note}")
    for run in running:
        typer.echo(
            f"not yet ended: {run['run']}, {run['arm']}, {run['epochs']} of {record.epochs} epochs"
            + (f", on {run['place']}" if run["place"] else "")
        )
    if places:
        counts = (f"{place} ({count})" for place, count in sorted(places.items()))
        typer.echo(f"runs by place when they last began: {', '.join(counts)}")


def _begun(record: StudyRecord) -> int:
    """The number of repeats that have a trial."""
    return len({trial.repeat for trial in record.trials})


def _arm_status(record: StudyRecord, arm: str) -> dict[str, object]:
    trials = [one for one in record.trials if one.arm == arm and one.phase != "default"]
    counts = Counter(trial.outcome for trial in trials)
    scores = [one.score for one in trials if one.outcome == "complete" and one.score is not None]
    sign, has_front = record.objective.sign, bool(record.further_objectives)
    return {
        "arm": arm,
        **{
            f"budget in {unit}": record.repeats * limit
            for unit, limit in record.budget.limits.items()
        },
        "charged": len(trials) - counts["running"],
        "paused": sum(trial.is_paused for trial in trials),
        "audited": sum(trial.audited for trial in trials),
        **{outcome: counts[outcome] for outcome in OUTCOMES if outcome != "running"},
        "epochs": sum(trial.epochs_run for trial in trials),
        "seconds": round(sum(one.train_seconds + one.evaluate_seconds for one in trials), 1),
        f"best {record.objective.name}": max(scores, key=lambda score: sign * score, default=None),
        **({"on its front": len(front_of(trials, record.objectives))} if has_front else {}),
        "confirmation runs": sum(
            one.arm == arm and one.outcome != "running" for one in record.confirmations
        ),
    }


def _columns_for_people(
    arm: dict[str, object], arms: Sequence[dict[str, object]]
) -> dict[str, object]:
    """An arm's status without what is zero in every arm or of interest only in JSON."""
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
