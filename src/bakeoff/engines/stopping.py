"""Handles requests to stop: Ctrl-C, termination and hang-up."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from bakeoff.errors import BakeoffError

GRACE_SECONDS = 20.0
"""After SIGTERM or SIGHUP the process ends within this time, even if a worker or the storage hangs.
Clusters kill a process 30 s after they asked it to end (SLURM, Kubernetes)."""
KILL_SECONDS = 3.0
"""The same after the second request."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedStudyError(BakeoffError):
    """The user or the system asked to stop. Everything can be resumed."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("stopped; run the same command again to continue")
        self.exit_code = exit_code


@dataclass
class StopRequest:
    """How many times, and with which signal, the process was asked to stop."""

    count: int = 0
    exit_code: int = 130
    ends_process: bool = True
    """Whether the program ends after a stop. A function that others call must return instead."""

    def ask(self, signum: int, _frame: FrameType | None) -> None:
        """Signal handler. The first signal asks for checkpoints, and the second to stop at once."""
        self.count += 1
        self.exit_code = _exit_code(signum, self.exit_code)

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Handle Ctrl-C, termination and hang-up inside the `with` block.

        If a stop was requested the program is about to end, so later signals are ignored. Where it
        does not end in time, because a worker or the storage hangs, a thread ends the process. This
        loses nothing: a study continues after it as after a kill.

        If the program continues, nothing ends it, and signals are handled as before. Outside the
        main thread, which alone can handle signals, nothing is listened to.
        """
        if not self.ends_process:
            with self._hearing():
                yield self
            return
        before = self._handle()
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        # Python writes the number of each signal to this pipe, even while a call into a library
        # keeps the handler from running.
        wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        watch = threading.Thread(target=_end_in_time, args=(reading,), daemon=True)
        watch.start()
        try:
            yield self
        finally:
            signal.set_wakeup_fd(wakeup)
            os.close(writing)  # ends the thread
            watch.join()
            os.close(reading)
            is_ending = self.count > 0 and self.ends_process
            for signum, handler in before.items():
                signal.signal(signum, signal.SIG_IGN if is_ending else handler)

    def _handle(self) -> dict[int, Any]:
        """Let `ask` handle the signals; return their handlers so far."""
        handled = [one for one in SIGNALS if not _is_ignored_hangup(one)]
        return {signum: signal.signal(signum, self.ask) for signum in handled}

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        is_main = threading.current_thread() is threading.main_thread()
        before = self._handle() if is_main else {}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


def _is_ignored_hangup(signum: int) -> bool:
    """Whether the program was started with `nohup`, to continue when its terminal closes."""
    return signum == signal.SIGHUP and signal.getsignal(signum) is signal.SIG_IGN


def _exit_code(signum: int, before: int) -> int:
    return before if signum == signal.SIGINT else 128 + signum


def _end_in_time(reading: int) -> None:
    """End this process when its time is up after the signals whose numbers are read."""
    num_requests, exit_code, end = 0, 130, float("inf")
    while True:
        left = None if end == float("inf") else max(0.0, end - time.monotonic())
        if not select.select([reading], [], [], left)[0]:
            sys.stderr.write("\nended without waiting any longer; the same command continues\n")
            sys.stderr.flush()
            os._exit(exit_code)  # the workers end with this process
        received = os.read(reading, 64)
        if not received:
            return
        for signum in (one for one in received if one in SIGNALS):
            num_requests += 1
            exit_code = _exit_code(signum, exit_code)
            if num_requests > 1 or signum != signal.SIGINT:
                seconds = KILL_SECONDS if num_requests > 1 else GRACE_SECONDS
                end = min(end, time.monotonic() + seconds)
