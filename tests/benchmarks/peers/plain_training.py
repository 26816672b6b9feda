"""Training as a PyTorch user writes it: data loaders, a loop over epochs, accuracy on validation.

The peers search with it, and the configuration that each contender chose is trained anew with it.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every contender searches: data, network, length of a run, ranges."""

    data: Path
    model: str
    epochs: int
    batch_size: int
    trials: int
    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    """Learning rate and weight decay by optimizer, both searched in their logarithm."""
    dropout: tuple[float, float]


def read_task(path: Path) -> Task:
    """The task that `study.py` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Task(**{**found, "data": Path(found["data"])})


def load(task: Task) -> dict[str, TensorDataset]:
    """Train, validation and test samples, with mean 0 and deviation 1 over the training samples."""
    with np.load(task.data) as arrays:
        inputs = {part: arrays[f"x_{part}"].astype(np.float32) for part in ("train", "val", "test")}
        labels = {part: arrays[f"y_{part}"].astype(np.int64) for part in inputs}
    axes = (0, 2, 3) if inputs["train"].ndim == 4 else (0,)
    mean = inputs["train"].mean(axes, keepdims=True)
    deviation = inputs["train"].std(axes, keepdims=True) + 1e-7
    return {
        part: TensorDataset(
            torch.from_numpy((inputs[part] - mean) / deviation), torch.from_numpy(labels[part])
        )
        for part in inputs
    }


def make_optimizer(model: nn.Module, params: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer that `params` name, with their learning rate and weight decay."""
    given = {"lr": params["learning_rate"], "weight_decay": params["weight_decay"]}
    match params["optimizer"]:
        case "sgd":
            return torch.optim.SGD(model.parameters(), momentum=0.9, **given)
        case "adam":
            return torch.optim.Adam(model.parameters(), **given)
        case "adamw":
            return torch.optim.AdamW(model.parameters(), **given)
        case "rmsprop":
            return torch.optim.RMSprop(model.parameters(), **given)
        case other:
            raise ValueError(f"unknown optimizer {other!r}")


def train(
    task: Task, data: Mapping[str, TensorDataset], params: Mapping[str, Any], seed: int
) -> Iterator[tuple[float, nn.Module]]:
    """Train one configuration; after each epoch, its accuracy on validation and the network."""
    torch.manual_seed(seed)
    samples, labels = data["train"].tensors
    network = getattr(networks, task.model)
    model = network(samples.shape[1:], int(labels.max()) + 1, dropout=params["dropout"])
    optimizer = make_optimizer(model, params)
    batches = DataLoader(data["train"], task.batch_size, shuffle=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.epochs * len(batches))
    loss = nn.CrossEntropyLoss()
    for _ in range(task.epochs):
        model.train()
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            optimizer.step()
            schedule.step()
        yield accuracy(model, data["val"]), model


@torch.no_grad()
def accuracy(model: nn.Module, samples: TensorDataset) -> float:
    """Share of samples whose class the network names."""
    model.eval()
    correct = 0
    for inputs, targets in DataLoader(samples, 1000):
        found: Tensor = model(inputs).argmax(1)
        correct += int((found == targets).sum())
    return correct / len(samples)


def main() -> None:
    """Train one configuration on several seeds, and print the test accuracy of each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("task", type=Path)
    parser.add_argument("params", help="the configuration, as JSON")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task, params = read_task(arguments.task), json.loads(arguments.params)
    data = load(task)
    for seed in arguments.seeds:
        *_, (_, model) = train(task, data, params, seed)
        print(json.dumps({"seed": seed, "test_accuracy": accuracy(model, data["test"])}))


if __name__ == "__main__":
    main()
