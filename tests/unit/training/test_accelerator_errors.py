"""What an error of an accelerator means for its run and for its worker."""

import pytest
import torch

from bakeoff.engines.failures import describe_failure
from bakeoff.errors import UsageError
from bakeoff.training.device import bounded_share

GIB = 1 << 30
ACCELERATOR_ERROR = getattr(torch, "AcceleratorError", RuntimeError)
PLAIN = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB, max allowed: 9 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    MemoryError("Unable to allocate 3 GiB"),
    OSError(12, "Cannot allocate memory"),
]
BREAKING = [
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if ..."),
    ACCELERATOR_ERROR("CUDA error: out of memory"),
    RuntimeError("UR error: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"),
]
BROKEN = [
    ACCELERATOR_ERROR("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("HIP error: the operation cannot be performed in the present state"),
    RuntimeError("Triton Error [CUDA]: misaligned address"),
]
HARMLESS = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (64x4 and 8x2)"),
    ValueError("CUDA error is a word here"),
    UsageError("model 'x' is not a torch.nn.Module"),
]


def wrapped(error: BaseException) -> Exception:
    """The error as a user's code passes it on."""
    try:
        try:
            raise error
        except BaseException as caught:
            raise ValueError("training failed") from caught
    except ValueError as outer:
        return outer


def ids(error: BaseException) -> str:
    return str(error)[:40]


@pytest.mark.parametrize("error", PLAIN, ids=ids)
def test_plain_out_of_memory_leaves_the_worker_healthy(error: Exception) -> None:
    for one in (error, wrapped(error)):
        failed = describe_failure("search-0", one)
        assert (failed.outcome, failed.breaks_worker) == ("infeasible", False)


@pytest.mark.parametrize("error", BREAKING, ids=ids)
def test_out_of_memory_in_a_library_also_replaces_the_worker(error: Exception) -> None:
    for one in (error, wrapped(error)):
        failed = describe_failure("search-0", one)
        assert (failed.outcome, failed.breaks_worker) == ("infeasible", True)


@pytest.mark.parametrize("error", BROKEN, ids=ids)
def test_every_other_error_of_an_accelerator_replaces_the_worker(error: Exception) -> None:
    for one in (error, wrapped(error)):
        failed = describe_failure("search-0", one)
        assert (failed.outcome, failed.breaks_worker) == ("failed", True)


def test_an_error_of_ours_does_not_hide_that_the_accelerator_broke() -> None:
    try:
        raise UsageError("metric 'mine' cannot be computed") from BROKEN[0]
    except UsageError as error:
        failed = describe_failure("search-0", error)
    assert (failed.reason, failed.breaks_worker) == ("metric 'mine' cannot be computed", True)


@pytest.mark.parametrize("error", HARMLESS, ids=ids)
def test_other_errors_keep_the_worker(error: Exception) -> None:
    failed = describe_failure("search-0", error)
    assert (failed.outcome, failed.breaks_worker) == ("failed", False)


def test_workers_that_share_a_gpu_leave_room_for_what_is_not_a_tensor() -> None:
    share = bounded_share(1 / 4, 80 * GIB)
    assert 4 * (share * 80 * GIB + 600 * 2**20) == pytest.approx(80 * GIB)
    assert bounded_share(1 / 4, 2 * GIB) == 1 / 8  # a small one: half of the share
