from datetime import datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_table
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import UsageError, describe_unknown, one_line

if TYPE_CHECKING:
    from bakeoff.storage.overview import StudyOverview

SHOWN = {
    "study": "study", "state": "state", "user": "who", "host": "where", "began": "began",
    "last activity": "last activity", "trials": "trials", "confirmation runs": "confirmed",
    "arms": "arms", "verdict": "verdict",
}  # fmt: skip
"""The columns for people, by the key in JSON."""
TIMES = ("began", "last activity")
MAX_VERDICT = 80
"""Characters of the verdict in the table; JSON has all of it."""

Users = Annotated[
    list[str] | None,
    typer.Option(
        "--user", help="Only the studies that this person began or ran last; may be repeated."
    ),
]
States = Annotated[
    list[str] | None,
    typer.Option("--state", help="Only the studies in this state; may be repeated."),
]


def list_(
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    users: Users = None,
    states: States = None,
    as_json: options.Json = False,
) -> None:
    """List the stored studies: whose, where and when they ran, and what they found.

    Example: study list
    """
    from bakeoff.storage.overview import STATES, read_overview

    for state in states or ():
        if state not in STATES:
            raise UsageError(f"--state: {describe_unknown('state', state, STATES)}")
    stored = open_storage(storage, output)
    overview = read_overview(stored)
    found = [
        _describe(one)
        for one in overview.studies
        if (not states or one.state in states) and (not users or _people(one) & {*users})
    ]
    if as_json:
        print_json(found)
        return
    if found:
        rows = [[_cell(key, one[key]) for key in SHOWN] for one in found]
        print_table(list(SHOWN.values()), rows)
    else:
        typer.echo("no such study" if overview.studies else f"no studies of bakeoff in {stored}")
    if overview.foreign:
        typer.echo(one_line(f"studies of other programs: {', '.join(overview.foreign)}"))
        command = stored.report_command(overview.foreign[0])
        typer.echo(one_line(f"to report on one of them: {command}"))


def _people(study: "StudyOverview") -> set[str]:
    sessions = study.sessions
    return set() if sessions is None else {sessions.first.user, sessions.last.user}


def _describe(study: "StudyOverview") -> dict[str, object]:
    """The study as JSON shows it; the order is that of the columns."""
    from bakeoff.report.answer import without_scope
    from bakeoff.studyfile import study_arms

    first, last = (
        (study.sessions.first, study.sessions.last) if study.sessions is not None else (None, None)
    )
    return {
        "study": study.name,
        "state": study.state,
        "user": first.user if first else None,
        "last user": last.user if last else None,
        "host": last.host if last else None,
        "process": last.process if last else None,
        "began": _iso(study.began),
        "last activity": _iso(study.last_activity),
        "trials": study.num_trials,
        "confirmation runs": study.num_confirmations,
        "objective": ", ".join(study.objectives),
        "arms": ", ".join(study_arms(study.config)) if study.config else "",
        "question": study.config.question if study.config else "",
        "verdict": without_scope(study.verdict),
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")


def _cell(key: str, value: object) -> object:
    """A value as a table shows it: short, with times in the reader's own time zone."""
    if key in TIMES and value:
        return f"{datetime.fromisoformat(str(value)).astimezone():%Y-%m-%d %H:%M}"
    if key == "verdict":
        return shorten(str(value), MAX_VERDICT, placeholder=" ...")
    return value
