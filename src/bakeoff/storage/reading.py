"""All runs of a study in four queries.

Optuna builds an object for each attribute of each trial, which for ten thousand trials takes most
of the time of reading a study. Its tables are read here only; it has checked their version when the
storage was opened.
"""

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy

TRIALS = "SELECT trial_id, number, state FROM trials WHERE study_id = :study ORDER BY number"
ATTRIBUTES = """
SELECT a.trial_id, a.key, a.value_json FROM {table} a JOIN trials t ON t.trial_id = a.trial_id
WHERE t.study_id = :study
"""
VALUES = """
SELECT v.trial_id, v.step, v.intermediate_value
FROM trial_intermediate_values v JOIN trials t ON t.trial_id = v.trial_id
WHERE t.study_id = :study AND t.state = 'RUNNING' AND v.intermediate_value_type = 'FINITE'
"""
"""Of runs that have ended the epochs are among the attributes."""


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep Python from looking for garbage meanwhile: of all that is being read nothing is.

    Of ten thousand trials it would look at the same objects again and again, half of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run as it stands in Optuna's tables."""

    trial_id: int
    number: int
    is_running: bool
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)
    """By epoch, of a running one."""


def read_runs(engine: sqlalchemy.Engine, study_id: int) -> tuple[StoredRun, ...]:
    """The trials of a study, by number, as they are at one moment."""
    with engine.begin() as connection:
        runs = {
            trial_id: StoredRun(
                trial_id=trial_id, number=number, is_running=state in ("RUNNING", "WAITING")
            )
            for trial_id, number, state in _rows(connection, TRIALS, study_id)
        }
        _read_attributes(connection, study_id, "trial_user_attributes", runs)
        _read_attributes(connection, study_id, "trial_system_attributes", runs)
        for trial_id, epoch, value in _rows(connection, VALUES, study_id):
            if trial_id in runs:
                runs[trial_id].intermediate_values[epoch] = value
    return tuple(runs.values())


def _read_attributes(
    connection: sqlalchemy.Connection, study_id: int, table: str, runs: Mapping[int, StoredRun]
) -> None:
    is_user = table == "trial_user_attributes"
    for trial_id, key, content in _rows(connection, ATTRIBUTES.format(table=table), study_id):
        if trial_id in runs:  # on PostgreSQL a trial may have begun since the first query
            run = runs[trial_id]
            (run.user_attrs if is_user else run.system_attrs)[key] = json.loads(content)


def _rows(
    connection: sqlalchemy.Connection, query: str, study_id: int
) -> list[tuple[Any, Any, Any]]:
    found = connection.execute(sqlalchemy.text(query), {"study": study_id})
    return [(row[0], row[1], row[2]) for row in found]
