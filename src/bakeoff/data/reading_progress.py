"""A bar on stderr while data is read for the first time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

DELAY_SECONDS = 2.0
"""What takes less shows nothing."""

Advance = Callable[[int, int], None]
"""Samples read so far, and how many there are -> nothing."""


@contextmanager
def showing_progress(title: str) -> Iterator[Advance]:
    """A function to tell the progress to; where stderr is no terminal, its last state is shown."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    bar = progress.add_task(title, total=None)
    began = monotonic()

    def advance(done: int, total: int) -> None:
        progress.update(bar, completed=done, total=total)
        if monotonic() - began >= DELAY_SECONDS:
            progress.start()

    try:
        yield advance
    finally:
        if progress.live.is_started:  # else it would end a line that nobody began
            progress.stop()
