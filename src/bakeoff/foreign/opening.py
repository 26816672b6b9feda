"""Reading an Optuna study of another program without changing a byte of where it is kept.

SQLite and journal files are copied, and only the copy is opened: Optuna brings the schema of an
old copy up to date, which it could not do without writing. A PostgreSQL server is asked in
transactions that it keeps read-only itself.
"""

import errno
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.errors import StorageError, UsageError, describe_unknown
from bakeoff.storage.database import (
    OPTUNA_TABLE,
    SERVER_OPTIONS,
    first_line,
    optuna_url,
    parse_storage_url,
    read_table_names,
    require_psycopg,
    shown,
    sqlite_path,
)

JOURNAL_SCHEME = "journal:///"
SQLITE_HEADER = b"SQLite format 3\x00"
SQLITE_COMPANIONS = ("-wal", "-journal")
"""Files beside a SQLite file that hold what is not in it yet, or what must be undone."""
COPY_ATTEMPTS = 5
PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """A study as Optuna stores it."""

    location: str
    """Where it was read, without secrets."""
    name: str
    directions: tuple[StudyDirection, ...]
    metric_names: tuple[str, ...]
    """Of the objectives; empty where the program set none."""
    system_attrs: Mapping[str, Any]
    trials: tuple[FrozenTrial, ...]
    """By number."""


def read_study(location: str, name: str | None) -> StoredStudy:
    """The study called `name`; without a name, the only one there is.

    Args:
        location: `sqlite:///FILE`, `postgresql://...`, `journal:///FILE`, or the path of a SQLite
            or journal file.
        name: The study's name.

    Raises:
        UsageError: There is no such study, or several and no name.
        StorageError: The storage cannot be read.
        MissingDependencyError: The database's driver is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        try:
            storage, place = open_storage(location, Path(folder))
            try:
                return _read(storage, place, name)
            finally:
                close_storage(storage)
        except (SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
            raise StorageError(f"storage cannot be read as Optuna's: {first_line(error)}") from None


def _read(storage: BaseStorage, place: str, name: str | None) -> StoredStudy:
    studies = {study.study_name: study for study in storage.get_all_studies()}
    if name is None and len(studies) == 1:
        name = next(iter(studies))
    if name is None:
        raise UsageError(f"--study: {place} holds {', '.join(studies) or 'no studies'}; name one")
    if name not in studies:
        raise UsageError(f"--study: {describe_unknown('study', name, studies)}")
    study = studies[name]
    trials = storage.get_all_trials(study._study_id)  # noqa: SLF001 - no public name
    return StoredStudy(
        location=place,
        name=name,
        directions=tuple(study.directions),
        metric_names=tuple(study.system_attrs.get("study:metric_names", ())),
        system_attrs=study.system_attrs,
        trials=tuple(sorted(trials, key=lambda trial: trial.number)),
    )


# ---------------------------------------------------------------- where it is kept


def open_storage(location: str, folder: Path) -> tuple[BaseStorage, str]:
    """A storage that may be changed without harm or cannot be, and where it is without secrets.

    Args:
        location: As for `read_study`.
        folder: Where a copy of a file may stand for as long as the storage is used.

    Raises:
        StorageError: The storage cannot be read.
        MissingDependencyError: The database's driver is not installed.
    """
    path = Path(location)
    if location.startswith(JOURNAL_SCHEME):
        path = Path(location.removeprefix(JOURNAL_SCHEME))
        return _open_journal(_copy_at_rest(path, folder, ()), path), str(path)
    if "://" in location:
        url = parse_storage_url(location)
        file = sqlite_path(url)
        if file is None:
            return _open_server(url), shown(url)
        path = file
    copy = _copy_at_rest(path, folder, SQLITE_COMPANIONS)
    with copy.open("rb") as start:
        is_sqlite = start.read(len(SQLITE_HEADER)) == SQLITE_HEADER
    return (_open_sqlite if is_sqlite else _open_journal)(copy, path), str(path)


def close_storage(storage: BaseStorage) -> None:
    """Close a storage's connections, which Optuna leaves open."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def _open_sqlite(copy: Path, path: Path) -> RDBStorage:
    """The storage in the copy of `path`."""
    url = URL.create("sqlite", database=str(copy))
    _check_tables(url, path)
    storage = RDBStorage(optuna_url(url), skip_compatibility_check=True)
    if storage.get_current_version() not in storage.get_all_versions():
        raise StorageError(
            f"storage {path} was made by a newer Optuna than {optuna.__version__};"
            " `pip install -U optuna`"
        )
    if storage.get_current_version() != storage.get_head_version():
        _upgrade(storage)
    return storage


def _upgrade(storage: RDBStorage) -> None:
    """Bring a copy's schema up to date, without the migration tool's own messages."""
    logging.disable(logging.WARNING)
    try:
        storage.upgrade()
    finally:
        logging.disable(logging.NOTSET)


def _open_journal(copy: Path, path: Path) -> JournalStorage:
    """A journal ends with a whole line, unless a program is writing it or was killed doing so."""
    content = copy.read_bytes()
    copy.write_bytes(content[: content.rfind(b"\n") + 1])
    try:
        return JournalStorage(JournalFileBackend(str(copy)))
    except (ValueError, KeyError, TypeError, AssertionError):
        raise StorageError(
            f"storage {path} is neither a SQLite file nor a journal of Optuna"
        ) from None


def _open_server(url: URL) -> RDBStorage:
    options = {**SERVER_OPTIONS, "options": "-c default_transaction_read_only=on"}
    with require_psycopg():
        _check_tables(url, shown(url), connect_args=options)
        return RDBStorage(
            optuna_url(url),
            engine_kwargs={"hide_parameters": True, "connect_args": options},
            skip_table_creation=True,
        )


def _check_tables(url: URL, place: object, **arguments: Any) -> None:
    if OPTUNA_TABLE not in read_table_names(url, **arguments):
        raise StorageError(f"storage {place} holds no Optuna studies")


def _copy_at_rest(path: Path, folder: Path, companions: Iterable[str]) -> Path:
    """A copy of `path` and of its companions, of a moment in which nobody wrote to them.

    Another process copies: if this one (a notebook, say) has the database open as well, closing the
    file here would take from it all locks that SQLite holds.
    Source: https://www.sqlite.org/howtocorrupt.html, section 2.2

    Raises:
        StorageError: The file cannot be read, or they kept changing.
    """
    if not path.is_file():
        error = errno.EISDIR if path.is_dir() else errno.ENOENT
        raise StorageError(f"storage {path} cannot be read ({os.strerror(error)})")
    files = [path, *(path.with_name(path.name + suffix) for suffix in companions)]
    for _ in range(COPY_ATTEMPTS):
        before = [_state(file) for file in files]
        for file, state in zip(files, before, strict=True):
            target = folder / file.name
            target.unlink(missing_ok=True)
            if state is not None:
                _copy(file, target)
        if [_state(file) for file in files] == before:
            return folder / path.name
        time.sleep(PAUSE_SECONDS)
    raise StorageError(f"storage {path} changes all the time; stop the program or copy the file")


def _copy(file: Path, target: Path) -> None:
    done = subprocess.run(  # noqa: S603 - no shell reads these names
        ["cp", "--", str(file), str(target)],  # noqa: S607 - wherever the system has it
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and file.exists():
        reason = done.stderr.strip().rpartition(": ")[2]
        raise StorageError(f"storage {file} cannot be read ({reason})")


def _state(file: Path) -> tuple[int, int] | None:
    """Size and time of the last change; None where there is no such file."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
