"""Small runs: digits of 8x8 pixels, a handful of steps an epoch, one thread."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from bakeoff.records import TrialConfig
from run_examples import small_run

MakeConfig = Callable[..., TrialConfig]

OWN_MODELS = '''
import random

import numpy as np
import torch
from torch import nn


class Noisy(nn.Module):
    """Draws from every global generator and counts its batches in a buffer that is not saved."""

    def __init__(self, input_shape, num_outputs):
        super().__init__()
        self.linear = nn.Linear(64, num_outputs)
        self.register_buffer("batches", torch.zeros(()), persistent=False)

    def forward(self, inputs):
        if self.training:
            self.batches += 1
            noise = random.random() + np.random.rand() + float(torch.rand(()))
            inputs = inputs * (1 + 0.1 * noise + 0.01 * self.batches)
        return self.linear(inputs.flatten(1))


def build_noisy(input_shape, num_outputs):
    return Noisy(input_shape, num_outputs)


def build_frozen(input_shape, num_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_outputs).requires_grad_(False))


def build_wrong_shape(input_shape, num_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_outputs + 1))


def build_wrong_input(input_shape, num_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(63, num_outputs))


def build_number(input_shape, num_outputs):
    return 7


def build_failing(input_shape, num_outputs):
    raise KeyError("own fault")


def build_out_of_memory(input_shape, num_outputs):
    raise torch.OutOfMemoryError("no room")


not_a_function = 7
'''


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Bits are promised for a given number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _own_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A user's module called `own_models`, importable by reference."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_models.py").write_text(OWN_MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("own_models", None)


@pytest.fixture
def make_config() -> MakeConfig:
    """Build a small run; keywords of TrainingConfig and DataConfig go where they belong."""
    return small_run


@pytest.fixture
def checkpoint_folder(tmp_path: Path) -> Path:
    """Where a run's checkpoints go; not made yet."""
    return tmp_path / "checkpoints"
