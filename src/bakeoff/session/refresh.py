"""Keeps the dashboard's figures up to date while a study runs."""

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
    """

    def __init__(
        self,
        observer: Observer,
        refresh: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.began, self.epoch, self.paused = observer.began, observer.epoch, observer.paused
        self.note = observer.note
        self._ended = observer.ended
        self._refresh: Callable[[], None] | None = refresh
        self._clock = clock
        self._due = clock() + FIRST_SECONDS

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """Pass the event on, and refresh if it is time to."""
        self._ended(run, plan, record, restored=restored)
        began = self._clock()
        if restored or self._refresh is None or began < self._due:
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
