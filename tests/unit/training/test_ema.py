"""The moving average of weights follows its definition and is what is evaluated and kept."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bakeoff.errors import UsageError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.averaging import WeightAverage
from bakeoff.training.evaluation import measure
from bakeoff.training.own_state import copy_state

MakeConfig = Callable[..., TrialConfig]


def reference_average(weights: list[torch.Tensor], decay: float) -> torch.Tensor:
    """The average by its definition, in float64."""
    shares = [decay ** (len(weights) - number) for number in range(1, len(weights) + 1)]
    total = sum(share * one.double() for share, one in zip(shares, weights, strict=True))
    return total / sum(shares)  # type: ignore[no-any-return]


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([weights.detach().flatten() for weights in model.parameters()])


def moved(model: nn.Module, average: WeightAverage, steps: int) -> list[torch.Tensor]:
    """Weights after each of some random steps."""
    path = []
    for _ in range(steps):
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn_like(weights))
        average.update()
        path.append(flat(model).clone())
    return path


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999, 0.999999])
@pytest.mark.parametrize("steps", [1, 2, 100])
def test_average_follows_its_definition(decay: float, steps: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    average = WeightAverage(model, decay)
    path = moved(model, average, steps)
    average.swap_in()
    assert torch.allclose(flat(model).double(), reference_average(path, decay), atol=1e-5)


def test_exchanging_twice_gives_the_same_bits_back() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, 0.9)
    trained = moved(model, average, 3)[-1]
    average.swap_in()
    average.swap_in()
    assert not torch.equal(flat(model), trained)
    average.swap_out()
    average.swap_out()
    assert torch.equal(flat(model), trained)


def test_without_an_update_the_weights_do_not_change() -> None:
    model = nn.Linear(3, 2)
    before = flat(model).clone()
    average = WeightAverage(model, 0.9)
    average.swap_in()
    assert torch.equal(flat(model), before)


def test_statistics_of_norms_are_averaged_and_counts_are_not() -> None:
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.5)
    seen = []
    for _ in range(3):
        model(torch.randn(8, 2) + 3)
        average.update()
        seen.append(model.running_mean.clone())
    average.swap_in()
    assert torch.allclose(model.running_mean.double(), reference_average(seen, 0.5), atol=1e-6)
    assert int(model.num_batches_tracked) == 3


def test_infinite_values_of_a_buffer_are_kept_and_its_others_averaged() -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf, 1.0]))
    average = WeightAverage(model, 0.5)
    average.update()
    model.mask.copy_(torch.tensor([0.0, -torch.inf, torch.inf]))
    average.update()
    model.mask.copy_(torch.tensor([3.0, -torch.inf, 4.0]))
    average.update()
    average.swap_in()
    expected = torch.tensor([12 / 7, -torch.inf, 4.0])  # weights 4, 2, 1 of the last three values
    assert torch.allclose(model.mask, expected)
    average.swap_out()
    assert torch.equal(model.mask, torch.tensor([3.0, -torch.inf, 4.0]))


def test_training_does_not_see_the_average(make_config: MakeConfig) -> None:
    plain, averaged = (
        loop.prepare(make_config(ema_decay=decay, model_params={"width": 8}), "cpu")
        for decay in (0.0, 0.9)
    )
    losses = [[result.train_loss for result in loop.train(state)] for state in (plain, averaged)]
    assert losses[0] == losses[1]
    assert not torch.equal(flat(plain.model), flat(averaged.model))


def test_average_is_evaluated_kept_as_best_and_exported(make_config: MakeConfig) -> None:
    config = make_config(ema_decay=0.9, model="cnn", model_params={"width": 8}, epochs=2)
    state = loop.prepare(config, "cpu")
    path = []
    assert state.average is not None
    update = state.average.update
    state.average.update = lambda: (  # type: ignore[method-assign]
        path.append(flat(state.model).clone()), update()
    )[1]  # fmt: skip
    for result in loop.train(state):
        assert torch.allclose(flat(state.model).double(), reference_average(path, 0.9), atol=1e-6)
        given = state.evaluated_weights()
        assert measure(state, state.splits.validation).metrics == result.metrics
    assert state.best_weights is not None
    best = max(state.history, key=lambda result: result.metrics["accuracy"])
    assert (best is state.history[-1]) == all(
        torch.equal(given[name], one) for name, one in state.best_weights.items()
    )
    state.model.load_state_dict(state.best_weights)
    assert measure(state, state.splits.validation).metrics == best.metrics


def test_exported_weights_do_not_change_with_further_training(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(ema_decay=0.9), "cpu")
    run = loop.train(state)
    next(run)
    given = state.evaluated_weights()
    before = {name: one.clone() for name, one in given.items()}
    next(run)
    assert all(torch.equal(given[name], one) for name, one in before.items())
    assert any(not torch.equal(given[name], one) for name, one in copy_state(state.model).items())


def test_optimizer_that_averages_itself_is_refused(make_config: MakeConfig) -> None:
    config = make_config(ema_decay=0.9, optimizer="schedule_free_adamw", scheduler="constant")
    with pytest.raises(UsageError, match=r"training\.ema_decay: optimizer 'schedule_free_adamw'"):
        loop.prepare(config, "cpu")
