"""The checkpoints of a run that several ranks train: rank 0 decides, writes and reads."""

from time import perf_counter
from typing import Any

from bakeoff.errors import CheckpointError
from bakeoff.training.checkpoint import Checkpoints, Saved
from bakeoff.training.randomness import capture_generators
from bakeoff.training.ranks import KEY, Ranks

SECONDS_BETWEEN = 0.2
"""Within an epoch, about how often the ranks agree on whether to save or to end."""
MAX_GROWTH = 8
"""How many times more steps than before they may make until they do so again."""


class RankCheckpoints:
    """Checkpoints as the training loop uses them, on every rank.

    Every method but `suspend` is called by all ranks, in the same order.

    Args:
        own: The checkpoints of the run on rank 0; None elsewhere.
        ranks: The processes that train the run.
    """

    def __init__(self, own: Checkpoints | None, ranks: Ranks) -> None:
        self._own = own
        self._ranks = ranks
        self._steps = self._left = 1
        """How many steps there are between two agreements, and until the next one."""
        self._agreed_at = perf_counter()
        self.is_suspended = False
        """Whether all ranks stop after the step in progress."""

    def suspend(self) -> None:
        """Ask the run to save the step in progress and to stop. Any thread may call it."""
        if self._own is not None:
            self._own.suspend()

    def is_due_within_epoch(self, state: Saved) -> bool:
        """Whether the step that the ranks have just made is saved; they ask now and then only."""
        self._left -= 1
        if self._left > 0:
            return False
        is_due = is_suspended = False
        if self._own is not None:
            is_suspended = self._own.is_suspended
            is_due = self._own.is_due_within_epoch(state)
            self._steps = self._next_steps()
        decision = self._ranks.share((is_due, is_suspended, self._steps))
        is_due, self.is_suspended, self._left = decision
        return is_due

    def _next_steps(self) -> int:
        """So many steps as take about `SECONDS_BETWEEN`."""
        now = perf_counter()
        taken, self._agreed_at = now - self._agreed_at, now
        growth = min(MAX_GROWTH, SECONDS_BETWEEN / max(taken, 1e-9))
        return max(1, int(self._steps * growth))

    def is_due(self, train_seconds: float) -> bool:
        """As `Checkpoints.is_due`, on rank 0."""
        is_due = self._own is not None and self._own.is_due(train_seconds)
        return self._ranks.share(is_due)

    def save(self, state: Saved) -> None:
        """As `Checkpoints.save`, with the generators of all ranks.

        Raises:
            CheckpointError: As there, on rank 0.
            CheckpointWriteError: As there, on rank 0.
        """
        captured = None if self._ranks.is_first else capture_generators(state.device)
        state.generators_of_ranks = self._ranks.gather(captured)[1:]
        if self._own is None:
            state.note_save()
        else:
            self._own.save(state)

    def keep_weights(self, data: bytes) -> None:
        """As `Checkpoints.keep_weights`, on rank 0, which calls this alone.

        Raises:
            CheckpointWriteError: As there.
        """
        if self._own is not None:
            self._own.keep_weights(data)

    def load(self) -> dict[str, Any] | None:
        """As `Checkpoints.load`, on every rank.

        Raises:
            CheckpointError: As there; or another number of ranks has written it.
        """
        payload = self._ranks.share(None if self._own is None else self._own.load())
        if payload is not None:
            size = 1 + len(payload.get("generators_of_ranks", ()))
            if size != self._ranks.size:
                raise CheckpointError(
                    f"{KEY} = {self._ranks.size}: {size} processes have written the checkpoint"
                )
        return payload


Saving = Checkpoints | RankCheckpoints
"""The checkpoints that the training loop is given."""
