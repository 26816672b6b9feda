"""Recognising that memory ran out, and keeping freed memory for the next step."""

import ctypes
import sys
from collections.abc import Sequence

import torch

OUT_OF_MEMORY = (
    "DefaultCPUAllocator", "out of memory", "out_of_memory", "outofmemory", "ALLOC_FAILED",
    "can't allocate memory", "cannot allocate memory",
)  # fmt: skip
"""Parts of the messages of plain errors by which torch, cuBLAS, cuDNN, HIP, MPS and the operating
system say that memory ran out."""
BROKEN_ACCELERATOR = (
    "CUDA error", "HIP error", "device-side assert", "illegal memory access", "CUBLAS_STATUS_",
    "CUDNN_STATUS_", "cuDNN error", "unspecified launch failure", "misaligned address",
)  # fmt: skip
"""Parts of the messages after which a process may not use its accelerator again."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error means that memory ran out, on the CPU or on an accelerator."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and _has_part(error, OUT_OF_MEMORY)


def breaks_process(error: BaseException) -> bool:
    """Whether the process that raised this error must not train again.

    An error in a kernel leaves the context of an accelerator unusable: every later call fails with
    the same message, whatever it does.
    """
    return isinstance(error, RuntimeError) and _has_part(error, BROKEN_ACCELERATOR)


def _has_part(error: BaseException, parts: Sequence[str]) -> bool:
    message = str(error).lower()
    return any(part.lower() in message for part in parts)


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
