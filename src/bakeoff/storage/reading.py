"""Reads all runs of a study in six queries.

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

from bakeoff.storage.checksums import RowHashes

TRIALS = "SELECT t.trial_id, t.number, t.state FROM trials t WHERE {which} ORDER BY t.number"
ATTRIBUTES = """
SELECT a.trial_id, a.key, a.value_json FROM {table} a JOIN trials t ON t.trial_id = a.trial_id
WHERE {which}
"""
REPORTED = """
SELECT v.trial_id, v.step, v.intermediate_value
FROM trial_intermediate_values v JOIN trials t ON t.trial_id = v.trial_id
WHERE {which} AND t.state = 'RUNNING' AND v.intermediate_value_type = 'FINITE'
"""
"""Only running trials need these values. Other trials have their epochs in an attribute."""
PARAMETERS = """
SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json
FROM trial_params p JOIN trials t ON t.trial_id = p.trial_id WHERE {which}
"""
OBJECTIVES = """
SELECT v.trial_id, v.objective, v.value_type, v.value
FROM trial_values v JOIN trials t ON t.trial_id = v.trial_id WHERE {which}
"""
"""Parameters and final values are read for their checksums. bakeoff reads them in attributes."""


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
    state: str
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)
    """The objective by epoch, for running trials only."""
    rows: RowHashes = field(default_factory=RowHashes)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("RUNNING", "WAITING")


def read_runs(engine: sqlalchemy.Engine, study_id: int) -> tuple[StoredRun, ...]:
    """The trials of a study, by number, read in one transaction."""
    return _read(engine, "t.study_id = :id", study_id)


def read_run(engine: sqlalchemy.Engine, trial_id: int) -> StoredRun | None:
    """One trial; None if it does not exist."""
    return next(iter(_read(engine, "t.trial_id = :id", trial_id)), None)


def _read(engine: sqlalchemy.Engine, which: str, identity: int) -> tuple[StoredRun, ...]:
    def query(sql: str, **names: str) -> Iterator[tuple[StoredRun, list[Any]]]:
        text = sqlalchemy.text(sql.format(which=which, **names))
        for trial_id, *columns in connection.execute(text, {"id": identity}):
            if run := runs.get(trial_id):  # on PostgreSQL, it may have begun since the first query
                yield run, columns

    with engine.begin() as connection:
        found = connection.execute(sqlalchemy.text(TRIALS.format(which=which)), {"id": identity})
        runs = {
            trial_id: StoredRun(trial_id=trial_id, number=number, state=state)
            for trial_id, number, state in found
        }
        for run, (key, content) in query(ATTRIBUTES, table="trial_user_attributes"):
            run.user_attrs[key] = json.loads(content)
            run.rows.add_user(key, content)
        for run, (key, content) in query(ATTRIBUTES, table="trial_system_attributes"):
            run.system_attrs[key] = json.loads(content)
            run.rows.add_system(key, content)
        for run, (name, value, distribution) in query(PARAMETERS):
            run.rows.add_parameter(name, value, distribution)
        for run, (objective, kind, value) in query(OBJECTIVES):
            run.rows.add_value(objective, kind, value)
        for run, (epoch, value) in query(REPORTED):
            run.intermediate_values[epoch] = value
    return tuple(runs.values())
