"""Who drives a study, from where, and how each driver ended: stored with the study.

A storage that several people share answers "whose is it" and "does it still run" from these. The
first session says who began the study, the last one who ran it most recently. A session without an
end whose lock is free belongs to a driver that was killed, or whose machine went down.
"""

import getpass
import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.records import as_plain
from bakeoff.storage.checksums import DamagedError, opened, sealed
from bakeoff.storage.contents import MISREAD
from bakeoff.storage.reading import read_study_attributes
from bakeoff.storage.studies import Storage

SESSIONS_KEY = "bakeoff:sessions"
LONGEST_USER = 64

Ending = Literal["", "finished", "interrupted", "failed"]
"""How a driver ended; empty while it runs, and for ever if it was killed."""


@dataclass(frozen=True, kw_only=True)
class DriverSession:
    """One call of a driver."""

    user: str
    """Name of the person, as the account or `--as` gives it."""
    host: str
    process: int
    began: str
    """Time in ISO format with the offset of the driver's time zone."""
    ended: str = ""
    how: Ending = ""


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """The drivers that a study is known by."""

    first: DriverSession
    last: DriverSession


def choose_user(given: str | None) -> str:
    """The given name of a person, or the name of the account that runs this process.

    Raises:
        UsageError: The name is empty, too long, or has characters that cannot be seen.
    """
    if given is not None:
        name = given.strip()
        if not (0 < len(name) <= LONGEST_USER and name.isprintable()):
            raise UsageError(f"--as {given!r}: a name has 1 to {LONGEST_USER} visible characters")
        return name
    try:
        return getpass.getuser()[:LONGEST_USER]
    except (OSError, KeyError):  # an account without a name, as in some containers
        return f"uid {os.getuid()}"


def now() -> str:
    """The time with the offset of this machine's time zone, in seconds."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def parse_sessions(text: str) -> Sessions:
    """The sessions of a study as they are stored.

    Raises:
        DamagedError: They do not match their checksum.
        Exception: One of `contents.MISREAD`: the text is not of the form that is stored.
    """
    stored: Mapping[str, Any] = opened(json.loads(text), "its sessions")
    first, last = (DriverSession(**stored[key]) for key in ("first", "last"))
    return Sessions(first=first, last=last)


def begin_session(storage: Storage, name: str, user: str) -> Sessions:
    """Store that `user` drives a study from here. The caller must hold the study's lock."""
    engine, study_id = storage.optuna_storage.engine, storage.connection.study_id(name)
    stored = storage.connection.call(read_study_attributes, engine, study_id, "system")
    last = DriverSession(user=user, host=socket.gethostname(), process=os.getpid(), began=now())
    first = last
    with suppress(*MISREAD, DamagedError):  # who began it is then unknown, and the study is not
        first = parse_sessions(stored[SESSIONS_KEY]).first
    sessions = Sessions(first=first, last=last)
    write = storage.optuna_storage.set_study_system_attr
    storage.connection.call(write, study_id, SESSIONS_KEY, sealed(as_plain(sessions)))
    return sessions


def end_session(storage: Storage, name: str, sessions: Sessions, how: Ending) -> None:
    """Store how the last session ended, in one attempt.

    A driver that ends because the storage is gone must not wait for it. What is not stored looks
    like a driver that was killed.
    """
    ended = replace(sessions, last=replace(sessions.last, ended=now(), how=how))
    study_id = storage.connection.study_id(name)
    with suppress(BakeoffError, SQLAlchemyError, OptunaError, KeyError):
        write = storage.optuna_storage.set_study_system_attr
        write(study_id, SESSIONS_KEY, sealed(as_plain(ended)))
