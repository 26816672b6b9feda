"""Accumulation, clipping by value and weighted sampling, in whole runs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bakeoff.errors import DataError, UsageError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.batches import steps_per_epoch
from bakeoff.training.epoch_batches import plain_batches, weighted_order
from bakeoff.training.own_state import copy_state
from bakeoff.training.state import TrainingState

MakeConfig = Callable[..., TrialConfig]


def trained(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


# ---------------------------------------------------------------- accumulation


@pytest.mark.parametrize("remedy", ["none", "class_weights", "focal_gamma", "clip_grad_norm"])
@pytest.mark.parametrize("train_samples", [160, 200, 256])
def test_four_batches_of_32_are_one_of_128(
    make_config: MakeConfig, train_samples: int, remedy: str
) -> None:
    # 160 makes a last group of one batch, 200 one of three of which the last is small.
    remedies = {"class_weights": "balanced", "focal_gamma": 2.0, "clip_grad_norm": 0.5}
    common = {
        "train_samples": train_samples,
        "optimizer": "sgd",
        "optimizer_params": {"learning_rate": 0.1, "momentum": 0.9},
        "scheduler_params": {"warmup_fraction": 0.2},
        **({} if remedy == "none" else {remedy: remedies[remedy]}),
    }
    parts = trained(make_config(batch_size=32, accumulation_steps=4, **common))
    whole = trained(make_config(batch_size=128, **common))
    for name, weights in copy_state(whole.model).items():
        assert torch.allclose(copy_state(parts.model)[name], weights, atol=1e-5), name
    for mine, theirs in zip(parts.history, whole.history, strict=True):
        assert (mine.steps, mine.learning_rate) == (theirs.steps, theirs.learning_rate)
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert mine.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3)


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "accumulation_steps", "expected"),
    [(128, 32, 4, 1), (129, 32, 4, 1), (130, 32, 4, 2), (96, 32, 2, 2), (10, 5, 7, 1)],
)
def test_steps_are_counted_by_groups_of_batches(
    num_samples: int, batch_size: int, accumulation_steps: int, expected: int
) -> None:
    assert steps_per_epoch(num_samples, batch_size, accumulation_steps) == expected


def test_schedule_ends_with_the_last_group(make_config: MakeConfig) -> None:
    state = trained(make_config(train_samples=200, batch_size=32, accumulation_steps=3))
    assert [result.steps for result in state.history] == [3, 3, 3]
    assert state.schedule.progress == 1.0


def test_skipped_group_is_one_skipped_step(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(precision="fp16", accumulation_steps=2, epochs=1), "cpu")
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    [result] = loop.train(state)
    assert (result.steps, result.skipped_steps) == (0, 3)


def test_more_accumulated_than_there_is_data_is_refused(make_config: MakeConfig) -> None:
    config = make_config(batch_size=32, accumulation_steps=6)
    with pytest.raises(
        DataError, match=r"161 .* fewer than batch_size = 32 with accumulation_steps = 6"
    ):
        loop.prepare(config, "cpu")


def test_step_without_a_batch_is_an_error(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(), "cpu")
    with pytest.raises(ValueError, match="at least one batch"):
        loop.train_step(state, [], 32)


# ---------------------------------------------------------------- clipping by value


def test_gradient_values_are_clipped_and_the_norm_before_is_reported(
    make_config: MakeConfig,
) -> None:
    settings = {
        "epochs": 1,
        "train_samples": 32,
        "optimizer": "sgd",
        "optimizer_params": {"learning_rate": 1.0, "momentum": 0.0},
        "scheduler": "constant",
    }
    before = copy_state(loop.prepare(make_config(**settings), "cpu").model)
    free = trained(make_config(**settings))
    clipped = trained(make_config(clip_grad_value=1e-3, **settings))
    moved = {name: before[name] - one for name, one in copy_state(clipped.model).items()}
    gradient = {name: before[name] - one for name, one in copy_state(free.model).items()}
    for name, step in moved.items():
        assert torch.allclose(step, gradient[name].clamp(-1e-3, 1e-3), atol=1e-7)
    assert clipped.history[0].grad_norm == free.history[0].grad_norm


def test_values_are_clipped_after_the_norm(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(clip_grad_norm=1.0, clip_grad_value=0.25), "cpu")
    weights = state.trainable[0]
    weights.grad = torch.zeros_like(weights)
    weights.grad.view(-1)[:2] = torch.tensor([3.0, 4.0])
    norm = loop.clip_gradients(state)
    assert float(norm) == 5.0
    assert weights.grad.view(-1)[:2].tolist() == pytest.approx([0.25, 0.25])


# ---------------------------------------------------------------- weighted sampling


def long_tailed() -> dict[str, np.ndarray]:
    """Two classes, one of them a tenth."""
    generator = np.random.default_rng(0)
    labels = (np.arange(400) % 10 == 0).astype(np.int64)
    inputs = generator.normal(size=(400, 1, 8, 8)).astype(np.float32) + labels[:, None, None, None]
    return {"x": inputs, "y": labels}


def test_weighted_order_draws_every_class_equally_often(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(train_samples=None, dataset=f"{__name__}:long_tailed"), "cpu")
    train = state.splits.train
    labels = train.labels[train.rows]
    drawn = labels[weighted_order(train, 20_000, 0, 1)]
    assert float(labels.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(drawn.float().mean()) == pytest.approx(0.5, abs=0.015)


def test_every_sample_of_a_class_is_as_likely(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(train_samples=None, dataset=f"{__name__}:long_tailed"), "cpu")
    train = state.splits.train
    counts = torch.bincount(weighted_order(train, 60_000, 0, 1), minlength=len(train))
    rare = train.labels[train.rows] == 1
    for share, chosen in ((30_000 / int(rare.sum()), rare), (30_000 / int((~rare).sum()), ~rare)):
        assert bool(((counts[chosen] - share).abs() < 5 * share**0.5).all())


def test_weighted_order_depends_on_seed_and_epoch_only(make_config: MakeConfig) -> None:
    train = loop.prepare(make_config(), "cpu").splits.train
    first = weighted_order(train, 100, 0, 1)
    torch.manual_seed(9)
    assert torch.equal(weighted_order(train, 100, 0, 1), first)
    assert not torch.equal(weighted_order(train, 100, 0, 2), first)
    assert not torch.equal(weighted_order(train, 100, 1, 1), first)


def test_sample_drawn_twice_is_augmented_differently(make_config: MakeConfig) -> None:
    config = make_config(sampling="weighted", augment=("translate",), batch_size=161)
    state = loop.prepare(config, "cpu")
    order = weighted_order(state.splits.train, 161, config.seed, 1)
    [(inputs, _)] = plain_batches(state)
    places = (order == order.mode().values).nonzero().flatten()
    assert len(places) > 2
    assert len({inputs[place].numpy().tobytes() for place in places}) > 1


def test_run_draws_as_many_samples_as_without_weights(make_config: MakeConfig) -> None:
    state = trained(make_config(sampling="weighted"))
    assert [result.steps for result in state.history] == [5, 5, 5]


def test_weights_and_weighted_sampling_together_are_refused(make_config: MakeConfig) -> None:
    config = make_config(sampling="weighted", class_weights="balanced")
    with pytest.raises(
        UsageError, match=r"training\.sampling: class_weights already correct the same"
    ):
        loop.prepare(config, "cpu")
