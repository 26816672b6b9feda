"""One driver per study: a lock that the system releases by itself when its holder dies."""

import fcntl
import json
import os
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy

from bakeoff.errors import StudyLockedError
from bakeoff.storage import Storage


@contextmanager
def study_lock(storage: Storage, name: str) -> Iterator[None]:
    """Hold the right to drive the study.

    Raises:
        StudyLockedError: Another driver holds it; the message names host, process and since when.
    """
    hold = _file_lock if storage.path is not None else _advisory_lock
    with hold(storage, name):
        yield


@contextmanager
def _file_lock(storage: Storage, name: str) -> Iterator[None]:
    path = lock_path(storage, name)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise StudyLockedError(_describe_holder(name, file.read())) from None
        file.truncate(0)
        json.dump(_identity(), file)
        file.flush()
        yield  # the file stays: removing it would let two drivers lock two files of one name


def lock_path(storage: Storage, name: str) -> Path:
    """The lock file beside the SQLite file."""
    if storage.path is None:
        raise ValueError("only SQLite storages have lock files")
    return storage.path.with_name(f".{storage.path.name}.{name}.lock")


@contextmanager
def _advisory_lock(storage: Storage, name: str) -> Iterator[None]:
    key = zlib.crc32(f"bakeoff:{name}".encode())
    engine = sqlalchemy.create_engine(
        storage.url,
        poolclass=sqlalchemy.pool.NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"connect_timeout": 10, "application_name": f"bakeoff driver {os.getpid()}"},
    )
    with engine.connect() as connection:
        taken = connection.execute(
            sqlalchemy.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}
        ).scalar_one()
        if not taken:
            holder = connection.execute(
                sqlalchemy.text(
                    "SELECT a.client_addr::text, a.application_name, a.backend_start::text"
                    " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                    " WHERE l.locktype = 'advisory' AND l.objid::bigint = :key AND l.granted"
                    " AND l.database = (SELECT oid FROM pg_database"
                    " WHERE datname = current_database())"
                ),
                {"key": key},
            ).first()
            raise StudyLockedError(
                f"study {name!r} is being run by another driver"
                + (f" ({', '.join(str(part) for part in holder if part)})" if holder else "")
            )
        yield


def _identity() -> dict[str, str | int]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _describe_holder(name: str, content: str) -> str:
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError):
        who = "another process"
    return f"study {name!r} is already being run by {who}; wait for it, or stop it with Ctrl-C"
