"""Allows one driver per study, with a lock that is released when its holder dies."""

import json
import os
import socket
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import sqlalchemy

from bakeoff.errors import StudyLockedError, StudyTakenOverError
from bakeoff.files import LockHeldError, hold_lock, is_lock_held
from bakeoff.storage.studies import DRIVER_KEY, Storage

MAX_APPLICATION_NAME = 63
"""PostgreSQL cuts the name of an application after this number of bytes."""
GHOST_ATTEMPTS, GHOST_SECONDS = 50, 0.1
"""Number of attempts and pause between them while the server ends a lost session of this driver."""
HOLDER = """
SELECT a.pid, a.application_name, a.client_addr::text, 'since ' || a.backend_start::text
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.objid::bigint = %s AND l.granted
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
HELD = """
SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
STORED_DRIVER = """
SELECT a.value_json FROM study_system_attributes a JOIN studies s USING (study_id)
WHERE s.study_name = %s AND a.key = %s
"""
"""This reads Optuna's tables directly, because Optuna itself is waiting for the session then."""
TAKEN_OVER = (
    "another driver{holder} took over study {name!r} while the storage was unreachable; this driver"
    " stops, and the other one continues its runs"
)


def study_lock(storage: Storage, name: str) -> AbstractContextManager[None]:
    """Hold the right to drive the study.

    Raises:
        StudyLockedError: Another driver holds it. The message names its host, process and start.
    """
    if storage.path is None:
        return _advisory_lock(storage, name)
    return _file_lock(storage.path, name)


@contextmanager
def _file_lock(path: Path, name: str) -> Iterator[None]:
    """Hold a lock file next to the SQLite file."""
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with hold_lock(_lock_file(path, name), json.dumps(holder)):
            yield
    except LockHeldError as held:
        raise StudyLockedError(_describe_holder(name, str(held))) from None


def held_locks(storage: Storage, names: Sequence[str]) -> dict[str, bool | None]:
    """Whether a driver runs each study; None where its lock cannot be read."""
    if storage.path is not None:
        return {name: is_lock_held(_lock_file(storage.path, name)) for name in names}
    with storage.optuna_storage.engine.connect() as connection:
        held = set(connection.execute(sqlalchemy.text(HELD)).scalars())
    return {name: _lock_key(name) in held for name in names}


def _lock_file(path: Path, name: str) -> Path:
    """The lock file of a study next to the SQLite file."""
    path = path.resolve()  # one lock, whichever link leads to the file
    return path.with_name(f".{path.name}.{name}.lock")


def _lock_key(name: str) -> int:
    """The number of a study's advisory lock."""
    return zlib.crc32(f"bakeoff:{name}".encode())


@contextmanager
def _advisory_lock(storage: Storage, name: str) -> Iterator[None]:
    """Hold an advisory lock in the only session in which the storage writes."""
    engine, lock = storage.optuna_storage.engine, _SessionLock(name)
    engine.dispose()  # closes sessions without the lock
    sqlalchemy.event.listen(engine, "connect", lock.on_connect)
    try:
        storage.connection.call(_open_session, engine)
        storage.driver_token = lock.token
        yield
    finally:
        storage.driver_token = ""
        sqlalchemy.event.remove(engine, "connect", lock.on_connect)
        engine.dispose()  # the lock ends with its session


def _open_session(engine: sqlalchemy.Engine) -> None:
    """Let the engine open the session that holds the lock."""
    with engine.connect():
        pass


class _SessionLock:
    """An advisory lock that every new session of an engine takes before anything else.

    The engine has one session at a time, so everything is written under the lock. A new session is
    opened if the last one was lost, because the server restarted or the network failed. If another
    driver was active in the meantime, the study has that driver's token, and this driver stops
    before it writes anything.
    """

    def __init__(self, name: str) -> None:
        self.token = uuid4().hex
        self._name = name
        self._key = _lock_key(name)
        who = f"bakeoff {self.token[:12]} process {os.getpid()} on {socket.gethostname()}"
        self._who = who[:MAX_APPLICATION_NAME]
        self._was_held = False

    def on_connect(self, connection: Any, _: object) -> None:
        """Take the lock in a new session.

        Raises:
            StudyLockedError: Another driver holds it, and this driver never held it.
            StudyTakenOverError: Another driver holds it, or held it after this driver.
        """
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('application_name', %s, false)", (self._who,))
                self._take(cursor)
                if self._was_held:
                    self._check_token(cursor)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        self._was_held = True

    def _take(self, cursor: Any) -> None:
        for _ in range(GHOST_ATTEMPTS):
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
            if cursor.fetchone()[0]:
                return
            cursor.execute(HOLDER, (self._key,))
            holder = cursor.fetchone()
            if holder is not None and holder[1] == self._who:
                cursor.execute("SELECT pg_terminate_backend(%s)", (holder[0],))
            elif holder is not None:
                self._refuse(f" ({', '.join(str(part) for part in holder[1:] if part)})")
            time.sleep(GHOST_SECONDS)
        self._refuse("")

    def _refuse(self, holder: str) -> NoReturn:
        if self._was_held:
            raise StudyTakenOverError(TAKEN_OVER.format(name=self._name, holder=holder))
        raise StudyLockedError(f"study {self._name!r} is being run by another driver{holder}")

    def _check_token(self, cursor: Any) -> None:
        cursor.execute(STORED_DRIVER, (self._name, DRIVER_KEY))
        stored = cursor.fetchone()
        if stored is not None and stored[0] != json.dumps(self.token):
            raise StudyTakenOverError(TAKEN_OVER.format(name=self._name, holder=""))


def _describe_holder(name: str, content: str) -> str:
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError):
        who = "another process"
    return f"study {name!r} is already being run by {who}; wait for it, or stop it with Ctrl-C"
