"""Tests what `study list` shows of many studies, and what is stored about their drivers."""

import json
import os
import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy

from bakeoff.commands.verbs.list_ import list_
from bakeoff.driver import InterruptedStudyError
from bakeoff.errors import StudyTakenOverError, UsageError
from bakeoff.files import hold_lock, is_lock_held
from bakeoff.session.recording import recorded_session
from bakeoff.storage import Storage, sessions
from bakeoff.storage.lock import study_lock
from bakeoff.storage.overview import StudyOverview, read_overview
from bakeoff.storage.sessions import LONGEST_USER, begin_session, choose_user, end_session
from bakeoff.studyfile import resolve_study
from study_examples import study_document, study_facts


@pytest.fixture
def storage(storage_url):
    """A storage with the study `toy`."""
    storage = Storage(storage_url, create=True)
    storage.create(resolve_study(study_document()), study_facts())
    return storage


def overview_of(storage: Storage) -> StudyOverview:
    [study] = read_overview(storage).studies
    return study


def drive(storage: Storage, error: BaseException | None = None, user: str = "anna") -> None:
    with study_lock(storage, "toy"), recorded_session(storage, "toy", user):
        if error is not None:
            raise error
        storage.mark_finished("toy")


def test_a_study_of_an_earlier_release_is_unfinished_and_has_no_driver(storage):
    study = overview_of(storage)
    assert (study.state, study.sessions, study.began) == ("unfinished", None, None)


def test_a_study_runs_while_its_lock_is_held(storage):
    with study_lock(storage, "toy"), recorded_session(storage, "toy", "anna"):
        study = overview_of(storage)
        assert study.state == "running"
        assert study.sessions.last.process == os.getpid()
        assert study.sessions.last.host == os.uname().nodename
    drive(storage)
    assert overview_of(storage).state == "finished"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InterruptedStudyError(130), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("a bug"), "failed"),
        (StudyTakenOverError("by another"), "lost"),
    ],
)
def test_how_a_driver_ended_is_stored(storage, error, state):
    with pytest.raises(type(error)):
        drive(storage, error)
    assert overview_of(storage).state == state


def test_a_driver_that_is_killed_leaves_a_lost_study(storage):
    with study_lock(storage, "toy"):
        begin_session(storage, "toy", "anna")
    assert overview_of(storage).state == "lost"


def test_an_end_that_cannot_be_stored_is_not_waited_for(storage, monkeypatch):
    def refuse(*_: object) -> None:
        raise sqlalchemy.exc.OperationalError("UPDATE", {}, sqlite3.OperationalError("disk"))

    with study_lock(storage, "toy"):
        begun = begin_session(storage, "toy", "anna")
        monkeypatch.setattr(storage.optuna_storage, "set_study_system_attr", refuse)
        monkeypatch.setattr(storage.connection, "on_wait", pytest.fail)
        end_session(storage, "toy", begun, "interrupted")
    assert overview_of(storage).state == "lost"


def test_who_began_a_study_stays_known_when_another_person_continues_it(storage):
    for user in ("anna", "ben", "carla"):
        with pytest.raises(KeyboardInterrupt):
            drive(storage, KeyboardInterrupt(), user)
    found = overview_of(storage).sessions
    assert (found.first.user, found.last.user) == ("anna", "carla")


def change(storage: Storage, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(storage.path)) as connection:
        connection.execute(statement, values)
        connection.commit()


@pytest.mark.parametrize("key", ["bakeoff:study", "bakeoff:state", "bakeoff:sessions"])
def test_a_changed_row_of_a_study_makes_it_damaged(storage, key):
    drive(storage)
    change(
        storage,
        "UPDATE study_system_attributes SET value_json = replace(value_json, 'a', 'b')"
        " WHERE key = ?",
        key,
    )
    assert overview_of(storage).state == "damaged"


def test_a_study_in_a_newer_format_is_listed_as_newer(storage):
    change(
        storage,
        "UPDATE study_system_attributes SET value_json = ? WHERE key = 'bakeoff:study'",
        json.dumps({"format": 99}),
    )
    assert overview_of(storage).state == "newer"


def test_times_of_runs_are_in_the_time_zone_of_their_driver(storage, monkeypatch):
    zone = timezone(timedelta(hours=9))
    monkeypatch.setattr(sessions, "now", lambda: "2026-03-01T10:00:00+09:00")
    drive(storage)
    study_id = storage.connection.study_id("toy")
    change(
        storage,
        "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)"
        " VALUES (0, ?, 'COMPLETE', '2026-03-01 10:05:00.000000', '2026-03-01 12:30:00.000000')",
        study_id,
    )
    study = overview_of(storage)
    assert study.num_trials == 1
    assert study.began == datetime(2026, 3, 1, 10, 0, tzinfo=zone)
    assert study.last_activity == datetime(2026, 3, 1, 3, 30, tzinfo=UTC)


@contextmanager
def counted_statements(storage: Storage):
    statements: list[str] = []

    def count(_conn, _cursor, statement, *_: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    engine = storage.optuna_storage.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", count)
    yield statements
    sqlalchemy.event.remove(engine, "before_cursor_execute", count)


def copy_study(storage: Storage, copies: int) -> None:
    """Store the study `toy` again under other names, with its attributes."""
    with closing(sqlite3.connect(storage.path)) as connection:
        for number in range(copies):
            [new] = connection.execute(
                "INSERT INTO studies (study_name) VALUES (?) RETURNING study_id", (f"n{number}",)
            ).fetchone()
            connection.execute(
                "INSERT INTO study_system_attributes (study_id, key, value_json)"
                " SELECT ?, a.key, a.value_json FROM study_system_attributes a"
                " JOIN studies s USING (study_id) WHERE s.study_name = 'toy'",
                (new,),
            )
        connection.commit()


def test_a_thousand_studies_are_read_with_two_queries(storage):
    copy_study(storage, 1000)
    begun = time.process_time()
    with counted_statements(storage) as statements:
        found = read_overview(storage).studies
    assert len(found) == 1001
    assert len(statements) == 2
    assert time.process_time() - begun < 10


def test_the_list_shows_who_where_state_and_verdict_and_can_be_filtered(storage, capsys):
    drive(storage)
    study = storage.connection.study_id("toy")
    storage.optuna_storage.set_study_user_attr(study, "verdict", "adamw leads")
    folder = storage.path.parent

    def listed(**options: object):
        list_(output=folder, as_json=True, **options)
        return json.loads(capsys.readouterr().out)

    [shown] = listed()
    assert (shown["user"], shown["last user"]) == ("anna", "anna")
    assert (shown["host"], shown["state"]) == (os.uname().nodename, "finished")
    assert (shown["verdict"], shown["arms"][:3]) == ("adamw leads", "sgd")
    began = datetime.fromisoformat(shown["began"])
    assert timedelta(0) <= datetime.now(UTC) - began < timedelta(minutes=5)
    assert listed(users=["anna"], states=["finished"]) == [shown]
    assert listed(users=["ben"]) == []
    assert listed(states=["running", "lost"]) == []
    with pytest.raises(UsageError, match="did you mean 'running'"):
        listed(states=["runing"])
    list_(output=folder)
    table = capsys.readouterr().out
    assert table.split("\n")[0].split()[:4] == ["study", "state", "who", "where"]
    assert "anna" in table
    assert "adamw leads" in table


@pytest.mark.parametrize("name", ["", " ", "a" * (LONGEST_USER + 1), "a\nb", "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_refused(name):
    with pytest.raises(UsageError, match="--as"):
        choose_user(name)


def test_without_a_name_the_account_is_stored(monkeypatch):
    monkeypatch.setenv("LOGNAME", "dora")
    assert choose_user(None) == "dora"
    assert choose_user(" Dora B. ") == "Dora B."


def test_a_lock_is_seen_without_being_taken(tmp_path: Path):
    path = tmp_path / "lock"
    assert is_lock_held(path) is False
    with hold_lock(path, "me"):
        assert is_lock_held(path) is True
    assert is_lock_held(path) is False
    with hold_lock(path, "me again"):
        assert path.read_text() == "me again"
