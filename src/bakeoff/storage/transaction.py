"""Stores everything that happened to many runs in one transaction.

Optuna's own methods need a transaction for every value and build an object for every row, which
costs 3 ms of a core per epoch. These statements write the same rows: ten thousand epochs, or the
beginnings and ends of a hundred runs, in about as many statements as a single one.

A transaction whose answer was lost is looked for before it is repeated. Only the driver writes to
its runs, so either all of it is stored or nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import bindparam, text

from bakeoff.errors import StorageError
from bakeoff.storage.checksums import ENDED_KEY, FirstRows, as_stored
from bakeoff.storage.connection import GONE
from bakeoff.storage.reading import read_hashes
from bakeoff.storage.trials import check_of_end

COUNTING = {"preserve_rowcount": True}
VALUE_TYPE = sqlalchemy.Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")
OF_ACTIVE = "FROM trials WHERE trial_id = :trial_id AND state IN ('RUNNING', 'WAITING')"
"""So a row of a run that has ended, or does not exist any more, is not stored and not counted."""
LATEST = text("""
SELECT trial_id, number FROM trials WHERE study_id = :study_id ORDER BY trial_id DESC LIMIT :count
""")
STUDY = text("SELECT study_id FROM studies WHERE study_id = :study_id")
STATES = text("SELECT trial_id, state FROM trials WHERE trial_id IN :trial_ids").bindparams(
    bindparam("trial_ids", expanding=True)
)
BEGIN = text("""
INSERT INTO trials (study_id, number, state, datetime_start)
VALUES (:study_id, :number, 'RUNNING', :now)
""").bindparams(bindparam("now", type_=sqlalchemy.DateTime()))
PARAMETER = text("""
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
VALUES (:trial_id, :name, :value, :distribution)
""")
ATTRIBUTES = {
    kind: text(f"""
INSERT INTO trial_{kind}_attributes (trial_id, key, value_json)
SELECT trial_id, :key, :content {OF_ACTIVE}
ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json
""")
    for kind in ("user", "system")
}
EPOCH = text(f"""
INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
SELECT trial_id, :epoch, :value, 'FINITE' {OF_ACTIVE}
ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value,
intermediate_value_type = excluded.intermediate_value_type
""")
UNPAUSE = text("""
UPDATE trial_user_attributes SET value_json = '""' WHERE key = 'paused' AND trial_id IN :trial_ids
""").bindparams(bindparam("trial_ids", expanding=True))
VALUE = text("""
INSERT INTO trial_values (trial_id, objective, value, value_type)
VALUES (:trial_id, :objective, :value, :kind)
ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value,
value_type = excluded.value_type
""").bindparams(bindparam("kind", type_=VALUE_TYPE))
END = text("""
UPDATE trials SET state = :state, datetime_complete = :now
WHERE trial_id = :trial_id AND state IN ('RUNNING', 'WAITING')
""").bindparams(
    bindparam("state", type_=sqlalchemy.Enum(TrialState)),
    bindparam("now", type_=sqlalchemy.DateTime()),
)


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A run that begins."""

    key: int
    """Stands for its id, which it has once it is stored; negative."""
    study_id: int
    number: int
    rows: FirstRows


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a run ends."""

    state: TrialState
    values: Sequence[float] | None
    """One per objective; None without a result."""

    @property
    def was_perhaps_paused(self) -> bool:
        """Whether the dashboard may have to be told that it is paused no more."""
        return self.state is TrialState.PRUNED


@dataclass
class Writes:
    """What is stored together. Runs are named by their ids, or by the keys of their beginnings."""

    beginnings: list[Beginning] = field(default_factory=list)
    epochs: dict[tuple[int, int], float] = field(default_factory=dict)
    """The objective by run and epoch; finite."""
    attributes: dict[str, dict[tuple[int, str], str]] = field(
        default_factory=lambda: {"user": {}, "system": {}}
    )
    """JSON texts by kind, and by run and key."""
    ends: dict[int, Ending] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.beginnings or self.epochs or self.ends or any(self.attributes.values()))


def store(engine: sqlalchemy.Engine, writes: Writes, *, is_repeated: bool) -> dict[int, int]:
    """Store everything in one transaction, or nothing.

    Args:
        engine: The database.
        writes: What is stored.
        is_repeated: Whether an earlier attempt may have stored it.

    Returns:
        The ids of the runs that begin, by key.

    Raises:
        StorageError: Another program deleted or changed the study or a run.
        DamagedError: A run that ends does not match the checksum of its beginning.
    """
    with engine.begin() as connection:
        ids, was_stored = _begin(connection, writes.beginnings, is_repeated=is_repeated)
        if was_stored or (is_repeated and _have_ended(connection, writes.ends)):
            return ids
        now = datetime.now(UTC).replace(tzinfo=None)
        _insert(
            connection,
            EPOCH,
            (
                {"trial_id": ids.get(run, run), "epoch": epoch, "value": value}
                for (run, epoch), value in writes.epochs.items()
            ),
        )
        for kind, attributes in writes.attributes.items():
            rows = ((ids.get(run, run), key, content) for (run, key), content in attributes.items())
            _set_attributes(connection, kind, rows)
        _end(connection, {ids.get(run, run): end for run, end in writes.ends.items()}, now)
        return ids


def next_number(engine: sqlalchemy.Engine, study_id: int) -> int:
    """The number of the study's next run."""
    with engine.begin() as connection:
        return _next_number(connection, study_id)


def _next_number(connection: sqlalchemy.Connection, study_id: int) -> int:
    latest = connection.execute(LATEST, {"study_id": study_id, "count": 1}).first()
    return 0 if latest is None else int(latest[1]) + 1


def _insert(
    connection: sqlalchemy.Connection,
    statement: sqlalchemy.TextClause,
    rows: Iterable[dict[str, Any]],
) -> None:
    parameters = list(rows)
    if not parameters:
        return
    result = connection.execute(statement, parameters, execution_options=COUNTING)
    if result.rowcount != len(parameters):
        raise StorageError(GONE)


def _set_attributes(
    connection: sqlalchemy.Connection, kind: str, rows: Iterable[tuple[int, str, str]]
) -> None:
    named = ({"trial_id": one, "key": key, "content": content} for one, key, content in rows)
    _insert(connection, ATTRIBUTES[kind], named)


def _begin(
    connection: sqlalchemy.Connection, beginnings: Sequence[Beginning], *, is_repeated: bool
) -> tuple[dict[int, int], bool]:
    """Store runs that begin; return their ids by key, and whether they were stored before."""
    studies: dict[int, list[Beginning]] = {}
    for one in beginnings:
        studies.setdefault(one.study_id, []).append(one)
    ids: dict[int, int] = {}
    was_stored = False
    for study_id, ours in studies.items():
        if connection.execute(STUDY, {"study_id": study_id}).first() is None:
            raise StorageError(GONE)
        number = _next_number(connection, study_id)
        was_stored = is_repeated and number == ours[-1].number + 1
        if not was_stored:
            if number != ours[0].number:
                raise StorageError(GONE)
            _insert_trials(connection, study_id, ours)
        latest = connection.execute(LATEST, {"study_id": study_id, "count": len(ours)})
        by_number = {found: trial_id for trial_id, found in latest}
        ids |= {one.key: by_number[one.number] for one in ours}
    if not was_stored:
        _insert_contents(connection, beginnings, ids)
    return ids, was_stored


def _insert_trials(
    connection: sqlalchemy.Connection, study_id: int, beginnings: Sequence[Beginning]
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = ({"study_id": study_id, "number": one.number, "now": now} for one in beginnings)
    _insert(connection, BEGIN, rows)


def _insert_contents(
    connection: sqlalchemy.Connection, beginnings: Sequence[Beginning], ids: Mapping[int, int]
) -> None:
    """Store the parameters and first attributes of runs."""
    rows = (
        {"trial_id": ids[one.key], "name": name, "value": value, "distribution": distribution}
        for one in beginnings
        for name, value, distribution in one.rows.parameters
    )
    _insert(connection, PARAMETER, rows)
    for kind in ATTRIBUTES:
        _set_attributes(
            connection,
            kind,
            (
                (ids[one.key], key, content)
                for one in beginnings
                for key, content in getattr(one.rows, kind).items()
            ),
        )


def _have_ended(connection: sqlalchemy.Connection, ends: Mapping[int, Ending]) -> bool:
    """Whether an earlier attempt ended the runs that end. Then it also stored everything else."""
    if not ends:
        return False
    found = connection.execute(STATES, {"trial_ids": [*ends]})
    states: dict[int, str] = {row[0]: row[1] for row in found}
    return all(states.get(run) == end.state.name for run, end in ends.items())


def _end(connection: sqlalchemy.Connection, ends: Mapping[int, Ending], now: datetime) -> None:
    """End runs whose other rows are stored."""
    if not ends:
        return
    paused = [trial_id for trial_id, end in ends.items() if end.was_perhaps_paused]
    if paused:
        connection.execute(UNPAUSE, {"trial_ids": paused})
    checks = []
    for run in read_hashes(connection, [*ends]):
        end = ends[run.trial_id]
        check = check_of_end(run, end.state, end.values)
        checks.append((run.trial_id, ENDED_KEY, json.dumps(check)))
    _set_attributes(connection, "system", checks)
    values = []
    for trial_id, end in ends.items():
        for objective, number in enumerate(end.values or ()):
            kind, value = as_stored(number)
            row = {"trial_id": trial_id, "objective": objective, "kind": kind, "value": value}
            values.append(row)
    _insert(connection, VALUE, values)
    rows = [{"trial_id": one, "state": end.state, "now": now} for one, end in ends.items()]
    _insert(connection, END, rows)
