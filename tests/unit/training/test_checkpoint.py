import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.errors import CheckpointError, CheckpointWriteError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.state import TrainingState

MakeConfig = Callable[..., TrialConfig]


@pytest.fixture
def state(make_config: MakeConfig) -> TrainingState:
    """A small run before its first epoch."""
    return loop.prepare(make_config(epochs=5, model_params={"width": 2, "depth": 1}), "cpu")


@pytest.fixture
def saved(state: TrainingState, checkpoint_folder: Path) -> Path:
    """A folder with the checkpoints after epochs 1 to 3, of which two are kept."""
    checkpoints = Checkpoints(checkpoint_folder, "run")
    for result in loop.train(state):
        checkpoints.save(state)
        if result.epoch == 3:
            break
    return checkpoint_folder


def epochs_in(payload: dict[str, Any] | None) -> int:
    assert payload is not None
    return len(payload["history"])


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


NEWEST, PREVIOUS = "attempt-1/epoch-0000003", "attempt-1/epoch-0000002"


def test_nothing_is_loaded_where_nothing_was_saved(checkpoint_folder: Path) -> None:
    assert Checkpoints(checkpoint_folder, "run").load() is None


def test_newest_is_loaded_and_one_more_is_kept(saved: Path) -> None:
    assert epochs_in(Checkpoints(saved, "run").load()) == 3
    assert names(saved) == [
        f"{stem}{suffix}" for stem in (PREVIOUS, NEWEST) for suffix in (".json", ".pt")
    ]


def test_epoch_is_saved_once(state: TrainingState, saved: Path) -> None:
    checkpoints = Checkpoints(saved, "run")
    checkpoints.load()
    before = (saved / f"{NEWEST}.pt").stat().st_mtime_ns
    checkpoints.save(state)
    assert (saved / f"{NEWEST}.pt").stat().st_mtime_ns == before


def test_save_is_due_when_it_costs_one_percent_of_the_training_time(
    checkpoint_folder: Path,
) -> None:
    checkpoints = Checkpoints(checkpoint_folder, "run")
    assert not checkpoints.is_due(4.9)
    assert checkpoints.is_due(5.1)


def test_cost_is_measured_at_each_save(state: TrainingState, checkpoint_folder: Path) -> None:
    checkpoints = Checkpoints(checkpoint_folder, "run")
    next(iter(loop.train(state)))
    checkpoints.save(state)
    assert not checkpoints.is_due(0.0)
    assert checkpoints.is_due(1e6)


def test_quick_run_saves_nothing(state: TrainingState, checkpoint_folder: Path) -> None:
    list(loop.train(state, Checkpoints(checkpoint_folder, "run")))
    assert not checkpoint_folder.exists()


def test_saves_that_took_longer_than_expected_delay_the_next_ones(
    state: TrainingState, checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a save takes, all saves together take at most 1 % of the training time."""
    clock = iter(range(1000))  # every call returns a second more, so a save takes one second
    monkeypatch.setattr("bakeoff.training.checkpoint.time.perf_counter", lambda: next(clock))
    checkpoints, num_saves = Checkpoints(checkpoint_folder, "run"), 0
    next(iter(loop.train(state)))
    for epoch in range(1, 1001):
        state.history[-1] = replace(state.history[-1], epoch=epoch)
        state.seconds_since_save += 0.9
        if checkpoints.is_due(state.seconds_since_save):
            checkpoints.save(state)
            num_saves += 1
    assert num_saves == 8  # of a second each, in 900 s


def test_epoch_is_saved_before_it_is_yielded(state: TrainingState, checkpoint_folder: Path) -> None:
    for result in loop.train(state, Checkpoints(checkpoint_folder, "run", max_share=math.inf)):
        assert epochs_in(Checkpoints(checkpoint_folder, "run").load()) == result.epoch


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_file_truncated_anywhere_is_skipped(saved: Path, suffix: str) -> None:
    path = saved / f"{NEWEST}{suffix}"
    data = path.read_bytes()
    for length in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        assert epochs_in(Checkpoints(saved, "run").load()) == 2


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_file_with_any_bit_flipped_is_skipped(saved: Path, suffix: str) -> None:
    path = saved / f"{NEWEST}{suffix}"
    data = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(200):
        flipped = bytearray(data)
        flipped[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        path.write_bytes(flipped)
        assert epochs_in(Checkpoints(saved, "run").load()) == 2


def test_damaged_payload_is_never_unpickled(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("torch.load was called")

    for path in saved.rglob("*.pt"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(torch, "load", refuse)
    assert Checkpoints(saved, "run").load() is None


def test_damage_is_logged(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    (saved / f"{NEWEST}.pt").write_bytes(b"")
    Checkpoints(saved, "run").load()
    assert f"{NEWEST}.json: skipped a damaged checkpoint (it has 0 bytes" in caplog.text


@pytest.mark.parametrize("missing", [f"{NEWEST}.pt", f"{NEWEST}.json"])
def test_half_a_checkpoint_is_ignored(saved: Path, missing: str) -> None:
    (saved / missing).unlink()
    assert epochs_in(Checkpoints(saved, "run").load()) == 2


def test_swapped_payloads_are_detected(saved: Path) -> None:
    newest, previous = saved / f"{NEWEST}.pt", saved / f"{PREVIOUS}.pt"
    data = newest.read_bytes()
    newest.write_bytes(previous.read_bytes())
    previous.write_bytes(data)
    assert Checkpoints(saved, "run").load() is None


def test_damaged_checkpoint_is_replaced(state: TrainingState, saved: Path) -> None:
    (saved / f"{NEWEST}.pt").write_bytes(b"")
    checkpoints = Checkpoints(saved, "run")
    assert epochs_in(checkpoints.load()) == 2
    checkpoints.save(state)
    assert epochs_in(Checkpoints(saved, "run").load()) == 3


# ---------------------------------------------------------------- another run's


def test_checkpoints_of_another_run_are_removed_with_a_warning(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Checkpoints(saved, "other").load() is None
    assert "removed, it belongs to another run or another release" in caplog.text
    assert not list(saved.rglob("epoch-*"))


def test_checkpoint_of_a_later_attempt_is_refused_and_not_written_beside(
    state: TrainingState, saved: Path, make_config: Callable[..., TrialConfig]
) -> None:
    later = Checkpoints(saved, "run", attempt=2, max_share=math.inf)
    list(loop.train(state, later))  # a later attempt may take up an earlier one's checkpoint
    zombie = Checkpoints(saved, "run", attempt=1)
    with pytest.raises(CheckpointError, match="attempt 2 of this run has written it"):
        zombie.load()
    before = names(saved)
    with pytest.raises(CheckpointError, match="another worker has taken over the run"):
        zombie.save(loop.prepare(make_config(), "cpu"))
    assert names(saved) == before


def test_checkpoint_of_a_newer_release_is_refused(
    state: TrainingState, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.training.checkpoint.CHECKPOINT_FORMAT", 99)
    list(loop.train(state, Checkpoints(saved, "run", max_share=math.inf)))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="written by a newer release"):
        Checkpoints(saved, "run").load()


# ---------------------------------------------------------------- a crash while saving


def crash_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the disk be full at the given call of fsync or replace."""
    counted = iter(range(100))

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any) -> Any:
            if next(counted) == call:
                raise OSError(28, "No space left on device")
            return original(*args)

        return wrapper

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "replace", failing(Path.replace))


@pytest.mark.parametrize("call", range(6))
def test_save_that_fails_leaves_the_checkpoints_before_it(
    state: TrainingState, saved: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    epochs = loop.train(state)
    next(epochs), next(epochs), next(epochs), next(epochs)
    checkpoints = Checkpoints(saved, "run")
    with monkeypatch.context() as patch:
        crash_at(patch, call)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(state)
    # Only the last sync of the folder comes after the new checkpoint is complete.
    assert epochs_in(Checkpoints(saved, "run").load()) == (4 if call == 5 else 3)
    checkpoints.save(state)
    assert epochs_in(Checkpoints(saved, "run").load()) == 4
    assert not list(saved.rglob("*.partial"))


@pytest.mark.parametrize("verb", ["save", "load"])
def test_folder_that_cannot_be_listed_halts_the_run_and_does_not_fail_it(
    state: TrainingState, saved: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    checkpoints = Checkpoints(saved, "run")
    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(CheckpointWriteError, match=r"cannot be listed \(Input/output error\)"):
        checkpoints.save(state) if verb == "save" else checkpoints.load()


def test_manifest_says_which_run_and_what_the_payload_must_be(saved: Path) -> None:
    manifest = json.loads((saved / f"{NEWEST}.json").read_text())
    assert manifest["identity"] == "run"
    assert manifest["bytes"] == (saved / f"{NEWEST}.pt").stat().st_size
