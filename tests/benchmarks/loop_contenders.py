"""What `loop.py` compares: each trains some steps in a process of its own when it is told to."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig

BATCH_SIZE = 128
NUM_ROUND_STEPS = 10
"""Batches that a contender trains on before it is another one's turn: short, so that both meet the
same weather on a busy machine."""
NUM_ROUND_SAMPLES = NUM_ROUND_STEPS * BATCH_SIZE
NUM_WARMUP_ROUNDS = 2
MEAN, DEVIATION = 0.2860, 0.3530
"""Of Fashion-MNIST, as usual scripts write them down."""

CNN = TrialConfig(
    optimizer="adamw",
    optimizer_params={},
    scheduler="cosine",
    scheduler_params={},
    model="cnn",
    model_params={},
    data=DataConfig(dataset="fashion-mnist", train_samples=NUM_ROUND_SAMPLES),
    training=TrainingConfig(epochs=1000, batch_size=BATCH_SIZE, precision="fp32"),
    objective="accuracy",
    score_rule="best_epoch",
    seed=0,
    split_seed=0,
)
MLP = replace(
    CNN,
    model="mlp",
    data=DataConfig(dataset="digits"),
    training=replace(CNN.training, batch_size=64, clip_grad_norm=1.0),
)
STEPPED = {
    "sgd": {"optimizer": "sgd", "optimizer_params": {"learning_rate": 0.1, "momentum": 0.9}},
    **{name: {"optimizer": name} for name in ("adamw", "rmsprop", "nadam", "radam", "adagrad")},
    "adamw, averaged": {"training": replace(MLP.training, ema_decay=0.99)},
}
"""Changes of `MLP`, by the name of its row."""
MLP_EPOCHS = 10
"""Passes over the digits in one round."""


def with_augment(config: TrialConfig, *names: str) -> TrialConfig:
    """The same run with augmentation."""
    return replace(config, data=replace(config.data, augment=names))


# ---------------------------------------------------------------- the contenders


def train_loop(config: TrialConfig, epochs: int = 1, *, flat: bool = True) -> Iterator[int]:
    """Ours: samples trained in each round, by `training.loop`; evaluation is left out.

    Without `flat` every weight is stepped by itself.
    """
    from bakeoff.training import loop

    state = loop.prepare(config, "cpu")
    state.may_be_flat = flat
    while True:
        for _ in range(epochs):
            loop.train_epoch(state)
        yield epochs * len(state.splits.train)


def bare_loop(config: TrialConfig, epochs: int = 1) -> Iterator[int]:
    """A loop written by hand, on the same tensors, model and optimizer; nothing else.

    It is as quick as torch's own functions are: the samples of an epoch are gathered at once, and
    steps and clipping are fused or treat all weights in one call.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from torch.nn.utils import clip_grad_norm_

    from bakeoff.training import loop

    state = loop.prepare(config, "cpu")  # also keeps freed memory, as ours does
    split, model, optimizer = state.splits.train, state.model, state.optimizer
    mean, scale = split.normalisation.mean, split.normalisation.scale
    weights, training = [*model.parameters()], config.training
    model.train()
    while True:
        for _ in range(epochs):
            total = torch.zeros(())
            rows = split.rows[torch.randperm(len(split))]
            images = (split.inputs[rows] - mean) * scale
            images = images.contiguous(memory_format=split.memory_format)
            batches = zip(
                images.split(training.batch_size),
                split.labels[rows].split(training.batch_size),
                strict=True,
            )
            for inputs, labels in batches:
                loss = cross_entropy(model(inputs), labels)
                loss.backward()
                if training.clip_grad_norm is not None:
                    clip_grad_norm_(weights, training.clip_grad_norm, foreach=True)
                optimizer.step()
                optimizer.zero_grad()
                total += loss.detach()
        yield epochs * len(split)


def usual_script(num_workers: int, augments: bool) -> Iterator[int]:
    """What people write: torchvision's data set and transforms, a DataLoader, `.item()`."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision import transforms

    from bakeoff.networks.plain import build_cnn

    changes = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(28, padding=3)]
    transform = transforms.Compose([
        *(changes if augments else []),
        transforms.ToTensor(),
        transforms.Normalize((MEAN,), (DEVIATION,)),
    ])  # fmt: skip
    data = fashion_mnist(transform)
    loader = DataLoader(data, BATCH_SIZE, shuffle=True, num_workers=num_workers)
    model = build_cnn((1, 28, 28), 10, width=16, dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters())
    criterion = nn.CrossEntropyLoss()
    while True:
        model.train()
        running_loss = 0.0
        for number, (inputs, labels) in enumerate(loader, 1):
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            if number % NUM_ROUND_STEPS == 0:
                yield NUM_ROUND_SAMPLES


def fashion_mnist(transform: Any) -> Any:
    """torchvision's data set, reading the files that are on this machine."""
    import gzip
    import shutil
    import tempfile

    from torchvision.datasets import FashionMNIST

    from bakeoff.data.dataset_table import find_fashion_files

    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for file in find_fashion_files() or ():
            with gzip.open(file) as packed, (raw / file.stem).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        return FashionMNIST(root, train=True, transform=transform)


# ---------------------------------------------------------------- processes of their own


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round took; `cpu_seconds` include the processes a contender started."""

    samples: int
    seconds: float
    cpu_seconds: float


class Contender:
    """One of the functions above in a process of one thread, idle until it is told to go on."""

    def __init__(
        self, build: Callable[..., Iterator[int]], *arguments: Any, cores: set[int]
    ) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, build, arguments, cores))
        self._process.start()
        theirs.close()
        for _ in range(NUM_WARMUP_ROUNDS):  # what is done once does not count
            self.run()

    def run(self) -> Round:
        """Train one round."""
        self._connection.send("go")
        answer: Round = self._connection.recv()
        return answer

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()


def serve(
    connection: Connection,
    build: Callable[..., Iterator[int]],
    arguments: tuple[Any, ...],
    cores: set[int],
) -> None:
    """Run a round for each message, until the pipe is closed."""
    os.sched_setaffinity(0, cores)  # before torch is imported, so that its threads stay there too
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = build(*arguments)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        started, cpu_started = time.perf_counter(), cpu_seconds()
        samples = next(rounds)
        connection.send(
            Round(
                samples=samples,
                seconds=time.perf_counter() - started,
                cpu_seconds=cpu_seconds() - cpu_started,
            )
        )


def cpu_seconds() -> float:
    """Of this process, of those it started, and of those of them that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return ended + sum(_cpu_seconds_of(child.pid) for child in active_children())


def _cpu_seconds_of(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
