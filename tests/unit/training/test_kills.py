"""A run that is killed at a random step within an epoch ends with the same bits."""

import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import killable_run
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.snapshot import snapshot
from bakeoff.training.state import TrainingState, seed_everything

MakeConfig = Callable[..., TrialConfig]

NUM_BATCHES = 3 * 10
"""Batches in three epochs of 161 samples, of which one is left out."""
CNN = {"model": "cnn", "model_params": {"width": 4, "dropout": 0.3}}
CELLS: dict[str, dict[str, Any]] = {
    "average": {**CNN, "ema_decay": 0.9, "scheduler": "plateau"},
    "accumulation": {**CNN, "accumulation_steps": 3, "clip_grad_norm": 1.0, "optimizer": "muon"},
    "mixing": {**CNN, "mixup_alpha": 0.4, "cutmix_alpha": 1.0, "label_smoothing": 0.1},
    "weighted sampling": {"sampling": "weighted", "augment": ("flip", "crop", "cutout")},
    "weighted classes": {"class_weights": "balanced", "focal_gamma": 2.0, "precision": "bf16"},
    "schedule-free": {**CNN, "optimizer": "schedule_free_adamw", "scheduler": "constant"},
    "everything": {
        **CNN,
        "augment": ("flip", "translate", "crop", "cutout"),
        "accumulation_steps": 4,
        "clip_grad_norm": 1.0,
        "clip_grad_value": 0.1,
        "ema_decay": 0.95,
        "focal_gamma": 1.0,
        "mixup_alpha": 0.2,
        "precision": "fp16",
        "sampling": "weighted",
        "scheduler": "one_cycle",
    },
}
KILLS_PER_CELL = 16
KILLS = [
    (cell, number)
    for seed, cell in enumerate(CELLS)
    for number in sorted(random.Random(seed).sample(range(1, NUM_BATCHES + 1), KILLS_PER_CELL))
]
"""Cell, and the batch in which the run is killed."""
NUM_REAL_KILLS = 3


class KilledError(Exception):
    """Takes the place of the kill."""


class Fatal(nn.Module):
    """A loss that kills the run in its `number`-th batch."""

    def __init__(self, criterion: nn.Module, number: int) -> None:
        super().__init__()
        self.criterion = criterion
        self.left = number

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise KilledError
        loss: Tensor = self.criterion(outputs, labels)
        return loss


def comparable(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float().numpy().tobytes() if value.is_floating_point() else value.tolist()
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if "seconds" not in str(key)}
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return repr(value)


def train_saving(config: TrialConfig, folder: Path, kill_at: int | None = None) -> TrainingState:
    state = loop.prepare(config, "cpu")
    checkpoints = Checkpoints(folder, "run")
    if kill_at is not None:
        state.criterion = Fatal(state.criterion, kill_at)
    for _ in loop.train(state, checkpoints):
        checkpoints.save(state)
    return state


@pytest.fixture(scope="module")
def finished() -> dict[str, Any]:
    """Uninterrupted runs, each trained once."""
    return {}


@pytest.mark.parametrize(("cell", "number"), KILLS)
def test_run_killed_in_a_batch_ends_with_the_same_bits(
    make_config: MakeConfig, tmp_path: Path, finished: dict[str, Any], cell: str, number: int
) -> None:
    config = make_config(batch_size=16, **CELLS[cell])
    if cell not in finished:
        finished[cell] = comparable(snapshot(train_saving(config, tmp_path / "whole")))
    with pytest.raises(KilledError):
        train_saving(config, tmp_path / "killed", number)
    seed_everything("something else entirely")
    resumed = train_saving(config, tmp_path / "killed")
    assert comparable(snapshot(resumed)) == finished[cell]


class Suspending(Fatal):
    """A loss that asks for the run to be suspended in its `number`-th batch."""

    def __init__(self, criterion: nn.Module, number: int, checkpoints: Checkpoints) -> None:
        super().__init__(criterion, number)
        self.checkpoints = checkpoints

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            self.checkpoints.suspend()
        loss: Tensor = self.criterion(outputs, labels)
        return loss


@pytest.mark.parametrize(("cell", "number"), KILLS[::4])
def test_run_suspended_within_an_epoch_ends_with_the_same_bits(
    make_config: MakeConfig, tmp_path: Path, finished: dict[str, Any], cell: str, number: int
) -> None:
    config = make_config(batch_size=16, **CELLS[cell])
    if cell not in finished:
        finished[cell] = comparable(snapshot(train_saving(config, tmp_path / "whole")))
    state = loop.prepare(config, "cpu")
    checkpoints = Checkpoints(tmp_path / "suspended", "run")
    state.criterion = Suspending(state.criterion, number, checkpoints)
    epochs = list(loop.train(state, checkpoints))
    assert len(epochs) == (number - 1) // (NUM_BATCHES // 3)
    assert not state.is_over
    seed_everything("something else entirely")
    resumed = loop.prepare(config, "cpu")
    again = list(loop.train(resumed, Checkpoints(tmp_path / "suspended", "run")))
    assert [one.metrics for one in again[: len(epochs)]] == [one.metrics for one in epochs]
    assert comparable(snapshot(resumed)) == finished[cell]


def test_run_saved_at_every_step_continues_from_each_with_the_same_bits(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(batch_size=16, **CELLS["everything"])
    whole = comparable(snapshot(train_saving(config, tmp_path / "whole")))
    monkeypatch.setattr("bakeoff.training.checkpoint.SECONDS_WITHIN_EPOCH", 0.0)
    state, saved = loop.prepare(config, "cpu"), []
    folder = tmp_path / "saved"
    checkpoints = Checkpoints(folder, "run", max_share=math.inf)
    state.criterion = Watching(state.criterion, lambda: saved.append(newest(folder)))
    list(loop.train(state, checkpoints))
    assert len(set(saved)) == 1 + 3 * 2 + 2  # nothing, two steps of each epoch, two ends
    for number, _ in enumerate(state.history):
        killed = tmp_path / f"killed-{number}"
        with pytest.raises(KilledError):
            train_until(config, killed, kill_at=10 * number + 9)
        assert "sample" in newest(killed)
        resumed = loop.prepare(config, "cpu")
        list(loop.train(resumed, Checkpoints(killed, "run")))
        assert comparable(snapshot(resumed)) == whole


def newest(folder: Path) -> str:
    return max((path.stem for path in folder.rglob("*.json")), default="")


def train_until(config: TrialConfig, folder: Path, kill_at: int) -> None:
    state = loop.prepare(config, "cpu")
    state.criterion = Fatal(state.criterion, kill_at)
    list(loop.train(state, Checkpoints(folder, "run", max_share=math.inf)))


class Watching(nn.Module):
    """A loss that calls `watch` for every batch."""

    def __init__(self, criterion: nn.Module, watch: Callable[[], None]) -> None:
        super().__init__()
        self.criterion, self.watch = criterion, watch

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        self.watch()
        loss: Tensor = self.criterion(outputs, labels)
        return loss


def test_over_a_hundred_random_kills_are_tried() -> None:
    assert len(set(KILLS)) == 7 * 16 > 100
    assert min(number for _, number in KILLS) == 1
    assert max(number for _, number in KILLS) == NUM_BATCHES


def kill_after(folder: Path, num_lines: int) -> None:
    """Start the run in its own process and kill it after it has reported so many batches."""
    command = [sys.executable, killable_run.__file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(num_lines):
            assert process.stdout.readline() == "batch\n"
        process.kill()
        assert process.wait() == -9


def test_process_killed_again_and_again_ends_with_the_same_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # An epoch has 36 batches, so each attempt trains one epoch more before it is killed.
    draws = random.Random(0)
    for _ in range(NUM_REAL_KILLS):
        kill_after(tmp_path / "killed", draws.randint(37, 72))
    assert max(path.stem for path in (tmp_path / "killed").rglob("*.pt")) > "epoch-0000002"
    torch.set_num_threads(1)
    resumed = killable_run.train_to_the_end(tmp_path / "killed")
    whole = killable_run.train_to_the_end(tmp_path / "whole")
    assert len(capsys.readouterr().out.splitlines()) < 2 * 4 * 36
    assert killable_run.digest(resumed) == killable_run.digest(whole)
