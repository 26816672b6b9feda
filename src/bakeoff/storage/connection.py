"""Access to an Optuna storage that may be unreachable for a while.

Every access is repeated until it succeeds, and no study or trial is stored or ended twice.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from json import JSONDecodeError
from typing import ParamSpec, TypeVar

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.errors import StorageError
from bakeoff.storage.database import first_line, is_unreachable

RETRY_SECONDS = 600
GONE_ERRORS = (KeyError, optuna.exceptions.UpdateFinishedTrialError)
GONE = "another program deleted or changed the study while it was in use"

P = ParamSpec("P")
Answer = TypeVar("Answer")
OnWait = Callable[[str], None]
"""Called with the reason each time an access has to wait. It may raise."""


def persist(
    method: Callable[[], Answer],
    on_wait: OnWait,
    is_waited_for: Callable[[BaseException], bool] = is_unreachable,
) -> Answer:
    """Call `method` until it succeeds, with growing pauses while the storage is unreachable.

    Every access to a storage passes here: reads, writes, and opening it.

    Args:
        method: What to do.
        on_wait: Called before each pause.
        is_waited_for: Tells which errors may go away.

    Raises:
        StorageError: The storage stayed unreachable for `RETRY_SECONDS`.
    """
    deadline, pause = time.monotonic() + RETRY_SECONDS, 0.1
    while True:
        try:
            return method()
        except Exception as error:
            if not is_waited_for(error):
                raise
            reason = first_line(error)
            if time.monotonic() > deadline:
                raise StorageError(f"the storage stayed unreachable: {reason}") from None
        on_wait(f"the storage does not answer ({reason}); waiting for it")
        time.sleep(pause)
        pause = min(2 * pause, 10.0)


class Connection:
    """Calls the methods of an Optuna storage."""

    def __init__(self, rdb: RDBStorage, on_wait: OnWait = lambda _: None) -> None:
        self.rdb = rdb
        self.on_wait = on_wait
        self._ids: dict[str, int] = {}

    def call(self, method: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Call `method`; see `persist`. A method that writes must be one that may be repeated.

        Raises:
            StorageError: The storage stayed unreachable, the study no longer exists, or what is
                stored cannot be read.
        """
        try:
            return persist(partial(method, *args, **kwargs), self.on_wait)
        except GONE_ERRORS:
            raise StorageError(GONE) from None
        except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
            raise StorageError(f"the storage cannot be used: {first_line(error)}") from None
        except JSONDecodeError as error:
            raise StorageError(f"the storage holds a value that is not JSON: {error}") from None

    def study_id(self, name: str) -> int:
        """Optuna's id of the study."""
        if name not in self._ids:
            self._ids[name] = self.call(self.rdb.get_study_id_from_name, name)
        return self._ids[name]

    def create_study(self, directions: Sequence[StudyDirection], name: str) -> int:
        """Create an Optuna study and return its id."""
        attempts = count()

        def create() -> int:
            if next(attempts):
                with suppress(KeyError):  # an earlier attempt may have stored it
                    return self.rdb.get_study_id_from_name(name)
            return self.rdb.create_new_study(directions, name)

        return self.call(create)

    def delete_study(self, name: str) -> None:
        """Remove the Optuna study of this name."""
        study_id, attempts = self.study_id(name), count()

        def delete() -> None:
            with suppress(*([KeyError] if next(attempts) else [])):  # an earlier one removed it
                self.rdb.delete_study(study_id)

        self.call(delete)
        del self._ids[name]
