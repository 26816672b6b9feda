"""Processes that end with the one that started them, also where that one is killed."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when `parent`, which started it, ends.

    Elsewhere nothing happens.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)


def ignore_interrupts(parent: int) -> None:
    """Set up a child process: Ctrl-C reaches the whole group, and its parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent)


def num_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
