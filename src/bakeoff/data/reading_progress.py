"""Shows a progress bar on stderr while data is read for the first time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bakeoff.terminal import console

DELAY_SECONDS = 2.0
"""A bar is shown after this time."""

Advance = Callable[[int, int], None]
"""Called with the number of samples read so far and the total number."""

_advanced_at = [0.0]


def last_progress() -> float:
    """When this process last read a sample, by `time.monotonic`; 0 if it never did."""
    return _advanced_at[0]


@contextmanager
def showing_progress(title: str) -> Iterator[Advance]:
    """Give a function that updates the bar; if stderr is not a terminal, only its end is shown."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=console(stderr=True))
    bar = progress.add_task(title, total=None)
    began = monotonic()

    def advance(done: int, total: int) -> None:
        _advanced_at[0] = monotonic()
        progress.update(bar, completed=done, total=total)
        if monotonic() - began >= DELAY_SECONDS:
            progress.start()

    try:
        yield advance
    finally:
        if progress.live.is_started:  # otherwise it would print an empty line
            progress.stop()
