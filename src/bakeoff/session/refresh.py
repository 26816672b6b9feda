"""Keeps the dashboard's figures up to date while a study runs."""

import threading
import time
from collections.abc import Callable

from bakeoff.driver import Observer
from bakeoff.errors import BakeoffError, StorageUnreachableError
from bakeoff.records import TrialPlan, TrialRecord

FIRST_SECONDS = 20.0
SHORTEST_SECONDS = 30.0
MAX_SHARE = 0.02
"""Largest share of the running time that refreshing may take."""


class RefreshingObserver:
    """Passes every event on, and calls `refresh` from time to time after a trial has ended.

    A refresh that fails is reported once and not tried again, because a study is worth more than
    its figures. If the storage does not answer for now, the next one may succeed.

    Args:
        observer: Is shown every event.
        refresh: Draws and stores the figures.
        prepare: Imports what that needs. It runs in a thread, once: before the first refresh, or as
            soon as the last run of a stage has begun, when the driver has little else to do.
        clock: The time in seconds.
    """

    def __init__(
        self,
        observer: Observer,
        refresh: Callable[[], None],
        prepare: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epoch, self.paused = observer.epoch, observer.paused
        self.note = observer.note
        self._began, self._ended = observer.began, observer.ended
        self._refresh: Callable[[], None] | None = refresh
        self._thread = prepare and threading.Thread(target=prepare, daemon=True)
        self._clock = clock
        self._due = clock() + FIRST_SECONDS

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """Pass the event on, and prepare if no run is left to begin."""
        self._began(run, plan, num_left)
        if num_left == 0:
            self._is_prepared()

    def _is_prepared(self) -> bool:
        """Whether a refresh has what it needs; otherwise that is being imported from now on."""
        if self._thread is None:
            return True
        if self._thread.ident is None:
            self._thread.start()
        return not self._thread.is_alive()

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """Pass the event on, and refresh if it is time to."""
        self._ended(run, plan, record, restored=restored)
        began = self._clock()
        if restored or self._refresh is None or began < self._due or not self._is_prepared():
            return
        try:
            self._refresh()
        except StorageUnreachableError:
            pass
        except BakeoffError as error:
            self._refresh = None
            self.note(f"the dashboard's figures are no longer refreshed: {error}")
        now = self._clock()
        self._due = now + max(SHORTEST_SECONDS, (now - began) / MAX_SHARE)
