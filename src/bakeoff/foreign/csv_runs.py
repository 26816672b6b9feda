"""Reads the runs in a CSV file, such as an export of Weights & Biases or MLflow, as a study.

Each row describes one run. The name of a column says what it holds: the metric, the state, a time
or a parameter. Names may have the prefixes of MLflow (`params.`, `metrics.`).
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bakeoff.components.metrics import METRICS
from bakeoff.data.readers import decode_text, read_bounded
from bakeoff.errors import DataError, StorageError, UsageError, describe_unknown, visible
from bakeoff.foreign.opening import StoredStudy
from bakeoff.records import Direction

PREFIXES = ("params.", "param.", "config.", "metrics.", "metric.", "summary.", "tags.")
PARAMETER_PREFIXES = PREFIXES[:3]
STATES: Mapping[str, TrialState] = {
    "complete": TrialState.COMPLETE,
    "completed": TrialState.COMPLETE,
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "running": TrialState.RUNNING,
    "scheduled": TrialState.WAITING,
    "pending": TrialState.WAITING,
    "preempting": TrialState.RUNNING,
    "fail": TrialState.FAIL,
    "failed": TrialState.FAIL,
    "crashed": TrialState.FAIL,
    "killed": TrialState.FAIL,
    "preempted": TrialState.FAIL,
}
"""States of runs as Optuna, MLflow and Weights & Biases write them, in lower case."""
STATE_COLUMNS = ("state", "status")
START_COLUMNS = ("start time", "start_time", "created", "datetime_start")
END_COLUMNS = ("end time", "end_time", "datetime_complete")
SECONDS_COLUMNS = ("runtime", "_runtime", "duration", "seconds")
ABOUT = {
    *STATE_COLUMNS, *START_COLUMNS, *END_COLUMNS, *SECONDS_COLUMNS, "name", "id", "run id",
    "run_id", "run name", "number", "tags", "notes", "user", "sweep", "group", "project",
    "hostname", "source type", "source name", "experiment_id", "artifact_uri", "lifecycle_stage",
    "_step", "_timestamp", "step", "epoch", "commit", "version", "models",
}  # fmt: skip
"""Columns about a run that are no parameters, in lower case."""


def read_csv_runs(path: Path, metric: str | None, direction: Direction | None) -> StoredStudy:
    """The runs of a CSV file as a study of one objective.

    Args:
        path: The file, with a header.
        metric: The column of the objective; None takes the only one named like a metric.
        direction: Whether larger values are better; None asks the registered metrics.

    Raises:
        UsageError: There is no such column, the direction is not known, or a cell of the metric is
            no number.
        StorageError: The file cannot be read, or has no rows.
    """
    header, rows = _read(path)
    column = _metric_column(header, metric)
    direction = direction or _known_direction(column)
    parameters = _parameter_columns(header, rows, column)
    distributions = {
        _short(name): CategoricalDistribution(sorted(choices))
        for name in parameters
        if not all(map(_is_number, choices := {row[name] for row in rows if row[name]}))
    }
    return StoredStudy(
        location=str(path),
        name=path.stem,
        directions=(
            StudyDirection.MAXIMIZE if direction == "maximize" else StudyDirection.MINIMIZE,
        ),
        metric_names=(_short(column),),
        system_attrs={},
        is_table=True,
        trials=tuple(
            _trial(number, row, column, parameters, distributions)
            for number, row in enumerate(rows)
        ),
    )


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        text = decode_text(read_bounded(path), path)
        rows = csv.reader(io.StringIO(text, newline=None), strict=True)
        lines = [line for line in rows if any(line)]
    except DataError as error:
        raise StorageError(str(error)) from None
    except csv.Error as error:
        raise StorageError(f"{path}: is not a CSV file ({error})") from None
    if len(lines) < 2:  # noqa: PLR2004 - a header and a run
        raise StorageError(f"{path}: has no runs")
    header, *body = lines
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise StorageError(f"{path}: has the column {twice!r} twice")
    wrong = next((n for n, line in enumerate(body, start=2) if len(line) != len(header)), None)
    if wrong is not None:
        raise StorageError(
            f"{path}: row {wrong} has {len(body[wrong - 2])} cells and the header {len(header)}"
        )
    return header, [dict(zip(header, line, strict=True)) for line in body]


def _metric_column(header: Sequence[str], wanted: str | None) -> str:
    if wanted is None:
        known = [name for name in header if _registered(name)]
        if len(known) == 1:
            return known[0]
        listed = f"; columns named like metrics: {', '.join(known)}" if known else ""
        raise UsageError(f"--metric: name the column of the objective{listed}")
    matching = [name for name in header if wanted in (name, _short(name))]
    if wanted in matching:
        return wanted
    if len(matching) != 1:
        names = [_short(name) for name in header]
        raise UsageError(f"--metric: {describe_unknown('column', wanted, names)}")
    return matching[0]


def _known_direction(column: str) -> Direction:
    found = _registered(column)
    if found is None:
        raise UsageError(
            f"--direction: say whether {visible(_short(column))} is better if larger (maximize) or"
            " smaller (minimize)"
        )
    return found


def _registered(column: str) -> Direction | None:
    """The direction of the registered metric that a column is named like, as in `val/accuracy`."""
    plain = _short(column).lower().replace("/", "_")
    parts = (plain, plain.partition("_")[2])
    for metrics in METRICS.values():
        for name in parts:
            if name in metrics:
                return metrics[name].info.direction
    return None


def _parameter_columns(
    header: Sequence[str], rows: Sequence[Mapping[str, str]], metric: str
) -> list[str]:
    """The columns of parameters; of a file without prefixes, those that vary and are no metrics."""
    prefixed = [name for name in header if name.startswith(PARAMETER_PREFIXES)]
    if prefixed:
        return prefixed
    return [
        name
        for name in header
        if name not in ("", metric)
        and name.lower() not in ABOUT
        and not name.startswith(PREFIXES)
        and _registered(name) is None
        and len({row[name] for row in rows}) > 1
    ]


def _trial(
    number: int,
    row: Mapping[str, str],
    metric: str,
    parameters: Sequence[str],
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    text = row[metric].strip()
    if text and not _is_number(text):
        raise UsageError(
            f"--metric: {visible(_short(metric))} is {visible(text)[:40]!r} in row {number + 2},"
            " which is no number"
        )
    known = (STATES[said] for said in _cells(row, STATE_COLUMNS) if said in STATES)
    state = next(known, TrialState.COMPLETE)
    if state is TrialState.COMPLETE and not text:
        state = TrialState.FAIL
    started, ended = _times(row)
    params = {
        _short(name): _value(row[name], is_text=_short(name) in distributions)
        for name in parameters
        if row[name]
    }
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=float(text) if state is TrialState.COMPLETE else None,
        values=None,
        datetime_start=started,
        datetime_complete=ended,
        params=params,
        distributions={name: one for name, one in distributions.items() if name in params},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _times(row: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """When a run started and ended, without time zones; None for what is not told."""
    started = next(filter(None, map(_time, _cells(row, START_COLUMNS))), None)
    ended = next(filter(None, map(_time, _cells(row, END_COLUMNS))), None)
    seconds = next((float(one) for one in _cells(row, SECONDS_COLUMNS) if _is_number(one)), None)
    if started and not ended and seconds is not None:
        with suppress(ValueError, OverflowError):  # not finite, or beyond the calendar
            ended = started + timedelta(seconds=seconds)
    return started, ended


def _time(text: str) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromisoformat(text.upper()).replace(tzinfo=None)
    return None


def _cells(row: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """The cells of the columns with these names, in lower case."""
    return [value.strip().lower() for name, value in row.items() if name.lower() in names]


def _short(column: str) -> str:
    """The name of a column without the prefix of another program."""
    prefix = next((one for one in PREFIXES if column.startswith(one)), "")
    return column.removeprefix(prefix)


def _value(text: str, *, is_text: bool) -> float | int | str:
    if is_text:
        return text
    number = float(text)
    return int(number) if math.isfinite(number) and number == int(number) else number


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
