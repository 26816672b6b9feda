"""Ends the reading of data by a function of the user's that makes no progress."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from bakeoff.data.dataset_table import FUNCTION, find_source
from bakeoff.data.reading_progress import last_progress
from bakeoff.errors import DataError

PATIENCE_SECONDS = 10.0
"""How long code may take to end that was asked to. Python does not interrupt a library that waits
by itself, so the process ends then."""


class _StuckError(BaseException):
    """Ends the user's code, which may catch every `Exception`."""


@contextmanager
def limited_reading(dataset: str, seconds: float | None) -> Iterator[None]:
    """Let a function of the user's read no longer than `seconds` without progress.

    The labels of a data set whose samples are fetched one by one are progress; what a function does
    before it returns is not seen. Only the main thread can be interrupted, so elsewhere there is no
    limit; nor is there one for files that bakeoff reads itself, and with None.

    Raises:
        DataError: The limit was reached.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if seconds is None or not is_main or find_source(dataset) is not FUNCTION:
        yield
        return
    ended = threading.Event()

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        if not ended.is_set():
            raise _StuckError

    message = (
        f"{dataset}: no progress in reading the data for {seconds:g} s; does it wait for a network,"
        " a lock or an answer? `study run` takes another limit as --hang-timeout"
    )
    before = signal.signal(signal.SIGALRM, interrupt)
    watch = threading.Thread(target=_watch, args=(seconds, ended, message), daemon=True)
    watch.start()
    try:
        yield
    except _StuckError:
        raise DataError(message) from None
    finally:
        ended.set()
        watch.join()
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)


def _watch(seconds: float, ended: threading.Event, message: str) -> None:
    """Interrupt the main thread after so many seconds without progress, or else end the process."""
    began = monotonic()
    while (left := max(began, last_progress()) + seconds - monotonic()) > 0:
        if ended.wait(left):
            return
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
    if ended.wait(PATIENCE_SECONDS):
        return
    sys.stderr.write(f"study: {message}\n")
    sys.stderr.flush()
    os._exit(DataError.exit_code)  # as when a stop is requested and a library hangs
