"""Reads an Optuna study of another program without changing a byte of its storage.

SQLite and journal files are copied, and only the copy is opened, because Optuna has to migrate an
old schema. On a PostgreSQL server, the server itself keeps the transactions read-only.
"""

import errno
import json
import logging
import os
import subprocess
import time
import warnings
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

from bakeoff.errors import BakeoffError, StorageError, UsageError, describe_unknown
from bakeoff.files import temporary_folder
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
"""Suffixes of the files next to a SQLite file that hold its log."""
MISREAD = (
    SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ValueError, TypeError,
    LookupError, AttributeError, ArithmeticError, AssertionError,
)  # fmt: skip
"""What Optuna raises if a database does not answer, or if a row is no JSON or of another shape."""
MOST_SHOWN = 40
"""Characters of a damaged value that a message shows."""
COPY_ATTEMPTS = 5
PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """A study as Optuna stores it."""

    location: str
    """The storage, without secrets."""
    name: str
    directions: tuple[StudyDirection, ...]
    metric_names: tuple[str, ...]
    """The names of the objectives; empty if the program set none."""
    system_attrs: Mapping[str, Any]
    trials: tuple[FrozenTrial, ...]
    """By number."""
    is_table: bool = False
    """Whether these are rows of a CSV file, which holds nothing of the program that made them."""


def read_study(location: str, name: str | None) -> StoredStudy:
    """The study called `name`, or the only one in the storage if `name` is None.

    `location` is `sqlite:///FILE`, `postgresql://...`, `journal:///FILE`, or the path of a file of
    SQLite or a journal.

    Raises:
        UsageError: There is no such study, or there are several and `name` is None.
        StorageError: The storage cannot be read.
        MissingDependencyError: The database's driver is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with temporary_folder("read") as folder, warnings.catch_warnings():
        # old databases hold distributions of Optuna 2, which it reads with a warning for each
        warnings.simplefilter("ignore", FutureWarning)
        try:
            storage, place = open_storage(location, folder)
            try:
                return _read(storage, place, name)
            finally:
                close_storage(storage)
        except BakeoffError:
            raise
        except MISREAD as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise StorageError(f"storage cannot be read by Optuna ({reason})") from None


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
    for trial in trials:
        _check_numbers(trial, name)
    return StoredStudy(
        location=place,
        name=name,
        directions=tuple(study.directions),
        metric_names=tuple(study.system_attrs.get("study:metric_names", ())),
        system_attrs=study.system_attrs,
        trials=tuple(sorted(trials, key=lambda trial: trial.number)),
    )


def _check_numbers(trial: FrozenTrial, study: str) -> None:
    """Raise an error if a number of a trial is none. SQLite stores any type in any column."""
    reported = trial.intermediate_values
    numbers = [trial.number, *reported, *reported.values(), *(trial.values or ())]
    odd = next((one for one in numbers if not isinstance(one, (int, float))), None)
    if odd is not None:
        raise StorageError(
            f"study {study!r}, trial {trial.number!r}: {str(odd)[:MOST_SHOWN]!r} is stored where a"
            " number belongs"
        )


# ---------------------------------------------------------------- storages


def open_storage(location: str, folder: Path) -> tuple[BaseStorage, str]:
    """Open a copy in `folder` or a read-only storage; return it with its location without secrets.

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
        logging.disable(logging.WARNING)  # messages of the migration tool
        try:
            storage.upgrade()
        finally:
            logging.disable(logging.NOTSET)
    return storage


def _open_journal(copy: Path, path: Path) -> JournalStorage:
    """Open the journal without its last line if that is incomplete, as after a killed writer."""
    content = copy.read_bytes()
    copy.write_bytes(content[: content.rfind(b"\n") + 1])
    _check_journal(copy, path)
    try:
        return JournalStorage(JournalFileBackend(str(copy)))
    except (ValueError, KeyError, TypeError, AssertionError):
        raise StorageError(
            f"storage {path} is neither a SQLite file nor an Optuna journal"
        ) from None


def _check_journal(copy: Path, path: Path) -> None:
    """Refuse a file whose first line is no entry of a journal; Optuna would find it empty."""
    with copy.open("rb") as file:
        first = file.readline()
    try:
        is_entry = not first or "op_code" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        is_entry = False
    if not is_entry:
        raise StorageError(f"storage {path} is neither a SQLite file nor an Optuna journal")


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
    """Copy `path` and its companions at a moment without writers, and return the copy's path.

    Another process copies the files. If this process, such as a notebook, has the database open
    too, closing the file here would release all locks that SQLite holds on it.
    Source: https://www.sqlite.org/howtocorrupt.html, section 2.2

    Raises:
        StorageError: The file cannot be read, or the files kept changing.
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
    raise StorageError(
        f"storage {path} keeps changing; stop the program that writes it, or copy it"
    )


def _copy(file: Path, target: Path) -> None:
    done = subprocess.run(  # noqa: S603 - no shell reads these names
        ["cp", "--", str(file), str(target)],  # noqa: S607 - wherever the system has it
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and file.exists():
        reason = done.stderr.strip().rpartition(": ")[2]
        raise StorageError(f"storage {file} cannot be read ({reason})")


def _state(file: Path) -> tuple[int, int] | None:
    """The size and modification time; None if the file does not exist."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
