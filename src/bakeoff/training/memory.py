"""Recognising that memory ran out, and keeping freed memory for the next step."""

import ctypes
import sys
from collections.abc import Iterator, Sequence

import torch

PLAIN_OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)
"""Raised before anything is computed, so that the process may train again."""
ACCELERATOR_ERROR: type[BaseException] | None = getattr(torch, "AcceleratorError", None)
"""What torch raises since 2.8 where an accelerator reports an error."""
OUT_OF_MEMORY = (
    "DefaultCPUAllocator", "out of memory", "out_of_memory", "outofmemory", "ALLOC_FAILED",
    "can't allocate memory", "cannot allocate memory", "CUDNN_STATUS_NOT_SUPPORTED",
    "OUT_OF_DEVICE_MEMORY", "OUT_OF_HOST_MEMORY", "OUT_OF_RESOURCES",
)  # fmt: skip
"""Parts of the messages of plain errors by which torch, cuBLAS, cuDNN, HIP, MPS, XPU and the
operating system say that memory ran out. cuDNN often calls it not supported, because it finds no
algorithm whose buffers fit."""
BROKEN_ACCELERATOR = (
    "CUDA error", "HIP error", "device-side assert", "illegal memory access", "CUBLAS_STATUS_",
    "CUDNN_STATUS_", "cuDNN error", "CUSOLVER_STATUS_", "CUSPARSE_STATUS_", "CUFFT_",
    "unspecified launch failure", "misaligned address", "MIOPEN", "rocBLAS", "hipBLAS",
    "NCCL error", "Triton Error", "UR error", "UR_RESULT_ERROR", "ZE_RESULT_ERROR",
    "Native API failed", "MPS backend error",
)  # fmt: skip
"""Parts of the messages after which a process may not use its accelerator again."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error means that memory ran out, on the CPU or on an accelerator.

    It does too if the user's code raised another error because of it.
    """
    return any(map(_says_out_of_memory, _chain(error)))


def _says_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, PLAIN_OUT_OF_MEMORY):
        return True
    return isinstance(error, (RuntimeError, OSError)) and _has_part(error, OUT_OF_MEMORY)


def breaks_process(error: BaseException) -> bool:
    """Whether the process that raised this error must not train again.

    An error in a kernel leaves the context of an accelerator unusable: every later call fails with
    the same message, whatever it does. Only where torch's allocator finds no memory nothing breaks.
    Source: https://github.com/pytorch/pytorch/issues/17425
    """
    return any(map(_breaks_accelerator, _chain(error)))


def _breaks_accelerator(error: BaseException) -> bool:
    if isinstance(error, PLAIN_OUT_OF_MEMORY):
        return False
    if ACCELERATOR_ERROR is not None and isinstance(error, ACCELERATOR_ERROR):
        return True
    return isinstance(error, RuntimeError) and _has_part(error, BROKEN_ACCELERATOR)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those because of which it was raised."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        yield one
        seen.add(id(one))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


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
