"""A time limit for a study: the search ends early enough to leave time for the confirmation."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bakeoff.records import EpochResult

SAFETY = 1.2
"""Factor on every estimated duration, because runs differ and workers wait."""


@dataclass
class Deadline:
    """When the search must end."""

    seconds: float
    """Seconds for search and confirmation together, from now on."""
    num_workers: int
    confirmation_epochs: int
    """Epochs of all confirmation runs of the present repeat together."""
    run_epochs: int
    """Epochs of one run. A confirmation takes at least as long as a shortlist run and a
    confirmation run, one after the other."""
    clock: Callable[[], float] = time.monotonic
    _end: float = field(init=False)
    _epochs: int = 0
    _spent: float = 0.0
    _settled: float = 0.0
    """Time at which enough epochs had been reported that every worker had started."""

    def __post_init__(self) -> None:
        self._end = self.clock() + self.seconds

    def allows(self, seconds: float) -> bool:
        """Whether something that takes so long can end in time."""
        return self.clock() + seconds <= self._end

    def note(self, result: EpochResult) -> None:
        """Learn how long an epoch takes."""
        self._epochs += 1
        if self._epochs == self._num_to_settle:
            self._settled = self.clock()
        self._spent += result.train_seconds + result.evaluate_seconds

    def is_near(self, pending_epochs: float) -> bool:
        """Whether no new trial should begin, because the unfinished ones take the time left."""
        return self._search_seconds_left() <= SAFETY * self._seconds_for(pending_epochs)

    def is_over(self) -> bool:
        """Whether the search must stop now, so that the confirmation has its time."""
        return self._search_seconds_left() <= 0

    def _search_seconds_left(self) -> float:
        confirmation = max(
            self._seconds_for(self.confirmation_epochs),
            2 * self.run_epochs * self._seconds_per_epoch if self.confirmation_epochs else 0.0,
        )
        return self._end - SAFETY * confirmation - self.clock()

    def _seconds_for(self, epochs: float) -> float:
        return epochs * self._seconds_per_epoch / self.num_workers

    @property
    def _num_to_settle(self) -> int:
        return 2 * self.num_workers

    @property
    def _seconds_per_epoch(self) -> float:
        """Of one worker, including the time between epochs once that can be estimated."""
        trained = self._spent / self._epochs if self._epochs else 0.0
        since = self._epochs - self._num_to_settle
        if since < self._num_to_settle:
            return trained
        return max(trained, (self.clock() - self._settled) * self.num_workers / since)
