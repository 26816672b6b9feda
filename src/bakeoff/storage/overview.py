"""All studies of a storage at a glance: two queries and no run's content, however many there are.

Only the rows of a study itself are compared with their checksums. Its runs are checked where they
are read: by `study status`, `report` and `run`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Literal, get_args

import sqlalchemy
from sqlalchemy import DateTime

from bakeoff.components.objectives import further_objectives
from bakeoff.errors import StudyFileError
from bakeoff.records import StudyConfig
from bakeoff.storage.checksums import DamagedError, opened
from bakeoff.storage.contents import (
    FORMAT,
    MISREAD,
    config_of,
    has_checksums,
    state_of,
    study_facts_of,
)
from bakeoff.storage.lock import held_locks
from bakeoff.storage.sessions import SESSIONS_KEY, Ending, Sessions, parse_sessions
from bakeoff.storage.studies import CONFIRM_SUFFIX, STATE_KEY, STUDY_KEY, Storage

State = Literal[
    "running", "finished", "interrupted", "failed", "lost", "unfinished", "newer", "damaged"
]
"""`interrupted`: someone stopped it. `failed`: its driver ended with an error. `lost`: its driver
ended without storing that, as a killed one does. `unfinished`: not known, because an earlier
release ran it. `newer`: a later release stored it."""
STATES: tuple[State, ...] = get_args(State)
VERDICT_KEY = "verdict"
"""The attribute in which the dashboard and `study list` find what was found so far."""
FINISHED_KEY = "finished"
"""Where releases without checksums stored that a study is finished."""
ATTRIBUTES = """
SELECT s.study_id, s.study_name, a.key, a.value_json FROM studies s LEFT JOIN (
    SELECT study_id, key, value_json FROM study_system_attributes
    WHERE key IN (:study, :state, :who)
    UNION ALL
    SELECT study_id, key, value_json FROM study_user_attributes WHERE key IN (:verdict, :finished)
) a ON a.study_id = s.study_id ORDER BY s.study_id
"""
COUNTS = """
SELECT study_id, COUNT(*) AS num, SUM(CASE WHEN state IN ('RUNNING', 'WAITING') THEN 1 ELSE 0 END)
AS num_open, MIN(datetime_start) AS began, MAX(datetime_start) AS last_began,
MAX(datetime_complete) AS last_ended FROM trials GROUP BY study_id
"""


@dataclass(frozen=True, kw_only=True)
class StudyOverview:
    """What a list of studies shows of one."""

    name: str
    state: State
    num_trials: int
    """Trials of the search that have ended."""
    num_confirmations: int
    """Shortlist and confirmation runs that have ended."""
    began: datetime | None
    """With the time zone of its driver, as the other times."""
    last_activity: datetime | None
    """When a driver or a run last began or ended."""
    verdict: str
    """The sentence about the winner so far; empty if there is none yet."""
    sessions: Sessions | None
    """None if an earlier release ran the study."""
    config: StudyConfig | None
    """None if the study is damaged."""
    objectives: tuple[str, ...] = ()
    """Names of the metrics, the leading one first."""


@dataclass(frozen=True, kw_only=True)
class StorageOverview:
    """What a list of studies shows."""

    studies: tuple[StudyOverview, ...]
    """Those of bakeoff, oldest first."""
    foreign: tuple[str, ...]
    """Names of the studies that other programs stored, oldest first."""


@dataclass
class _Rows:
    """What is stored of one Optuna study."""

    attributes: dict[str, str] = field(default_factory=dict)
    num_ended: int = 0
    times: tuple[datetime, ...] = ()
    """When runs began and ended, in the local time of the driver's machine."""


def read_overview(storage: Storage) -> StorageOverview:
    """What is stored, without reading the runs.

    Raises:
        StorageError: The storage cannot be read.
    """
    rows = storage.connection.call(_read_rows, storage.optuna_storage.engine)
    is_own = {name: STUDY_KEY in found.attributes for name, found in rows.items()}
    own = [name for name in rows if is_own[name] and not name.endswith(CONFIRM_SUFFIX)]
    running = storage.connection.call(held_locks, storage, own)
    nothing = _Rows()
    return StorageOverview(
        studies=tuple(
            _describe(name, rows[name], rows.get(name + CONFIRM_SUFFIX, nothing), running[name])
            for name in own
        ),
        foreign=tuple(name for name in rows if not is_own[name]),
    )


def _read_rows(engine: sqlalchemy.Engine) -> dict[str, _Rows]:
    keys = {
        "study": STUDY_KEY,
        "state": STATE_KEY,
        "who": SESSIONS_KEY,
        "verdict": VERDICT_KEY,
        "finished": FINISHED_KEY,
    }
    times = ("began", "last_began", "last_ended")
    counts = sqlalchemy.text(COUNTS).columns(**dict.fromkeys(times, DateTime))
    rows: dict[str, _Rows] = {}
    by_id: dict[int, _Rows] = {}
    with engine.begin() as connection:
        for study_id, name, key, text in connection.execute(sqlalchemy.text(ATTRIBUTES), keys):
            found = by_id[study_id] = rows.setdefault(name, _Rows())
            if key is not None:
                found.attributes[key] = text
        for one in connection.execute(counts).mappings():
            if one["study_id"] in by_id:
                found = by_id[one["study_id"]]
                found.num_ended = int(one["num"] - one["num_open"])
                found.times = tuple(one[key] for key in times if one[key] is not None)
    return rows


def _describe(name: str, search: _Rows, confirm: _Rows, is_running: bool | None) -> StudyOverview:
    sessions: Sessions | None = None
    config: StudyConfig | None = None
    objectives: tuple[str, ...] = ()
    try:
        sessions = _sessions_of(search.attributes)
        content = json.loads(search.attributes[STUDY_KEY])
        state: State = "newer"
        if content["format"] <= FORMAT:
            content = opened(content, "its content")
            config, leading = config_of(content), study_facts_of(content).metric.name
            objectives = (leading, *(metric.name for metric in further_objectives(config)))
            ended = sessions.last.how if sessions is not None else None
            state = _state(is_running, _is_finished(search.attributes, content), ended)
    except (*MISREAD, DamagedError, StudyFileError):
        state = "damaged"
    times = sorted(_times(sessions, (*search.times, *confirm.times)))
    return StudyOverview(
        name=name,
        state=state,
        num_trials=search.num_ended,
        num_confirmations=confirm.num_ended,
        began=times[0] if times else None,
        last_activity=times[-1] if times else None,
        verdict=_verdict(search.attributes),
        sessions=sessions,
        config=config,
        objectives=objectives,
    )


def _sessions_of(attributes: Mapping[str, str]) -> Sessions | None:
    text = attributes.get(SESSIONS_KEY)
    return None if text is None else parse_sessions(text)


def _is_finished(attributes: Mapping[str, str], content: Mapping[str, Any]) -> bool:
    """Whether search and confirmation were complete when the study was last run.

    Raises:
        DamagedError: A study that has checksums has lost its state, or it does not match.
    """
    if STATE_KEY in attributes:
        return state_of(json.loads(attributes[STATE_KEY])).finished
    if has_checksums(content):
        raise DamagedError("its state is missing")
    return bool(json.loads(attributes.get(FINISHED_KEY, "false")))


def _state(is_running: bool | None, is_finished: bool, ended: Ending | None) -> State:
    """The state of a study whose rows can be read.

    Args:
        is_running: Whether a driver holds its lock; None if that is not known.
        is_finished: Whether it was complete when it was last run.
        ended: How its last driver ended; None if that is not known.
    """
    if is_running:
        return "running"
    if is_finished:
        return "finished"
    if ended is None or is_running is None:
        return "unfinished"
    return ended if ended in ("interrupted", "failed") else "lost"


def _verdict(attributes: Mapping[str, str]) -> str:
    try:
        return str(json.loads(attributes.get(VERDICT_KEY, '""')))
    except ValueError:
        return ""


def _times(sessions: Sessions | None, stored: tuple[datetime, ...]) -> Iterator[datetime]:
    """All times of a study with a time zone: Optuna stores the driver's local time without one."""
    zone: tzinfo | None = None
    if sessions is not None:
        known = (sessions.first.began, sessions.last.began, sessions.last.ended)
        parsed = [datetime.fromisoformat(one) for one in known if one]
        zone = parsed[0].tzinfo
        yield from parsed
    for one in stored:
        yield one.replace(tzinfo=zone) if zone else one.astimezone()
