"""A profile assigns the time to the part of a step that takes it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bakeoff.records import TrialConfig
from bakeoff.training.flat import FlatStep
from bakeoff.training.step_profile import MIN_STEPS, PARTS, profile

MakeConfig = Callable[..., TrialConfig]

SLEEP = 0.02
SLOW = f"""
import time
import torch
from torch import nn
from torch.utils.data import Dataset


class SlowBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs):
        return inputs.clone()

    @staticmethod
    def backward(ctx, gradient):
        time.sleep({SLEEP})
        return gradient


class Model(nn.Module):
    def __init__(self, input_shape, num_outputs, forward_sleep=0.0, slow_backward=False):
        super().__init__()
        self.linear = nn.Linear(torch.Size(input_shape).numel(), num_outputs)
        self.forward_sleep, self.slow_backward = forward_sleep, slow_backward

    def forward(self, inputs):
        time.sleep(self.forward_sleep if self.training else 0)
        outputs = self.linear(inputs.flatten(1))
        return SlowBackward.apply(outputs) if self.slow_backward else outputs


class Samples(Dataset):
    targets = [index % 3 for index in range(160)]

    def __len__(self):
        return 160

    def __getitem__(self, index):
        time.sleep({SLEEP} / 32)
        return torch.full((8,), float(self.targets[index])), self.targets[index]
"""


@pytest.fixture(autouse=True)
def _slow_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's module called `slow_parts`."""
    (tmp_path / "slow_parts.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "slow_parts", raising=False)


SLOW_PARTS: dict[str, dict[str, object]] = {
    "data": {"dataset": "slow_parts:Samples", "train_samples": None, "model_params": {}},
    "forward": {"model_params": {"forward_sleep": SLEEP}},
    "backward": {"model_params": {"slow_backward": True}},
}


@pytest.mark.parametrize("part", SLOW_PARTS)
def test_the_part_that_is_slow_has_the_time(make_config: MakeConfig, part: str) -> None:
    config = make_config(**{"model": "slow_parts:Model", **SLOW_PARTS[part]})
    found = profile(config, "cpu", 0.2)
    assert max(found.parts, key=lambda name: found.parts[name]) == part
    assert found.parts[part] > 0.9 * SLEEP


def test_a_slow_optimizer_is_found(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = FlatStep.step

    def slow_step(self: FlatStep) -> None:
        torch.randn(1 << 20).sort()
        step(self)

    monkeypatch.setattr(FlatStep, "step", slow_step)
    parts = profile(make_config(), "cpu", 0.2).parts
    assert max(parts, key=lambda name: parts[name]) == "optimizer"


def test_the_parts_of_the_steps_add_up_to_the_time_asked_for(make_config: MakeConfig) -> None:
    found = profile(make_config(), "cpu", 0.3)
    assert tuple(found.parts) == PARTS
    assert 0.3 <= found.num_steps * sum(found.parts.values()) < 1.0


@pytest.mark.parametrize(
    ("accumulation_steps", "steps_per_epoch"), [(1, 5), (2, 3), (4, 2), (5, 1)]
)
def test_steps_are_those_of_the_optimizer(
    make_config: MakeConfig, accumulation_steps: int, steps_per_epoch: int
) -> None:
    # 160 samples, one of 161 left out, make five batches of 32.
    found = profile(make_config(accumulation_steps=accumulation_steps), "cpu", 0.0)
    assert found.steps_per_epoch == steps_per_epoch
    # In whole epochs until enough steps are made, or just as many.
    assert MIN_STEPS <= found.num_steps <= MIN_STEPS + steps_per_epoch


def test_evaluation_and_memory_are_measured(make_config: MakeConfig) -> None:
    found = profile(make_config(), "cpu", 0.01)
    assert 0 < found.evaluate_seconds < 5
    assert found.peak_memory_bytes > 50e6
