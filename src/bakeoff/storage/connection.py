"""Access to an Optuna storage that may be unreachable for a while.

Reads fail at once. Writes are repeated until they succeed, and no trial is stored or ended twice.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import ParamSpec, TypeVar

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.errors import StorageError
from bakeoff.storage.database import first_line

RETRY_SECONDS = 600
UNREACHABLE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
GONE_ERRORS = (KeyError, optuna.exceptions.UpdateFinishedTrialError)
GONE = "another program deleted or changed the study while it was in use"

P = ParamSpec("P")
Answer = TypeVar("Answer")


class Connection:
    """Calls the methods of an Optuna storage."""

    def __init__(self, rdb: RDBStorage) -> None:
        self.rdb = rdb
        self.on_wait: Callable[[str], None] = lambda _: None
        """Called with the reason each time `retry` has to wait. It may raise."""
        self._ids: dict[str, int] = {}
        self._num_trials: dict[int, int] = {}
        """The number of stored trials by study id. Only the driver adds trials."""

    def call(self, method: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Call `method` once.

        Raises:
            StorageError: The storage does not answer, or the study no longer exists.
        """
        try:
            return method(*args, **kwargs)
        except GONE_ERRORS:
            raise StorageError(GONE) from None
        except UNREACHABLE_ERRORS as error:
            raise StorageError(f"the storage does not answer: {first_line(error)}") from None

    def retry(self, method: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Call `method` until it succeeds, with growing pauses while the storage is unreachable.

        Raises:
            StorageError: The storage stayed unreachable for `RETRY_SECONDS`, or the study no longer
                exists.
        """
        deadline, pause = time.monotonic() + RETRY_SECONDS, 0.1
        while True:
            try:
                return method(*args, **kwargs)
            except GONE_ERRORS:
                raise StorageError(GONE) from None
            except UNREACHABLE_ERRORS as error:
                reason = first_line(error)
                if time.monotonic() > deadline:
                    raise StorageError(f"the storage stayed unreachable: {reason}") from None
                self.on_wait(f"the storage does not answer ({reason}); waiting for it")
                time.sleep(pause)
                pause = min(2 * pause, 10.0)

    def study_id(self, name: str) -> int:
        """Optuna's id of the study."""
        if name not in self._ids:
            self._ids[name] = self.call(self.rdb.get_study_id_from_name, name)
        return self._ids[name]

    def delete_study(self, name: str) -> None:
        """Remove the Optuna study of this name."""
        self.call(self.rdb.delete_study, self.study_id(name))
        self._num_trials.pop(self._ids.pop(name), None)

    def create_trial(self, study_id: int, template: FrozenTrial) -> tuple[int, int]:
        """Store a trial and return its number and its id.

        If the storage fails before it confirms the trial, the trial is looked up by its number.
        The number is counted here, because Optuna would read all trials to count them.
        """
        if study_id not in self._num_trials:
            self._num_trials[study_id] = self.retry(self.rdb.get_n_trials, study_id)
        number, attempts = self._num_trials[study_id], count()

        def create() -> int:
            if next(attempts):
                with suppress(KeyError):  # an earlier attempt may have stored it
                    return self.rdb.get_trial_id_from_study_id_trial_number(study_id, number)
            return self.rdb.create_new_trial(study_id, template)

        trial_id = self.retry(create)
        self._num_trials[study_id] += 1
        return number, trial_id

    def end_trial(self, trial_id: int, state: TrialState, values: list[float] | None) -> None:
        """Set the final state and values of a trial."""
        attempts = count()

        def end() -> None:
            if next(attempts) and self.rdb.get_trial(trial_id).state is state:
                return  # an earlier attempt stored it
            self.rdb.set_trial_state_values(trial_id, state, values)

        self.retry(end)
