"""How processes end: a child with its parent, and a command that is asked to end."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

PR_SET_PDEATHSIG = 1
_MAIN = threading.Lock()


@contextmanager
def without_main_module() -> Iterator[None]:
    """Processes spawned inside the `with` block do not import the program's main module.

    `multiprocessing` imports it in every spawned process, so that objects defined there can be
    unpickled. No process of ours gets such an object, and a script without the line
    `if __name__ == "__main__":` would start its study again in every process.
    """
    with _MAIN:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class EndedBySignal(BaseException):
    """Someone asked this process to end. What was begun is cleaned up on the way out."""

    def __init__(self, signum: int) -> None:
        self.name = signal.Signals(signum).name
        self.exit_code = 128 + signum
        super().__init__(self.name)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Raise `EndedBySignal` when the process is asked to end, so that no temporary file is left.

    A signal that the parent process ignores stays ignored, as `nohup` wants it.
    """

    def end(signum: int, _frame: FrameType | None) -> None:
        raise EndedBySignal(signum)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.getsignal(one) for one in signals}
    for signum, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(signum, end)
    try:
        yield
    finally:
        for signum, handler in before.items():
            if signal.getsignal(signum) is end:  # and not ignored from a stop on
                signal.signal(signum, handler)


def ignore_interrupts(parent: int) -> None:
    """Set up a child process that ignores Ctrl-C and ends when its parent process ends.

    Ctrl-C reaches all processes, and the parent decides what happens. Only Linux can kill a process
    when its parent ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before this call
            os._exit(1)


def num_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
