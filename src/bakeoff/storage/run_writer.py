"""Stores what happens to runs: their beginnings, epochs, pauses, attempts and ends."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from optuna.storages import RDBStorage

from bakeoff.records import EpochResult, Losses, TrialRecord
from bakeoff.storage.checksums import FirstRows
from bakeoff.storage.connection import Connection
from bakeoff.storage.transaction import Beginning, Ending, Writes, next_number, store
from bakeoff.storage.trials import (
    EXEMPT_KEY,
    LOSSES_KEY,
    PAUSE_KEY,
    RESULT_KEY,
    end_of,
    exemption_of,
    facts_of,
    losses_of,
    pause_of,
    result_of,
)


class RunWriter:
    """Writes to runs, each known by the id that `_begin_run` or a reader of runs returned.

    Every method stores in a transaction of its own. Inside `together` they store in one.
    """

    connection: Connection
    _rdb: RDBStorage

    def __init__(self) -> None:
        self._writes: Writes | None = None
        """What `together` will store; None outside of it."""
        self._keys = count(-1, -1)
        self._ids: dict[int, int] = {}
        """The ids of the runs that began inside `together`, by the number that stood for them."""
        self._numbers: dict[int, int] = {}
        """The number of the next run by study id. Only the driver adds runs."""

    @contextmanager
    def together(self) -> Iterator[Writes]:
        """Store everything that the block writes to runs in one transaction, when it ends.

        If the block raises an error, nothing is stored. What it wrote cannot be read inside it.

        Raises:
            StorageError: The storage stayed unreachable, or another program changed the study.
        """
        if self._writes is not None:
            yield self._writes
            return
        self._writes = Writes()
        try:
            yield self._writes
            self._store(self._writes)
        except BaseException:
            self._numbers.clear()  # they count runs that may not be stored
            raise
        finally:
            self._writes = None

    def _store(self, writes: Writes) -> None:
        if not writes:
            return
        attempts = count()

        def attempt() -> dict[int, int]:
            return store(self._rdb.engine, writes, is_repeated=next(attempts) > 0)

        self._ids |= self.connection.call(attempt)

    def _begin_run(self, study_id: int, rows: FirstRows) -> tuple[int, int]:
        """Store a run as RUNNING, with the rows that it begins with.

        Returns:
            Its number and its id. Inside `together` the id is a negative number, which this object
            takes for the id from then on.
        """
        with self.together() as writes:
            if study_id not in self._numbers:
                self._numbers[study_id] = self.connection.call(
                    next_number, self._rdb.engine, study_id
                )
            number, key = self._numbers[study_id], next(self._keys)
            self._numbers[study_id] += 1
            writes.beginnings.append(
                Beginning(key=key, study_id=study_id, number=number, rows=rows)
            )
        return number, self._ids.get(key, key)

    def report(self, trial_id: int, epoch: int, value: float) -> None:
        """Store the objective after an epoch; it must be finite."""
        with self.together() as writes:
            writes.epochs[self._ids.get(trial_id, trial_id), epoch] = value

    def place(self, trial_id: int, place: str) -> None:
        """Store which machine has a run."""
        self._set(trial_id, system={}, user={"place": place})

    def pause(self, trial_id: int, history: Sequence[EpochResult]) -> None:
        """Store that a run waits with its checkpoint, and its measurements so far."""
        self._set(
            trial_id,
            system={PAUSE_KEY: pause_of(history)},
            user={"paused": f"after epoch {history[-1].epoch}"},
        )

    def unpause(self, trial_id: int) -> None:
        """Store that a paused run continues."""
        self._set(trial_id, system={PAUSE_KEY: {}}, user={"paused": ""})

    def exempt(self, trial_id: int, epoch: int) -> None:
        """Store that the run is exempt from pruning that would have ended it after `epoch`."""
        self._set(trial_id, system={EXEMPT_KEY: exemption_of(epoch)}, user={"spared_at": epoch})

    def count_attempt(
        self, trial_id: int, attempt: int, losses: Losses, *, drivers: int = 0
    ) -> None:
        """Store how often a run was started, and the workers and drivers that it has lost.

        It is started again after each loss; those of drivers are not among the attempts.
        """
        lost = losses_of(attempt, losses, drivers)
        self._set(trial_id, system={LOSSES_KEY: lost}, user={"attempts": attempt})

    def finish(self, trial_id: int, record: TrialRecord) -> None:
        """Store how a run ended."""
        state, values = end_of(record)
        with self.together() as writes:
            self._set(trial_id, system={RESULT_KEY: result_of(record)}, user=facts_of(record))
            writes.ends[self._ids.get(trial_id, trial_id)] = Ending(state=state, values=values)

    def _set(self, trial_id: int, *, system: dict[str, Any], user: dict[str, Any]) -> None:
        """Store attributes of a run; the dashboard shows the user attributes."""
        run = self._ids.get(trial_id, trial_id)
        with self.together() as writes:
            for kind, contents in (("system", system), ("user", user)):
                for key, content in contents.items():
                    writes.attributes[kind][run, key] = json.dumps(content)
