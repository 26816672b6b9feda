"""Recognising that memory ran out, and keeping freed memory for the next step."""

import ctypes
import sys

import torch

CPU_MESSAGE = "DefaultCPUAllocator"
"""torch's CPU allocator raises a plain RuntimeError that contains the allocator's name."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error means that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and CPU_MESSAGE in str(error)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
LARGEST_KEPT = 32 << 20
"""Larger allocations, in bytes, come from the system each time; glibc's largest value."""


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, instead of returning it to the system.

    Every training step allocates and frees the same megabytes. If they came from the system each
    time, it would map and zero every page again. This only has an effect on glibc, and not on the
    memory of an accelerator. It does not change any result.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, sys.maxsize & 0x7FFFFFFF)
