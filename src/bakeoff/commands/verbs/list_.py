from typing import TYPE_CHECKING

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_table
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import one_line

if TYPE_CHECKING:
    from bakeoff.storage import Storage

KEYS = ("study", "state", "trials", "confirmation runs", "objective", "arms", "question")


def list_(
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    as_json: options.Json = False,
) -> None:
    """List the stored studies.

    Example: study list
    """
    stored = open_storage(storage, output)
    studies = [_describe(stored, name) for name in stored.names()]
    if as_json:
        print_json(studies)
        return
    if studies:
        headings = [key.replace("confirmation runs", "confirmed") for key in KEYS]
        print_table(headings, [[study[key] for key in KEYS] for study in studies])
    else:
        typer.echo(f"no studies of bakeoff in {stored}")
    if foreign := stored.foreign_names():
        typer.echo(one_line(f"studies of other programs: {', '.join(foreign)}"))
        typer.echo(one_line(f"to report on one of them: {stored.report_command(foreign[0])}"))


def _describe(stored: "Storage", name: str) -> dict[str, object]:
    from bakeoff.storage.checksums import DamagedError

    try:
        record = stored.load_record(name)
    except DamagedError:
        return {**dict.fromkeys(KEYS, ""), "study": name, "state": "damaged"}
    return {
        "study": record.name,
        "state": "finished" if record.finished else "unfinished",
        "arms": ", ".join(arm.name for arm in record.arms),
        "trials": sum(trial.outcome != "running" for trial in record.trials),
        "confirmation runs": sum(run.outcome != "running" for run in record.confirmations),
        "objective": ", ".join(metric.name for metric in record.objectives),
        "question": record.question,
    }
