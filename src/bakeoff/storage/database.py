"""Opening the database that an Optuna storage lives in: its URL, its schema, its transactions."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from bakeoff.errors import (
    EmptyStorageError,
    MissingDependencyError,
    StorageError,
    UsageError,
    describe_unknown,
)
from bakeoff.files import wait_for_lock

BUSY_SECONDS = 60
NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "9p", "lustre"}
SCHEMES = ("sqlite", "postgresql")
SECRETS = ("password", "sslpassword", "passfile")
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds, after which a server that does not answer any more counts as away."""
OPTUNA_TABLE = "version_info"
SMALLEST_DATABASE = 512
"""Bytes of the smallest page; SQLite itself would write over a shorter file."""


def choose_storage_url(given: str | None, output: Path) -> str:
    """The storage URL that was given, else that of the SQLite storage inside the output folder."""
    if given is not None:
        return given
    return URL.create("sqlite", database=str(output / "studies.db")).render_as_string()


def parse_storage_url(text: str) -> URL:
    """The storage URL, with an explicit driver.

    Raises:
        UsageError: It is empty, has another scheme or cannot be parsed; no password is shown.
    """
    hint = "e.g. sqlite:///results/studies.db or postgresql://user@host/database"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        named = "the URL" if {"@", "="} & set(text) else repr(text)
        if "://" not in text and text and "@" not in text:
            hint = f"did you mean 'sqlite:///{text.removeprefix('sqlite:')}'? {hint}"
        raise UsageError(f"storage: cannot understand {named}; {hint}") from None
    scheme = url.get_backend_name()
    if scheme not in SCHEMES:
        raise UsageError(f"storage: {describe_unknown('scheme', scheme, SCHEMES)}; {hint}")
    if scheme == "sqlite" and url.database in (None, "", ":memory:"):
        raise UsageError(f"storage: {text!r} names no file; {hint}")
    return url.set(drivername="postgresql+psycopg" if scheme == "postgresql" else "sqlite")


def shown(url: URL) -> str:
    """The URL without anything secret, for messages."""
    return url.difference_update_query(SECRETS).render_as_string(hide_password=True)


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL; None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _check_sqlite_file(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StorageError(f"storage {path} is a folder; give a file")
    if not path.exists():
        if not create:
            raise StorageError(f"storage {path} does not exist; `study run FILE` makes it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"storage {path} cannot be made ({error.strerror})") from None
    elif not _is_sqlite(path):
        raise StorageError(f"storage {path} is not a database of SQLite; give another file")
    filesystem = filesystem_type(path.parent)
    if filesystem in NETWORK_FILESYSTEMS:
        raise StorageError(
            f"storage {path} is on {filesystem}: SQLite loses data on network file systems;"
            " use a local folder or postgresql://..."
        )


def _is_sqlite(path: Path) -> bool:
    """Whether a file is a database, or empty and may become one.

    SQLite is asked, because a process that opens and closes the file itself gives up all locks that
    its own connections hold on it: another process may then remove the log that they write to.
    """
    if not os.access(path, os.R_OK):
        raise StorageError(f"storage {path} cannot be read ({os.strerror(errno.EACCES)})")
    if path.stat().st_size < SMALLEST_DATABASE:
        return path.stat().st_size == 0
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorname != "SQLITE_NOTADB"
    return True


def filesystem_type(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Type of the file system that holds `folder`; empty where the system does not tell."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    real = folder.resolve()
    found = ("", "")
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if real.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def open_database(url: URL, *, create: bool) -> RDBStorage:
    """The Optuna storage at `url`.

    Args:
        url: As `parse_storage_url` gives it.
        create: Whether what is missing is made, and whether transactions are for writing (the
            driver) or for reading.

    Raises:
        EmptyStorageError: There is nothing stored, and `create` is false.
        StorageError: It cannot be reached, or belongs to another program.
        MissingDependencyError: The database's driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        _check_sqlite_file(path, create=create)
    with _schema_lock(path, create=create):
        return _open(url, writes=create)


def _open(url: URL, *, writes: bool) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    arguments: dict[str, Any] = {"hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        arguments["connect_args"] = {"timeout": BUSY_SECONDS}
    else:
        arguments |= {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
        arguments["connect_args"] = {
            "connect_timeout": 10,
            "application_name": "bakeoff",
            **KEEPALIVES,
        }
    try:
        _check_schema(url, arguments, writes=writes)
        rdb = RDBStorage(text, engine_kwargs=arguments)
        if writes and url.get_backend_name() != "sqlite":
            rdb = _with_one_session(rdb, text, arguments)
    except ImportError:
        raise MissingDependencyError(
            "storage: postgresql needs psycopg; install it with `pip install 'bakeoff[postgres]'`"
        ) from None
    except (SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
        raise StorageError(f"storage {shown(url)} cannot be opened: {first_line(error)}") from None
    if url.get_backend_name() == "sqlite":
        _prepare_sqlite(rdb, writes=writes)
    return rdb


def _with_one_session(rdb: RDBStorage, url: str, arguments: dict[str, Any]) -> RDBStorage:
    """The same storage for a driver: it writes only in the session that holds its lock.

    Optuna needs a second one, but only to check the schema, which has been done.
    """
    rdb.engine.dispose()
    return RDBStorage(
        url,
        engine_kwargs={**arguments, "max_overflow": 0},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )


def _check_schema(url: URL, arguments: dict[str, Any], *, writes: bool) -> None:
    """Optuna makes its tables wherever it is let in; readers must not, nor writers among others'.

    Raises:
        StorageError: There are no studies here, or other tables.
    """
    engine = sqlalchemy.create_engine(url, **arguments)
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()
    if OPTUNA_TABLE in tables:
        return
    if not writes:
        raise EmptyStorageError(
            f"storage {shown(url)} holds no studies; `study run FILE` makes them"
        )
    if tables and url.get_backend_name() == "sqlite":
        raise StorageError(f"storage {shown(url)} belongs to another program; give another file")


@contextmanager
def _schema_lock(path: Path | None, *, create: bool) -> Iterator[None]:
    """Hold other processes off while the tables are made, readers too: Optuna lets them help."""
    lock = path.with_name(f".{path.name}.lock") if path is not None else None
    if lock is None or not (create or lock.exists()):
        yield
        return
    try:
        opened = lock.open("a" if create else "r")
    except OSError as error:
        raise StorageError(f"storage {path} cannot be locked: {lock} ({error.strerror})") from None
    with opened as file:
        wait_for_lock(file.fileno(), shared=not create)
        yield


def _prepare_sqlite(rdb: RDBStorage, *, writes: bool) -> None:
    """Take the write lock when a transaction begins, so that no two writers interleave."""

    @sqlalchemy.event.listens_for(rdb.engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        if writes:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    @sqlalchemy.event.listens_for(rdb.engine, "begin")
    def _on_begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    rdb.engine.dispose()


def first_line(error: BaseException) -> str:
    """What the database said, without the statement it was about."""
    cause = error.__cause__ or error
    original = getattr(cause, "orig", None) or cause
    return str(original).strip().split("\n")[0] or type(original).__name__
