"""Every access to a storage waits alike while the storage does not answer."""

import sqlite3
import stat
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy

from bakeoff.errors import StorageError
from bakeoff.storage import Storage, database
from bakeoff.studyfile import resolve_study
from study_examples import study_document, study_facts

CONFIG = resolve_study(study_document())


@pytest.fixture
def storage(tmp_path):
    storage = Storage(f"sqlite:///{tmp_path / 'studies.db'}", create=True)
    storage.create(CONFIG, study_facts())
    return storage


def fails_twice(method, error):
    """The first two calls fail."""
    calls = []

    def failing(*arguments, **keywords):
        calls.append(1)
        if len(calls) <= 2:
            raise error
        return method(*arguments, **keywords)

    return failing


AWAY = sqlalchemy.exc.OperationalError("SELECT", {}, psycopg.OperationalError("server closed"))
LOCKED = sqlalchemy.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("locked"))
LOCKED.orig.sqlite_errorname = "SQLITE_BUSY_SNAPSHOT"


@pytest.mark.parametrize(
    "access",
    [
        lambda storage: storage.load_record("toy"),
        lambda storage: storage.names(),
        lambda storage: storage.notes("toy"),
        lambda storage: storage.note("toy", "text"),
        lambda storage: storage.is_finished("toy"),
        lambda storage: storage.mark_finished("toy"),
        lambda storage: storage.load_runs("toy", "confirm"),
        lambda storage: storage.delete("toy"),
        lambda storage: storage.create(replace(CONFIG, name="other"), study_facts()),
    ],
    ids=[
        "report", "list", "notes", "note", "status", "end", "runs", "delete", "create",
    ],
)  # fmt: skip
def test_every_access_waits_for_a_storage_that_does_not_answer(storage, access):
    engine = storage.optuna_storage.engine
    reasons = []
    storage.connection.on_wait = reasons.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "connect", fails_twice(engine.connect, AWAY))
        patch.setattr(engine, "begin", fails_twice(engine.begin, LOCKED))
        access(storage)
    assert len(reasons) >= 2
    assert all(one.startswith("the storage does not answer (") for one in reasons)


@pytest.mark.parametrize(
    "error",
    [
        sqlalchemy.exc.ProgrammingError("SELECT", {}, psycopg.ProgrammingError("no such table")),
        sqlalchemy.exc.DatabaseError("SELECT", {}, sqlite3.DatabaseError("malformed")),
    ],
)
def test_what_waiting_cannot_mend_ends_at_once(storage, error):
    storage.connection.on_wait = pytest.fail
    engine = storage.optuna_storage.engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "begin", fails_twice(engine.begin, error))
        with pytest.raises(StorageError, match=r"the storage cannot be used: (no such table|malf)"):
            storage.load_record("toy")


def test_a_storage_that_was_used_before_is_waited_for_when_it_is_opened_again(
    tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    Storage(url, create=True)
    names = database.read_table_names
    monkeypatch.setattr(database, "read_table_names", fails_twice(names, LOCKED))
    with pytest.raises(StorageError, match="cannot be opened: locked"):
        Storage(url)
    reasons = []
    assert Storage(url, on_wait=reasons.append, is_known=True).names() == ()
    assert len(reasons) == 1


def test_a_storage_that_says_that_it_is_starting_is_waited_for(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    Storage(url, create=True)
    starting = psycopg.OperationalError("FATAL:  the database system is starting up")
    error = sqlalchemy.exc.OperationalError("SELECT", {}, starting)
    names = fails_twice(database.read_table_names, error)
    monkeypatch.setattr(database, "read_table_names", names)
    reasons = []
    assert Storage(url, on_wait=reasons.append).names() == ()
    assert "the database system is starting up" in reasons[0]
    assert len(reasons) == 2


def test_a_new_database_is_its_owners_alone_and_keeps_a_mode_that_was_given(tmp_path):
    file = tmp_path / "studies.db"
    Storage(f"sqlite:///{file}", create=True)
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("studies.db*")} == {0o600}
    file.chmod(0o660)
    Storage(f"sqlite:///{file}", create=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o660
