"""Handles requests to stop: Ctrl-C, termination and hang-up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from bakeoff.errors import BakeoffError


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

    def ask(self, signum: int, _frame: FrameType | None) -> None:
        """Signal handler. The first signal asks for a pause after the epoch, the second to stop."""
        self.count += 1
        if signum != signal.SIGINT:
            self.exit_code = 128 + signum

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Handle Ctrl-C, termination and hang-up inside the `with` block.

        If a stop was requested the program is about to end, so later signals are ignored.
        """
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.signal(signum, self.ask) for signum in signals}
        try:
            yield self
        finally:
            for signum, handler in before.items():
                signal.signal(signum, signal.SIG_IGN if self.count else handler)
