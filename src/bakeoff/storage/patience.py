"""Reading and writing a database that may be away for a while."""

import time
from collections.abc import Callable
from typing import TypeVar

import optuna
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.errors import StorageError
from bakeoff.storage.database import first_line

RETRY_SECONDS = 600
AWAY_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
GONE_ERRORS = (KeyError, optuna.exceptions.UpdateFinishedTrialError)
GONE = "the study was deleted or changed by another program while it was in use"

Answer = TypeVar("Answer")


def guard(read: Callable[[], Answer]) -> Answer:
    """Read at once or not at all.

    Raises:
        StorageError: The storage does not answer, or the study is gone.
    """
    try:
        return read()
    except GONE_ERRORS:
        raise StorageError(GONE) from None
    except AWAY_ERRORS as error:
        raise StorageError(f"the storage does not answer: {first_line(error)}") from None


def persist(write: Callable[[], Answer], on_wait: Callable[[str], None]) -> Answer:
    """Write, and wait with growing pauses while the storage is away; nothing is dropped.

    Args:
        write: Is called until it succeeds.
        on_wait: Told why, each time before it waits; may raise.

    Raises:
        StorageError: It stayed away for `RETRY_SECONDS`, or the study is gone.
    """
    deadline, pause = time.monotonic() + RETRY_SECONDS, 0.1
    while True:
        try:
            return write()
        except GONE_ERRORS:
            raise StorageError(GONE) from None
        except AWAY_ERRORS as error:
            if time.monotonic() > deadline:
                raise StorageError(f"the storage stayed away: {first_line(error)}") from None
            on_wait(f"the storage does not answer ({first_line(error)}); waiting for it")
            time.sleep(pause)
            pause = min(2 * pause, 10.0)
