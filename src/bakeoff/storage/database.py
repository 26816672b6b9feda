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
    StorageUnreachableError,
    UsageError,
    describe_unknown,
)
from bakeoff.files import wait_for_lock
from bakeoff.storage.rights import check_may_write

BUSY_SECONDS = 60
NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "9p", "lustre"}
SCHEMES = ("sqlite", "postgresql")
SECRETS = ("password", "sslpassword", "passfile")
SERVER_OPTIONS = {"connect_timeout": 10, "application_name": "bakeoff"}
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds after which the client drops a connection to a server that stopped answering."""
UNREACHABLE_SQLITE = (
    "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN",
    "SQLITE_PROTOCOL", "SQLITE_NOMEM", "SQLITE_INTERRUPT",
)  # fmt: skip
"""Beginnings of the names of errors of SQLite that may go away."""
BUSY_WORDS = ("the database system is ", "database is locked", "too many clients")
"""Parts of the messages of a PostgreSQL server that starts or ends, and of SQLite."""
LASTING = ("ProgrammingError", "DataError", "NotSupportedError")
"""Errors of PostgreSQL's driver that come from the caller."""
OPTUNA_TABLE = "version_info"
VERSION_TABLES = {OPTUNA_TABLE, "alembic_version"}
"""They exist when Optuna has made its tables."""
OPTUNA_TABLES = VERSION_TABLES | {
    "studies", "study_directions", "study_user_attributes", "study_system_attributes", "trials",
    "trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values",
    "trial_intermediate_values", "trial_heartbeats",
}  # fmt: skip
SMALLEST_DATABASE = 512
"""Size of the smallest SQLite page in bytes. SQLite would overwrite a shorter file."""


def choose_storage_url(given: str | None, output: Path) -> str:
    """The given storage URL, or the URL of the SQLite file in the output folder."""
    if given is not None:
        return given
    return URL.create("sqlite", database=str(output / "studies.db")).render_as_string()


def parse_storage_url(text: str) -> URL:
    """The storage URL, with an explicit driver.

    Raises:
        UsageError: It is empty, has another scheme or cannot be parsed. The message shows no
            password.
    """
    hint = "e.g. sqlite:///results/studies.db or postgresql://user@host/database"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a port that is not a number raises ValueError
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
    """The URL as a user writes it, without secrets, for messages."""
    url = url.set(drivername=url.get_backend_name())
    return url.difference_update_query(SECRETS).render_as_string(hide_password=True)


def optuna_url(url: URL) -> str:
    """The URL as Optuna takes it, which reads braces as placeholders."""
    return url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL; None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def read_table_names(url: URL, **arguments: Any) -> list[str]:
    """The names of all tables of a database. `arguments` are those of SQLAlchemy's engine."""
    engine = sqlalchemy.create_engine(url, **arguments)
    try:
        return sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def require_psycopg() -> Iterator[None]:
    """Turn a failed import of PostgreSQL's driver into an error that says how to install it."""
    try:
        yield
    except ImportError:
        raise MissingDependencyError(
            "storage: postgresql needs psycopg; install it with `pip install 'bakeoff[postgres]'`"
        ) from None


def _check_sqlite_file(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StorageError(f"storage {path} is a folder; choose a file")
    if not path.exists():
        if not create:
            raise StorageError(f"storage {path} does not exist; `study run FILE` creates it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"storage {path} cannot be created ({error.strerror})") from None
    elif not _is_sqlite(path):
        raise StorageError(f"storage {path} is not a SQLite database; choose another file")
    filesystem = filesystem_type(path.parent)
    if filesystem in NETWORK_FILESYSTEMS:
        raise StorageError(
            f"storage {path} is on {filesystem}: SQLite loses data on network file systems;"
            " use a local folder or postgresql://..."
        )


def _is_sqlite(path: Path) -> bool:
    """Whether a file is a database, or is empty and may become one.

    Only SQLite opens the file. A process that opens and closes it by itself loses all locks that
    its own connections hold on it, and another process may then remove the log that they write to.
    """
    if not os.access(path, os.R_OK):
        raise StorageError(f"storage {path} cannot be read ({os.strerror(errno.EACCES)})")
    if path.stat().st_size < SMALLEST_DATABASE:
        return path.stat().st_size == 0
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorname != "SQLITE_NOTADB"
    return True


def filesystem_type(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system that holds `folder`; empty if it is unknown."""
    try:
        lines = mounts.read_text("utf-8", errors="surrogateescape").splitlines()
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


def import_ahead() -> None:
    """Import what a database needs when it is opened, which takes half a second.

    A study calls this while its worker imports torch, so that it need not wait for it later.
    """
    RDBStorage("sqlite://").engine.dispose()  # in memory


def open_database(url: URL, *, create: bool) -> RDBStorage:
    """Open the Optuna storage at a parsed URL, for writing if `create` is true, else for reading.

    Raises:
        EmptyStorageError: Nothing is stored, and `create` is false.
        StorageError: The database cannot be reached, or belongs to another program.
        MissingDependencyError: The database's driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        _check_sqlite_file(path, create=create)
    if create:
        check_may_create(url)  # before the lock, whose file would be a trace
    with _schema_lock(path, create=create):
        if path is not None and create:
            _make_private(path)
        return _open(url, writes=create)


def check_may_create(url: URL) -> None:
    """Raise an error if studies must not be stored in a database; nothing is written.

    Raises:
        StorageError: The database belongs to another program, or to another release of Optuna, or
            the role may not write there.
        MissingDependencyError: The database's driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return
    arguments = _engine_arguments(url)
    with _opening(url), require_psycopg():
        has_tables = _check_schema(url, arguments, writes=True)
        if has_tables:
            rdb = RDBStorage(optuna_url(url), engine_kwargs=arguments, skip_table_creation=True)
            rdb.engine.dispose()
        engine = sqlalchemy.create_engine(url, **arguments)
        try:
            check_may_write(engine, shown(url), has_tables=has_tables)
        finally:
            engine.dispose()


def _engine_arguments(url: URL) -> dict[str, Any]:
    arguments: dict[str, Any] = {"hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        return arguments | {"connect_args": {"timeout": BUSY_SECONDS}}
    arguments |= {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
    return arguments | {"connect_args": SERVER_OPTIONS | KEEPALIVES}


@contextmanager
def _opening(url: URL) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
        kind = StorageUnreachableError if is_unreachable(error) else StorageError
        raise kind(f"storage {shown(url)} cannot be opened: {first_line(error)}") from None


def _make_private(path: Path) -> None:
    """Create a missing file for its owner alone: addresses in a study may hold secrets.

    SQLite gives the files next to it the same mode. The mode of an existing file is kept.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StorageError(f"storage {path} cannot be created ({error.strerror})") from None


def _open(url: URL, *, writes: bool) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = _engine_arguments(url)
    with _opening(url):
        with require_psycopg():
            is_made = _check_schema(url, arguments, writes=writes)
            rdb = RDBStorage(optuna_url(url), engine_kwargs=arguments, skip_table_creation=is_made)
        if writes and not is_sqlite:
            # A driver writes only in the session that holds its lock. Optuna needs a second
            # session for nothing but the check of the schema, which has been done.
            rdb.engine.dispose()
            rdb = RDBStorage(
                optuna_url(url),
                engine_kwargs={**arguments, "max_overflow": 0},
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
    if is_sqlite:
        _prepare_sqlite(rdb, writes=writes)
    return rdb


def _check_schema(url: URL, arguments: dict[str, Any], *, writes: bool) -> bool:
    """Whether Optuna's tables exist.

    Raises:
        EmptyStorageError: They do not, and nothing may be written.
        StorageError: Other tables are there, and Optuna must not create its own next to them.
    """
    tables = set(read_table_names(url, **arguments))
    if tables >= VERSION_TABLES:
        return True
    if not writes:
        raise EmptyStorageError(
            f"storage {shown(url)} holds no studies; `study run FILE` creates them"
        )
    # A creation that was killed leaves some of the tables.
    if tables - OPTUNA_TABLES and (url.get_backend_name() == "sqlite" or tables & OPTUNA_TABLES):
        raise StorageError(f"storage {shown(url)} belongs to another program; choose another one")
    return False


@contextmanager
def _schema_lock(path: Path | None, *, create: bool) -> Iterator[None]:
    """Exclude other processes while tables are created. Optuna lets even readers create them."""
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
    """Take the write lock when a transaction begins, so that writers do not interleave."""

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


def is_unreachable(error: BaseException) -> bool:
    """Whether an error means that a database does not answer for now.

    Otherwise it comes from the caller, or from what the database holds, and waiting does not help.
    """
    if isinstance(error, StorageUnreachableError):
        return True
    original = _original(error)
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorname", "").startswith(UNREACHABLE_SQLITE)
    kinds = type(original).__mro__
    if any(one.__module__.startswith("psycopg") for one in kinds):  # also from the lock's session
        return not any(one.__name__ in LASTING for one in kinds)
    return isinstance(error, (SQLAlchemyError, optuna.exceptions.StorageInternalError))


def is_busy(error: BaseException) -> bool:
    """Whether a storage that cannot be opened shows that its address is right."""
    return isinstance(error, StorageUnreachableError) and any(
        word in str(error) for word in BUSY_WORDS
    )


def _original(error: BaseException) -> BaseException:
    """The error of the database's own library."""
    cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
    return getattr(cause, "orig", None) or cause


def first_line(error: BaseException) -> str:
    """The database's message, without the statement that caused it."""
    cause = error.__cause__ or error
    original = getattr(cause, "orig", None) or cause
    return str(original).strip().split("\n")[0] or type(original).__name__
