"""Shows the progress of one run on stderr."""

import time
from math import isnan
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bakeoff import terminal
from bakeoff.records import EpochResult
from bakeoff.records.durations import plural

LINE_SECONDS = 1.0
"""Shortest time between two lines of progress where stderr is not a terminal."""


class EpochProgress:
    """Shows each epoch when it ends: a bar on a terminal, otherwise plain lines."""

    def __init__(self, epochs: int, objective: str) -> None:
        self._objective = objective
        self._epochs = epochs
        self._console = terminal.console(stderr=True)
        self._written_at = -LINE_SECONDS
        self._num_restored = 0
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def epoch(self, result: EpochResult, *, is_new: bool) -> None:
        """See `bakeoff.production.run.RunObserver`."""
        if not is_new:
            self._num_restored += 1
        elif self._num_restored:
            self.note(f"kept from an earlier session: {plural(self._num_restored, 'epoch')}")
            self._num_restored = 0
        # A loop of the user's own need not report a training loss.
        loss = "" if isnan(result.train_loss) else f"train loss {result.train_loss:.4g}, "
        text = f"{loss}validation {self._objective} "
        text += f"{result.metrics.get(self._objective, float('nan')):.4g}"
        self._bar.update(self._task, completed=result.epoch, description=text)
        if self._console.is_terminal or not is_new:
            return
        now, is_last = time.monotonic(), result.status != "running"
        if is_last or now - self._written_at >= LINE_SECONDS:
            self._written_at = now
            self.note(f"epoch {result.epoch} of {self._epochs}: {text}")

    def note(self, text: str) -> None:
        """See `bakeoff.production.run.RunObserver`."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
