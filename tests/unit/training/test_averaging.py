"""Optimizers that evaluate at an average of their weights."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.averaging import find_batch_norms, measuring_statistics
from bakeoff.training.batches import epoch_order
from bakeoff.training.evaluation import MAX_STATISTICS_BATCHES, measure, prepare_to_evaluate
from bakeoff.training.state import TrainingState

MakeConfig = Callable[..., TrialConfig]

AVERAGING = pytest.mark.parametrize(
    "optimizer",
    ["schedule_free_sgd", "schedule_free_adamw", "pytorch_optimizer:ScheduleFreeAdamW"],
)


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([weights.detach().flatten() for weights in model.parameters()])


def trained(config: TrialConfig, epochs: int = 1) -> TrainingState:
    state = loop.prepare(config, "cpu")
    for result in loop.train(state):
        if result.epoch == epochs:
            break
    return state


@AVERAGING
def test_epoch_ends_at_the_average_and_the_next_begins_where_training_ended(
    make_config: MakeConfig, optimizer: str
) -> None:
    config = make_config(optimizer=optimizer, scheduler="constant")
    state = loop.prepare(config, "cpu")
    loop.train_epoch(state)
    where_training_stood = flat(state.model)
    prepare_to_evaluate(state)
    average = flat(state.model)
    state.optimizer.train()  # type: ignore[attr-defined]
    assert not torch.allclose(average, where_training_stood, atol=1e-5)
    assert torch.allclose(flat(state.model), where_training_stood, atol=1e-5)


def test_schedule_free_sgd_evaluates_at_the_mean_of_its_base_iterates() -> None:
    # Without warm-up the average is uniform over the base iterates z. Source: arXiv:2405.15682.
    from bakeoff.training.build import build_optimizer

    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    params = {"learning_rate": 0.1, "momentum": 0.8}
    optimizer = build_optimizer("schedule_free_sgd", model, params, torch.device("cpu"))
    iterates = []
    for _ in range(5):
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        iterates.append(optimizer.state[model.weight]["z"].clone())
    optimizer.eval()  # type: ignore[attr-defined]
    assert torch.allclose(model.weight, torch.stack(iterates).mean(0), atol=1e-6)


@AVERAGING
def test_best_weights_are_those_that_were_evaluated(
    make_config: MakeConfig, optimizer: str
) -> None:
    config = make_config(
        optimizer=optimizer, scheduler="constant", model="cnn", model_params={"width": 8}
    )
    state = trained(config)
    recorded = state.history[-1].metrics
    assert state.best_weights is not None
    state.model.load_state_dict(state.best_weights)
    assert measure(state, state.splits.validation).metrics == recorded


def test_statistics_are_those_of_the_average_on_training_batches(make_config: MakeConfig) -> None:
    config = make_config(
        optimizer="schedule_free_adamw",
        scheduler="constant",
        model="cnn",
        model_params={"width": 8, "dropout": 0.5},
    )
    state = trained(config)
    [first, *_] = find_batch_norms(state.model)
    convolution = state.model[0]  # type: ignore[index]
    order = epoch_order(len(state.splits.train), 32, config.seed, 1)
    with torch.no_grad():
        means = [
            convolution(inputs).mean((0, 2, 3))
            for inputs, _ in state.splits.train.batches(32, order)
        ]
    assert len(means) == 5 <= MAX_STATISTICS_BATCHES
    assert torch.allclose(first.running_mean, torch.stack(means).mean(0), atol=1e-5)


def test_measuring_statistics_draws_no_random_number(make_config: MakeConfig) -> None:
    config = make_config(
        optimizer="schedule_free_adamw",
        scheduler="constant",
        model="cnn",
        model_params={"width": 8, "dropout": 0.5},
    )
    state = loop.prepare(config, "cpu")
    loop.train_epoch(state)
    before = torch.get_rng_state()
    prepare_to_evaluate(state)
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_statistics_restores_the_momentum_and_mode_of_a_norm() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, momentum=0.3)).eval()
    norms = find_batch_norms(model)
    with measuring_statistics(norms):
        model(torch.randn(9, 3))
    assert (norms[0].momentum, norms[0].training) == (0.3, False)
    assert norms[0].num_batches_tracked == 1


def test_norm_without_statistics_is_ignored() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.LayerNorm(3))
    assert find_batch_norms(model) == []


def test_optimizer_that_does_not_average_is_not_changed(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(model="cnn", model_params={"width": 8}), "cpu")
    loop.train_epoch(state)
    weights = {name: one.clone() for name, one in state.model.state_dict().items()}
    prepare_to_evaluate(state)
    assert all(torch.equal(weights[name], one) for name, one in state.model.state_dict().items())


@AVERAGING
def test_averaging_optimizer_learns(make_config: MakeConfig, optimizer: str) -> None:
    config = make_config(optimizer=optimizer, scheduler="constant", train_samples=None, epochs=4)
    rate = 1.0 if optimizer == "schedule_free_sgd" else 0.02
    state = trained(replace(config, optimizer_params={"learning_rate": rate}), epochs=4)
    assert state.history[-1].metrics["accuracy"] > 0.8
