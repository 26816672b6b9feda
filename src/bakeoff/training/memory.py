"""Recognising that memory ran out, and keeping what was freed."""

import ctypes
import sys

import torch

CPU_MESSAGE = "DefaultCPUAllocator"
"""torch's allocator on the CPU raises a plain RuntimeError that starts with its own name."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error means that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and CPU_MESSAGE in str(error)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
LARGEST_KEPT = 32 << 20
"""Allocations of more bytes come from the system each time; glibc allows no larger value."""


def keep_freed_memory() -> None:
    """Let this process keep memory it freed, for the next step, instead of giving it back.

    A step of training frees and asks for the same megabytes again and again; fetched from the
    system each time, every page is zeroed and mapped anew. Only glibc is told; elsewhere, and for
    what an accelerator holds, nothing happens. It changes no bit of any result.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, sys.maxsize & 0x7FFFFFFF)
