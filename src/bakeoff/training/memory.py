"""Recognising that memory ran out."""

import torch

CPU_MESSAGE = "DefaultCPUAllocator"
"""torch's allocator on the CPU raises a plain RuntimeError that starts with its own name."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error means that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and CPU_MESSAGE in str(error)
