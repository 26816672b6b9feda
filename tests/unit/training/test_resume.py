"""A run that is killed after any epoch and resumed from its folder ends with the same bits."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.components.compatibility import allowed_schedulers
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.package_optimizers import package_optimizers
from bakeoff.errors import CheckpointError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.averaging import switch_to_training
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.randomness import capture_generators, restore_generators
from bakeoff.training.snapshot import restore, snapshot
from bakeoff.training.state import TrainingState, seed_everything

MakeConfig = Callable[..., TrialConfig]


def train_through(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


def stop_after(config: TrialConfig, epoch: int) -> TrainingState:
    state = loop.prepare(config, "cpu")
    for result in loop.train(state):
        if result.epoch == epoch:
            break
    return state


def everything(state: TrainingState) -> Any:
    """A run's whole state in comparable form, without the clock."""
    content = snapshot(state)
    content["history"] = [
        replace(result, train_seconds=0.0, data_seconds=0.0, evaluate_seconds=0.0)
        for result in state.history
    ]
    return comparable(content)


def comparable(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        exact = value.float() if value.dtype == torch.bfloat16 else value  # NumPy has no bfloat16
        return exact.numpy().tobytes()
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return repr(value)


def killed_after(config: TrialConfig, epoch: int, folder: Path, steps: int = 0) -> TrainingState:
    """Trained to `epoch` and `steps` further, abandoned, and finished by another state."""
    checkpoints = Checkpoints(folder, "run")
    state = loop.prepare(config, "cpu")
    for result in loop.train(state, checkpoints):
        checkpoints.save(state)
        if result.epoch == epoch:
            break
    switch_to_training(state.optimizer)
    for inputs, labels in islice(state.splits.train.batches(32), steps):
        loop.train_step(state, [(inputs, labels)], len(labels))
    seed_everything("something else entirely")
    resumed = loop.prepare(config, "cpu")
    epochs = [result.epoch for result in loop.train(resumed, Checkpoints(folder, "run"))]
    assert epochs == [1, 2, 3]
    return resumed


@pytest.fixture(scope="module")
def finished() -> dict[str, Any]:
    """Uninterrupted runs, each trained once."""
    return {}


def uninterrupted(cache: dict[str, Any], config: TrialConfig) -> Any:
    key = repr(config)
    if key not in cache:
        cache[key] = everything(train_through(config))
    return cache[key]


PAIRS = [
    (optimizer, scheduler)
    for optimizer in OPTIMIZERS.names
    for scheduler in allowed_schedulers(optimizer)
]
KILLS = [
    pytest.param(*pair, 1 + number % 3, number % 4, id="-".join(pair))
    for number, pair in enumerate(PAIRS)
]
"""Each pair that can train, killed after one to three epochs and zero to three steps more."""


@pytest.mark.parametrize(("optimizer", "scheduler", "epoch", "steps"), KILLS)
def test_resumed_run_ends_with_the_same_bits(
    make_config: MakeConfig,
    checkpoint_folder: Path,
    finished: dict[str, Any],
    optimizer: str,
    scheduler: str,
    epoch: int,
    steps: int,
) -> None:
    config = make_config(
        optimizer=optimizer,
        optimizer_params={"weight_decay": 1e-3},
        scheduler=scheduler,
        scheduler_params={"warmup_fraction": 0.2},
        model="cnn",
        model_params={"width": 8, "dropout": 0.3},
        augment=("flip", "translate"),
        clip_grad_norm=1.0,
    )
    resumed = killed_after(config, epoch, checkpoint_folder, steps)
    assert everything(resumed) == uninterrupted(finished, config)


def test_over_a_hundred_kills_are_tried() -> None:
    assert len(KILLS) == 12 * 11 + 2


# Kron passes too, but takes half a minute for these few steps.
@pytest.mark.parametrize("name", [name for name in package_optimizers() if name != "Kron"])
def test_resumed_run_with_an_optimizer_of_the_package_ends_with_the_same_bits(
    make_config: MakeConfig, checkpoint_folder: Path, name: str
) -> None:
    config = make_config(
        optimizer=f"pytorch_optimizer:{name}",
        scheduler="constant",
        model="cnn",
        model_params={"width": 8, "dropout": 0.3},
    )
    resumed = killed_after(config, 2, checkpoint_folder)
    assert resumed.history[-1].status == "finished"
    assert everything(resumed) == everything(train_through(config))


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_resumed_run_in_low_precision_ends_with_the_same_bits(
    make_config: MakeConfig,
    checkpoint_folder: Path,
    finished: dict[str, Any],
    precision: str,
    epoch: int,
) -> None:
    config = make_config(precision=precision, model_params={"width": 16, "dropout": 0.3})
    resumed = killed_after(config, epoch, checkpoint_folder)
    assert everything(resumed) == uninterrupted(finished, config)


def test_model_of_the_user_that_draws_from_every_generator_is_resumed(
    make_config: MakeConfig, checkpoint_folder: Path
) -> None:
    config = make_config(model="own_models:build_noisy", model_params={})
    resumed = killed_after(config, 2, checkpoint_folder)
    assert everything(resumed) == everything(train_through(config))


def test_test_metrics_after_resuming_are_those_of_the_uninterrupted_run(
    make_config: MakeConfig, checkpoint_folder: Path
) -> None:
    config = make_config(optimizer_params={"learning_rate": 0.1})
    expected = loop.test(train_through(config))
    assert loop.test(killed_after(config, 3, checkpoint_folder)) == expected


# ---------------------------------------------------------------- leaving a piece out


def piece_of(payload: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *parents, last = path.split(".")
    for parent in parents:
        payload = payload[parent]
    return payload, last


def resumed_without(config: TrialConfig, path: str) -> TrainingState:
    """Finished from a snapshot after epoch 3 in which one piece is that of an untrained run."""
    fresh = snapshot(loop.prepare(config, "cpu"))
    payload = deepcopy(snapshot(stop_after(config, 3)))
    holder, name = piece_of(payload, path)
    fresh_holder, _ = piece_of(fresh, path)
    holder[name] = fresh_holder[name]
    resumed = loop.prepare(config, "cpu")
    restore(resumed, payload)
    list(loop.train(resumed))
    return resumed


@pytest.mark.parametrize(
    "path",
    [
        "model",
        "buffers",
        "optimizer",
        "schedule",
        "scaler",
        "history",
        "generators.python",
        "generators.numpy",
        "generators.torch",
    ],
)
def test_run_resumed_without_one_piece_of_its_state_ends_differently(
    make_config: MakeConfig, path: str
) -> None:
    config = make_config(
        model="own_models:build_noisy", model_params={}, precision="fp16", epochs=6
    )
    assert everything(resumed_without(config, path)) != everything(train_through(config))


@pytest.mark.parametrize(
    ("optimizer", "path"),
    [
        ("muon", "optimizer.state"),
        ("schedule_free_sgd", "optimizer.state"),
        ("schedule_free_sgd", "optimizer.param_groups"),
        ("schedule_free_adamw", "optimizer.state"),
        ("schedule_free_adamw", "optimizer.param_groups"),
    ],
)
def test_optimizer_of_two_parts_or_two_points_needs_each_piece_of_its_state(
    make_config: MakeConfig, optimizer: str, path: str
) -> None:
    config = make_config(
        optimizer=optimizer, scheduler="constant", model="cnn", model_params={"width": 8}, epochs=6
    )
    assert everything(resumed_without(config, path)) != everything(train_through(config))


@pytest.mark.parametrize("path", ["average.other", "average.num_updates", "average.in_place"])
def test_moving_average_needs_each_piece_of_its_state(make_config: MakeConfig, path: str) -> None:
    config = make_config(ema_decay=0.9, epochs=6)
    assert everything(resumed_without(config, path)) != everything(train_through(config))


@pytest.mark.parametrize("path", ["best_weights", "epochs_without_improvement"])
def test_run_that_stopped_improving_needs_to_know_its_best(
    make_config: MakeConfig, path: str
) -> None:
    config = make_config(
        optimizer="sgd",
        optimizer_params={"learning_rate": 1e-12},
        epochs=9,
        early_stopping_patience=5,
    )
    assert everything(resumed_without(config, path)) != everything(train_through(config))


def test_snapshot_holds_nothing_that_the_tests_above_leave_unproved(
    make_config: MakeConfig,
) -> None:
    assert set(snapshot(loop.prepare(make_config(), "cpu"))) == {
        "generators_of_ranks",  # of other processes; see test_several_devices
        "model",
        "buffers",
        "optimizer",
        "schedule",
        "scaler",
        "average",
        "history",
        "best_weights",
        "epochs_without_improvement",
        "generators",
        # None between epochs; `test_kills` suspends runs within them.
        "totals",
        # These two are compared on resuming instead.
        "data",
        "environment",
    }


# ---------------------------------------------------------------- what is checked on resuming


def test_recorded_epochs_are_yielded_again_as_they_were(
    make_config: MakeConfig, checkpoint_folder: Path
) -> None:
    config = make_config()
    state = loop.prepare(config, "cpu")
    list(loop.train(state, Checkpoints(checkpoint_folder, "run", max_share=inf)))
    again = loop.prepare(config, "cpu")
    assert list(loop.train(again, Checkpoints(checkpoint_folder, "run"))) == state.history


def test_changed_data_is_refused(make_config: MakeConfig) -> None:
    payload = snapshot(stop_after(make_config(), 1))
    state = loop.prepare(make_config(), "cpu")
    with pytest.raises(CheckpointError, match=r"the data changed .* fingerprint 0000 became"):
        restore(state, {**payload, "data": "0000"})


def test_checkpoint_of_another_model_is_refused_naming_a_key(make_config: MakeConfig) -> None:
    payload = snapshot(stop_after(make_config(), 1))
    state = loop.prepare(make_config(model_params={"depth": 2, "width": 16}), "cpu")
    with pytest.raises(CheckpointError, match=r"another model.*5\.weight"):
        restore(state, payload)


def test_same_environment_has_no_differences(make_config: MakeConfig) -> None:
    payload = snapshot(stop_after(make_config(), 1))
    state = loop.prepare(make_config(), "cpu")
    restore(state, payload)
    assert state.resume_differences == ()


def test_another_number_of_threads_is_reported(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    payload = snapshot(stop_after(make_config(), 1))
    payload["environment"]["threads"] = "7"
    state = loop.prepare(make_config(), "cpu")
    restore(state, payload)
    assert state.resume_differences == ("threads was 7, is 1",)
    assert "resumed, not bit-identical: threads was 7, is 1" in caplog.text


def test_generators_are_restored() -> None:
    def draw() -> tuple[float, float, float, float]:
        return random.gauss(), np.random.rand(), np.random.randn(), float(torch.rand(()))

    seed_everything(0, "here")
    draw()
    captured = capture_generators()
    expected = draw()
    seed_everything(0, "elsewhere")
    restore_generators(captured)
    assert draw() == expected
