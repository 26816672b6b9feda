"""The processes that train one run together, each on a device of its own, and how they agree.

Process 0 of a run is the worker that has its job; it alone decides, reports and saves. Every
process is called by its rank, as in `torch.distributed`. On the CPU they exchange tensors by gloo,
on CUDA by NCCL, and plain values always by gloo. Only the loopback interface is used.
"""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import FileStore
from torch.nn.parallel import DistributedDataParallel

from bakeoff.errors import BakeoffError, UsageError, describe_error
from bakeoff.records import MIN_DEVICE_SAMPLES

Shared = TypeVar("Shared")

KEY = "training.devices_per_trial"
"""The key of the study file that messages name."""
TIMEOUT = timedelta(days=7)
"""Of a collective. A hung run is found earlier by the driver, which sees no step."""
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers of as many bytes."""

LOST = ("gloo", "nccl", "closed by peer", "reset by peer", "processgroup", "filestore")
"""Parts of the messages of torch when it cannot reach another process."""


class Part(NamedTuple):
    """The samples of one batch that a rank trains on."""

    start: int
    stop: int
    share: float
    """What a mean over them contributes to the mean over the batch."""

    @property
    def size(self) -> int:
        """Their number."""
        return self.stop - self.start


class Ranks:
    """The place of this process among those that train a run; alone it is the only one.

    Args:
        rank: The number of this process, from 0.
        size: The number of processes.
        device: Where this one trains.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank = rank
        self.size = size
        self.device = device

    @property
    def group(self) -> dist.ProcessGroup | None:
        """All processes of the run; None if this is the only one."""
        return None if self.is_alone else dist.group.WORLD

    @property
    def is_alone(self) -> bool:
        """Whether the run has no other process."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this process decides, reports and saves."""
        return self.rank == 0

    def share(self, value: Shared) -> Shared:
        """The value of rank 0, on every rank; what others pass is ignored."""
        if self.is_alone:
            return value
        values = [value if self.is_first else None]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]  # type: ignore[return-value]

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks on rank 0, by rank; empty elsewhere."""
        if self.is_alone:
            return [value]
        found: list[Any] = [None] * self.size
        dist.gather_object(value, found if self.is_first else None, dst=0)
        return found if self.is_first else []

    def add_up(self, tensor: Tensor) -> Tensor:
        """`tensor` as the sum over all ranks, in place."""
        if not self.is_alone:
            dist.all_reduce(tensor)
        return tensor

    def share_buffers(self, model: nn.Module) -> None:
        """Give every rank the buffers of rank 0, such as batch normalisation's statistics."""
        if not self.is_alone:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def part_of(self, num_samples: int) -> Part:
        """The samples of a batch that this rank trains on; the first ranks may have one more.

        A batch too small to give every rank two samples is trained by every rank as a whole.
        """
        if num_samples < MIN_DEVICE_SAMPLES * self.size:
            return Part(0, num_samples, 1 / self.size)
        each, more = divmod(num_samples, self.size)
        start = self.rank * each + min(self.rank, more)
        stop = start + each + (self.rank < more)
        return Part(start, stop, (stop - start) / num_samples)

    def check_equal(self, model: nn.Module, epoch: int) -> None:
        """Make sure that all ranks have the same weights, bit by bit.

        Raises:
            BakeoffError: They do not; the message names the first weight that differs.
        """
        if self.is_alone:
            return
        named = dict(model.named_parameters())
        sums = torch.stack([_sum_of_bits(one.detach()) for one in named.values()])
        extremes = torch.cat([sums, -sums])
        dist.all_reduce(extremes, op=dist.ReduceOp.MAX)
        highest, lowest = extremes[: len(sums)], -extremes[len(sums) :]
        differing = (highest != lowest).nonzero()[:, 0].tolist()
        if differing:
            raise BakeoffError(
                f"{KEY} = {self.size}: after epoch {epoch} the weight"
                f" {[*named][differing[0]]!r} differs between the devices; the model or the"
                " optimizer does not do the same on each of them"
            )


ALONE = Ranks(0, 1, torch.device("cpu"))
"""A run that one process trains."""


def _sum_of_bits(tensor: Tensor) -> Tensor:
    """The sum of a tensor's numbers, read as whole numbers; a scalar that wraps around."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.contiguous().view(BITS[real.element_size()]).sum(dtype=torch.int64)


def device_of_rank(device: str, rank: int, size: int) -> torch.device:
    """Where a rank trains: all on the CPU, or each on a GPU of its own from `device` on.

    Raises:
        UsageError: The device is of another kind, or there are too few of them.
    """
    first = torch.device(device)
    if size == 1 or first.type == "cpu":
        return first
    if first.type != "cuda":
        raise UsageError(f"{KEY} = {size}: is for cpu and cuda, not for {first.type}")
    count, start = torch.cuda.device_count(), first.index or 0
    if start + size > count:
        raise UsageError(f"{KEY} = {size}: {count - start} devices can be used here")
    return torch.device("cuda", start + rank)


def join_ranks(store: Path, rank: int, size: int, device: torch.device) -> Ranks:
    """Meet the other processes of a run, which all call this with the same new file.

    Args:
        store: A file that does not exist yet, by which they find each other.
        rank: The number of this process, from 0.
        size: The number of processes.
        device: Where this one trains.
    """
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        backend="cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=FileStore(str(store), size),
        rank=rank,
        world_size=size,
        timeout=TIMEOUT,
    )
    return Ranks(rank, size, device)


def is_lost(error: BaseException) -> bool:
    """Whether this error only says that another process of the run cannot be reached."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in LOST)


def leave_ranks(ranks: Ranks) -> None:
    """Part from the other processes, when all of them are done."""
    if not ranks.is_alone:
        dist.destroy_process_group()


def prepare_model(model: nn.Module, ranks: Ranks) -> nn.Module:
    """The model as several ranks train it: with dense gradients, on GPUs with synchronised norms.

    torch's `SyncBatchNorm` does not work on CPUs. There each rank normalises by its own samples of
    a batch, and the statistics of rank 0 are kept.
    """
    if ranks.is_alone:
        return model
    for module in model.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            module.sparse = False  # the values of the gradients are the same
    if ranks.device.type == "cuda":
        return cast("nn.Module", nn.SyncBatchNorm.convert_sync_batchnorm(model))  # type: ignore[no-untyped-call]
    return model


class _WithUnused(nn.Module):
    """A model with one weight that it never uses; torch prints a warning if it finds none."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.unused = nn.Parameter(torch.zeros(1, device=next(model.parameters()).device))

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs of the model."""
        outputs: Tensor = self.model(inputs)
        return outputs


def wrap_model(model: nn.Module, ranks: Ranks) -> DistributedDataParallel:
    """`model` with gradients that are averaged over all ranks in the backward pass.

    Weights that are frozen now are left out, so a model is wrapped again when some are released.

    Raises:
        UsageError: It cannot be wrapped.
    """
    # With unused weights expected, torch keeps the order in which gradients are summed from the
    # first step on, so that a resumed run has the same bits with any number of ranks.
    try:
        return DistributedDataParallel(
            _WithUnused(model),
            device_ids=[ranks.device] if ranks.device.type == "cuda" else None,
            find_unused_parameters=True,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            f"{KEY} = {ranks.size}: the model cannot be trained by several processes"
            f" ({describe_error(error)})"
        ) from error


def trained_names(model: nn.Module) -> Sequence[str]:
    """The names of the weights that are not frozen."""
    return [name for name, weights in model.named_parameters() if weights.requires_grad]
