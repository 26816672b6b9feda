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
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.errors import StorageError
from bakeoff.storage.database import first_line, is_unreachable
from bakeoff.storage.reading import read_state

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
        self._num_trials: dict[int, int] = {}
        """The number of stored trials by study id. Only the driver adds trials."""

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
        self._num_trials.pop(self._ids.pop(name), None)

    def create_trial(self, study_id: int, template: FrozenTrial) -> tuple[int, int]:
        """Store a trial and return its number and its id.

        If the storage fails before it confirms the trial, the trial is looked up by its number.
        The number is counted here, because Optuna would read all trials to count them.
        """
        if study_id not in self._num_trials:
            self._num_trials[study_id] = self.call(self.rdb.get_n_trials, study_id)
        number, attempts = self._num_trials[study_id], count()

        def create() -> int:
            if next(attempts):
                with suppress(KeyError):  # an earlier attempt may have stored it
                    return self.rdb.get_trial_id_from_study_id_trial_number(study_id, number)
            return self.rdb.create_new_trial(study_id, template)

        trial_id = self.call(create)
        self._num_trials[study_id] += 1
        return number, trial_id

    def end_trial(self, trial_id: int, state: TrialState, values: list[float] | None) -> None:
        """Set the final state and values of a trial."""
        attempts = count()

        def end() -> None:
            if next(attempts) and read_state(self.rdb.engine, trial_id) == state.name:
                return  # an earlier attempt stored it
            self.rdb.set_trial_state_values(trial_id, state, values)

        self.call(end)
