"""Reads all runs of a study in six queries.

Optuna would build an object for each attribute of each trial, which takes most of the time of
reading ten thousand trials. Only this module and the lock read Optuna's tables directly. Optuna
checks the version of the tables when it opens the storage.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal

import sqlalchemy

from bakeoff.storage.checksums import DamagedError, RowHashes

STUDIES = """
SELECT s.study_name, a.value_json FROM studies s
LEFT JOIN study_system_attributes a ON a.study_id = s.study_id AND a.key = :key ORDER BY s.study_id
"""
STUDY_ATTRIBUTES = "SELECT key, value_json FROM study_{kind}_attributes WHERE study_id = :id"
TRIALS = "SELECT t.trial_id, t.number, t.state FROM trials t WHERE {which} ORDER BY t.number"
ATTRIBUTES = """
SELECT a.trial_id, a.key, a.value_json FROM {table} a JOIN trials t ON t.trial_id = a.trial_id
WHERE {which}
"""
ORPHANS = """
SELECT a.trial_id FROM trial_system_attributes a WHERE a.key = :key
AND NOT EXISTS (SELECT 1 FROM trials t WHERE t.trial_id = a.trial_id)
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
    with engine.begin() as connection:
        return _read(connection, "t.study_id = :id", study_id)


def read_hashes(
    connection: sqlalchemy.Connection, trial_ids: Sequence[int]
) -> tuple[StoredRun, ...]:
    """The trials with the hashes of their rows; their attributes stay JSON texts."""
    return _read(connection, "t.trial_id IN :id", trial_ids, parses=False)


def has_orphans(engine: sqlalchemy.Engine, key: str) -> bool:
    """Whether a system attribute of this key belongs to no trial of the storage."""
    with engine.begin() as connection:
        return connection.execute(sqlalchemy.text(ORPHANS), {"key": key}).first() is not None


def read_studies(engine: sqlalchemy.Engine, key: str) -> dict[str, str | None]:
    """The text of one system attribute of every study, by the study's name, oldest study first.

    A study without the attribute has None. Attributes of other programs are not read.
    """
    with engine.begin() as connection:
        found = connection.execute(sqlalchemy.text(STUDIES), {"key": key})
        return {row[0]: row[1] for row in found}


def read_study_attributes(
    engine: sqlalchemy.Engine, study_id: int, kind: Literal["user", "system"]
) -> dict[str, str]:
    """The texts of the attributes of a study."""
    query = sqlalchemy.text(STUDY_ATTRIBUTES.format(kind=kind))
    with engine.begin() as connection:
        return {row[0]: row[1] for row in connection.execute(query, {"id": study_id})}


def parse(text: object, key: str) -> Any:
    """The value of an attribute.

    Raises:
        DamagedError: It is not JSON.
    """
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        raise DamagedError(f"{key!r} is not JSON") from None


def _read(
    connection: sqlalchemy.Connection,
    which: str,
    identity: int | Sequence[int],
    *,
    parses: bool = True,
) -> tuple[StoredRun, ...]:
    execute = partial(_execute, connection, which, identity)

    def query(sql: str, **names: str) -> Iterator[tuple[StoredRun, Sequence[Any]]]:
        for trial_id, *columns in execute(sql, **names):
            if run := runs.get(trial_id):  # on PostgreSQL, it may have begun since the first query
                yield run, columns

    runs = {
        trial_id: StoredRun(trial_id=trial_id, number=number, state=state)
        for trial_id, number, state in execute(TRIALS)
    }
    parse_json: Callable[[str], Any] = json.loads if parses else str
    key: Any = ""
    try:
        for run, (key, content) in query(ATTRIBUTES, table="trial_user_attributes"):
            run.user_attrs[key] = parse_json(content)
            run.rows.add_user(key, content)
        for run, (key, content) in query(ATTRIBUTES, table="trial_system_attributes"):
            run.system_attrs[key] = parse_json(content)
            run.rows.add_system(key, content)
        for run, (key, value, distribution) in query(PARAMETERS):
            run.rows.add_parameter(key, value, distribution)
        for run, (key, kind, value) in query(OBJECTIVES):
            run.rows.add_value(key, kind, value)
        for run, (key, value) in query(REPORTED):
            run.intermediate_values[int(key)] = float(value)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise DamagedError(f"run {run.number}: {key!r} is not what bakeoff stores") from None
    return tuple(runs.values())


def _execute(
    connection: sqlalchemy.Connection,
    which: str,
    identity: int | Sequence[int],
    sql: str,
    **names: str,
) -> Iterable[Sequence[Any]]:
    query = _query(sql.format(which=which, **names), of_several=not isinstance(identity, int))
    return connection.execute(query, {"id": identity})


@cache
def _query(sql: str, *, of_several: bool) -> sqlalchemy.TextClause:
    query = sqlalchemy.text(sql)
    return query.bindparams(sqlalchemy.bindparam("id", expanding=True)) if of_several else query
