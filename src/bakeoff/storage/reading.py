"""Reads all runs of a study in four queries.

Optuna would build an object for each attribute of each trial, which takes most of the time of
reading ten thousand trials. Only this module and the lock read Optuna's tables directly. Optuna
checks the version of the tables when it opens the storage.
"""

import gc
import json
from collections.abc import Iterator
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
"""Only running trials need these values. Other trials have their epochs in an attribute."""


@contextmanager
def without_collection() -> Iterator[None]:
    """Disable Python's garbage collection, which would take half of the time of a large read."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run as Optuna's tables hold it."""

    trial_id: int
    number: int
    is_running: bool
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)
    """The objective by epoch, for running trials only."""


def read_runs(engine: sqlalchemy.Engine, study_id: int) -> tuple[StoredRun, ...]:
    """The trials of a study, by number, read in one transaction."""
    with engine.begin() as connection:
        runs = {
            trial_id: StoredRun(
                trial_id=trial_id, number=number, is_running=state in ("RUNNING", "WAITING")
            )
            for trial_id, number, state in _rows(connection, TRIALS, study_id)
        }
        # on PostgreSQL, a trial may have begun since the first query
        for kind in ("user", "system"):
            query = ATTRIBUTES.format(table=f"trial_{kind}_attributes")
            for trial_id, key, content in _rows(connection, query, study_id):
                if run := runs.get(trial_id):
                    attrs = run.user_attrs if kind == "user" else run.system_attrs
                    attrs[key] = json.loads(content)
        for trial_id, epoch, value in _rows(connection, VALUES, study_id):
            if run := runs.get(trial_id):
                run.intermediate_values[epoch] = value
    return tuple(runs.values())


def _rows(
    connection: sqlalchemy.Connection, query: str, study_id: int
) -> list[tuple[Any, Any, Any]]:
    found = connection.execute(sqlalchemy.text(query), {"study": study_id})
    return [(row[0], row[1], row[2]) for row in found]
