"""Keeps the dashboard's figures up to date while a study runs."""

import time
from collections.abc import Callable

from bakeoff.driver import Observer
from bakeoff.errors import BakeoffError
from bakeoff.records import EpochResult, TrialPlan, TrialRecord

FIRST_SECONDS = 20.0
SHORTEST_SECONDS = 30.0
SHARE = 0.02
"""Of the running time that may go into refreshing."""


class RefreshingObserver:
    """Passes on what the driver tells, and calls `refresh` now and then after a trial has ended.

    A refresh that fails is told once and not tried again: figures are not worth a study.
    """

    def __init__(
        self,
        observer: Observer,
        refresh: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observer = observer
        self._refresh: Callable[[], None] | None = refresh
        self._clock = clock
        self._due = clock() + FIRST_SECONDS

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        self._observer.began(run, plan, num_left)

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:
        """See `bakeoff.driver.Observer`."""
        self._observer.epoch(run, plan, result)

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """See `bakeoff.driver.Observer`."""
        self._observer.paused(run, plan, epoch)

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """See `bakeoff.driver.Observer`."""
        self._observer.ended(run, plan, record, restored=restored)
        if not restored and self._clock() >= self._due:
            self._try_refresh()

    def note(self, text: str) -> None:
        """See `bakeoff.driver.Observer`."""
        self._observer.note(text)

    def _try_refresh(self) -> None:
        if self._refresh is None:
            return
        began = self._clock()
        try:
            self._refresh()
        except BakeoffError as error:
            self._refresh = None
            self._observer.note(f"the dashboard's figures are no longer refreshed: {error}")
        took = self._clock() - began
        self._due = self._clock() + max(SHORTEST_SECONDS, took / SHARE)
