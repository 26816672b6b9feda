"""The device that a worker trains on: checked, set up, and cleaned between runs."""

import gc
from functools import lru_cache

import torch
from torch import Tensor

from bakeoff.errors import UsageError, describe_error
from bakeoff.training.accelerators import CONTEXT_BYTES

CPU = "cpu"


class DeviceError(UsageError):
    """The device of a worker cannot be used, whatever it would train."""


def check_device(name: str, label: str = "") -> None:
    """Make sure that torch can put a tensor on a device; a run on the CPU touches no other one.

    Args:
        name: What torch calls it here.
        label: What the user calls it; empty if that is the same.

    Raises:
        DeviceError: It cannot; the message says why.
    """
    if name == CPU:
        return
    try:
        torch.zeros(1, device=name).add_(1).cpu()  # a kernel has to run, and memory be copied
    except (RuntimeError, AssertionError) as error:  # the second without support in this torch
        raise DeviceError(
            f"device {label or name!r} cannot be used here: {describe_error(error)}"
        ) from error


@lru_cache(maxsize=1)
def open_device(name: str, label: str, memory_share: float) -> None:
    """Prepare this process for training on a device; the second call does nothing.

    Args:
        name: What torch calls it here.
        label: What the user calls it.
        memory_share: Share of its memory that this process may use. A worker that needs more runs
            out of memory by itself, and takes none from the others.

    Raises:
        DeviceError: As `check_device`.
    """
    check_device(name, label)
    device = torch.device(name)
    if device.type == "cuda":
        repeat_bits()
        if memory_share < 1:
            total = torch.cuda.get_device_properties(device).total_memory
            torch.cuda.set_per_process_memory_fraction(bounded_share(memory_share, total), device)


def bounded_share(share: float, total_bytes: int) -> float:
    """The share of a GPU's memory for a process's tensors, without what its context takes."""
    return max(share / 2, share - CONTEXT_BYTES / total_bytes)


def repeat_bits() -> None:
    """Let CUDA compute the same bits every time, where it can.

    An operation that has no such implementation warns, once in a process. The buffer of cuBLAS is
    fixed by a variable, which `bakeoff.engines.devices.worker_environment` sets.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    # We never read memory that was not written, and filling it costs time.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010
    torch.backends.cudnn.benchmark = False


def set_matrix_precision(precision: str) -> None:
    """Let float32 products round to 10 bits (TF32) if `tf32` is named; otherwise they are exact.

    It has an effect on NVIDIA's GPUs since Ampere. cuDNN's convolutions round by default.
    """
    is_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = is_tf32
    torch.backends.cudnn.allow_tf32 = is_tf32


def release_memory(name: str) -> None:
    """Return the memory of a run that has ended to the device, for other workers and larger runs.

    On the CPU freed memory is kept (see `bakeoff.training.memory.keep_freed_memory`).
    """
    kind = torch.device(name).type
    if kind == CPU:
        return
    gc.collect()
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()
    elif kind == "xpu":
        torch.xpu.empty_cache()


def free_bytes(device: torch.device) -> int | None:
    """Memory that this process may still use on an accelerator; None if that is not known."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        share = float(torch.cuda.get_per_process_memory_fraction(device))
        left = round(share * total) - torch.cuda.memory_reserved(device)
        return max(0, min(free, left))
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    if device.type == "xpu":
        return int(torch.xpu.mem_get_info(device)[0])
    return None


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`, without waiting for the work that the device still has.

    A copy from ordinary memory waits until the device is idle; one from pinned memory takes its
    place in the queue.
    """
    if device.type == CPU:
        return tensor
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
