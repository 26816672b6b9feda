"""Models and data for runs that several processes train, some of which fail on purpose."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from bakeoff.training.own_run import Run
from toy_tasks import Arrays, pictures


def this_rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def ragged_pictures() -> Arrays:
    """Pictures of which a different share of each is ignored, up to all of it."""
    arrays = pictures()
    draws = np.random.default_rng(1).random(arrays["y"].shape)
    limits = np.linspace(0, 1, len(draws))[np.random.default_rng(2).permutation(len(draws))]
    arrays["y"][draws < limits[:, None, None]] = 255
    return arrays


def build_pixels(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Classes of pixels without batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, num_outputs, 1)
    )


def build_cnn(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A network of convolutions without batch normalisation, and with a weight it never uses."""
    model = nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, num_outputs),
    )  # fmt: skip
    model.register_parameter("unused", nn.Parameter(torch.ones(3)))
    return model


class Troubled(nn.Module):
    """Draws random numbers, counts its batches in a buffer, and fails in one of them.

    Args:
        num_outputs: Classes.
        trouble: `kill`, `hang`, `raise`, `memory`, `drift`, or nothing.
        rank: The rank that it happens to.
        batch: The batch of training in which it happens, counted from 1.
        marker: A file that is made when it happens. It does not happen again then.
        seconds: How long each batch takes.
    """

    def __init__(
        self, num_outputs: int, *, trouble: str, rank: int, batch: int, marker: str, seconds: float
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(64)
        self.linear = nn.Linear(64, num_outputs)
        self.batches: Tensor
        self.register_buffer("batches", torch.zeros(()), persistent=False)
        self.trouble, self.rank, self.batch = trouble, rank, batch
        self.marker, self.seconds = marker, seconds
        self.num_seen = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, 64] -> [N, C]."""
        inputs = inputs.flatten(1)
        if self.training:
            self.num_seen += 1
            time.sleep(self.seconds)
            if (self.num_seen, this_rank()) == (self.batch, self.rank):
                self.fail()
            self.batches += 1
            noise = random.random() + np.random.rand() + float(torch.rand(()))
            inputs = inputs * (1 + 0.1 * noise + 0.01 * self.batches)
        outputs: Tensor = self.linear(self.norm(inputs))
        return outputs

    def fail(self) -> None:
        """What happens in one batch."""
        if self.marker and Path(self.marker).exists():
            return
        if self.marker:
            Path(self.marker).touch()
        match self.trouble:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                Path(self.marker).write_text(str(os.getpid()))
                time.sleep(600)
            case "raise":
                raise ValueError("this part of the batch is no good")
            case "memory":
                raise torch.OutOfMemoryError("no room on this device")
            case "drift":
                with torch.no_grad():
                    self.linear.weight += 1e-6


def build_troubled(
    input_shape: tuple[int, ...],
    num_outputs: int,
    trouble: str = "",
    rank: int = 0,
    batch: int = 0,
    marker: str = "",
    seconds: float = 0.0,
) -> nn.Module:
    """See `Troubled`."""
    return Troubled(
        num_outputs, trouble=trouble, rank=rank, batch=batch, marker=marker, seconds=seconds
    )


def train_digits(run: Run) -> Iterator[object]:
    """A loop of the user's own, on as many processes as train the run."""
    model = run.build_model()
    optimizer = run.optimizer(model)
    together = model
    if run.process_group is not None:
        together = DistributedDataParallel(model, process_group=run.process_group)
    torch.manual_seed(run.seed + run.rank)
    for _ in run.epochs(model=model):
        noise = float(torch.rand(()))  # differs between the processes
        for inputs, labels in run.batches():
            loss: Tensor = cross_entropy(together(inputs * (1 + noise / 10)), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
        validation = run.data.validation
        inputs, labels = next(validation.batches(len(validation)))
        with torch.no_grad():
            measured = float(cross_entropy(model(inputs), labels))
        # What other processes measure does not count.
        yield {"accuracy": run.rank, "loss": measured + run.rank, "train_loss": noise}
    if run.wants_test:
        yield run.test({"accuracy": 1.0, "loss": 0.0})
