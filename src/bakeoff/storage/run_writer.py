"""Stores what happens to a run: epochs, pauses, attempts and its end."""

from collections.abc import Sequence
from typing import Any

from optuna.storages import RDBStorage

from bakeoff.records import EpochResult, Losses, TrialRecord
from bakeoff.storage.checksums import ENDED_KEY
from bakeoff.storage.connection import Connection
from bakeoff.storage.reading import read_run
from bakeoff.storage.trials import (
    EXEMPT_KEY,
    LOSSES_KEY,
    PAUSE_KEY,
    RESULT_KEY,
    check_of_end,
    end_of,
    exemption_of,
    facts_of,
    losses_of,
    pause_of,
    result_of,
)


class RunWriter:
    """Writes to runs that have begun, each known by the id that the storage gave it."""

    connection: Connection
    _rdb: RDBStorage

    def report(self, trial_id: int, epoch: int, value: float) -> None:
        """Store the objective after an epoch."""
        self.connection.call(self._rdb.set_trial_intermediate_value, trial_id, epoch, value)

    def place(self, trial_id: int, place: str) -> None:
        """Store which machine has a run."""
        self._set_run_attr(trial_id, "place", place)

    def pause(self, trial_id: int, history: Sequence[EpochResult]) -> None:
        """Store that a run waits with its checkpoint, and its measurements so far."""
        self._set_run_content(trial_id, PAUSE_KEY, pause_of(history))
        self._set_run_attr(trial_id, "paused", f"after epoch {history[-1].epoch}")

    def unpause(self, trial_id: int) -> None:
        """Store that a paused run continues."""
        self._set_run_content(trial_id, PAUSE_KEY, {})
        self._set_run_attr(trial_id, "paused", "")

    def exempt(self, trial_id: int, epoch: int) -> None:
        """Store that the run is exempt from pruning that would have ended it after `epoch`."""
        self._set_run_content(trial_id, EXEMPT_KEY, exemption_of(epoch))
        self._set_run_attr(trial_id, "spared_at", epoch)

    def count_attempt(self, trial_id: int, attempt: int, losses: Losses) -> None:
        """Store the number of times a run was started. It is restarted if its worker dies."""
        self._set_run_content(trial_id, LOSSES_KEY, losses_of(attempt, losses))
        self._set_run_attr(trial_id, "attempts", attempt)

    def finish(self, trial_id: int, record: TrialRecord) -> None:
        """Store how a run ended. The state is stored last, so that a crash repeats the run."""
        facts = facts_of(record)
        if record.outcome == "pruned" and self.connection.call(
            self._rdb.get_trial_user_attrs, trial_id
        ).get("paused"):
            facts["paused"] = ""
        self._set_run_content(trial_id, RESULT_KEY, result_of(record))
        for key, value in facts.items():
            self._set_run_attr(trial_id, key, value)
        state, values = end_of(record)
        run = self.connection.call(read_run, self._rdb.engine, trial_id)
        if run is not None:
            self._set_run_content(trial_id, ENDED_KEY, check_of_end(run, state, values))
        self.connection.end_trial(trial_id, state, values)

    def _set_run_content(self, trial_id: int, key: str, value: Any) -> None:
        self.connection.call(self._rdb.set_trial_system_attr, trial_id, key, value)

    def _set_run_attr(self, trial_id: int, key: str, value: object) -> None:
        """Store a small fact that the dashboard shows."""
        self.connection.call(self._rdb.set_trial_user_attr, trial_id, key, value)
