"""Small runs: digits of 8x8 pixels, a handful of steps an epoch."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig

RUN = TrialConfig(
    optimizer="adamw",
    optimizer_params={},
    scheduler="cosine",
    scheduler_params={},
    model="mlp",
    model_params={"width": 16, "depth": 1},
    data=DataConfig(dataset="digits", train_samples=161),
    training=TrainingConfig(epochs=3, batch_size=32, precision="fp32"),
    objective="accuracy",
    score_rule="best_epoch",
    seed=1,
    split_seed=0,
)


def small_run(**changes: object) -> TrialConfig:
    """A small run; keywords of TrainingConfig and DataConfig go where they belong."""
    data = {name: changes.pop(name) for name in DataConfig.__annotations__ if name in changes}
    training = {
        name: changes.pop(name) for name in TrainingConfig.__annotations__ if name in changes
    }
    return replace(
        RUN,
        data=replace(RUN.data, **data),  # type: ignore[arg-type]
        training=replace(RUN.training, **training),  # type: ignore[arg-type]
        **changes,  # type: ignore[arg-type]
    )


def network() -> nn.Module:
    """A small network with convolution, norm and output layer, for images [N, 1, 8, 8]."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )


def settings(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The settings of all groups together; the first group that has a setting counts."""
    groups = reversed(optimizer.param_groups)
    return {key: value for group in groups for key, value in group.items() if key != "params"}


def one_step(optimizer: torch.optim.Optimizer, model: nn.Module, inputs: torch.Tensor) -> None:
    """Take one step on the mean square of the outputs."""
    model(inputs).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
