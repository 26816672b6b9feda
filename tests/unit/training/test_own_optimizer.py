"""An optimizer of the user's own trains as the registered one does, or is refused in one line."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from bakeoff.errors import UsageError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.build import build_optimizer
from bakeoff.training.weight_roles import WeightRole

MakeConfig = Callable[..., TrialConfig]
CPU = torch.device("cpu")


class Plain(torch.optim.Optimizer):
    """Momentum as torch's SGD has it, with weight decay in the groups."""

    def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step."""
        for group in self.param_groups:
            for weights in group["params"]:
                gradient = weights.grad + group["weight_decay"] * weights.detach()
                state = self.state[weights]
                moved = state["moved"] * group["momentum"] + gradient if state else gradient.clone()
                state["moved"] = moved
                with torch.no_grad():
                    weights.sub_(group["lr"] * moved)


def factory(groups: Any, lr: float, momentum: float) -> torch.optim.Optimizer:
    """torch's own."""
    return torch.optim.SGD(groups, lr=lr, momentum=momentum)


class NeedsClosure(Plain):
    """A step that computes the loss again."""

    def step(self, closure: Any) -> None:  # type: ignore[override]
        """One step."""
        closure()


class Unsaved(Plain):
    """State that no checkpoint holds."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step."""
        self.state[self.param_groups[0]["params"][0]] = {"history": {1, 2}}


class NoRate(torch.optim.Optimizer):
    """Has no learning rate."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"scale": 1.0})


def own_rate(groups: Any) -> torch.optim.Optimizer:
    """Chooses the learning rate itself."""
    return torch.optim.SGD(groups, lr=0.25)


def of_model(model: nn.Module, lr: float) -> None:
    """Returns nothing."""


number = 7
PARAMS = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.01}


@pytest.mark.parametrize("name", ["Plain", "factory"])
def test_own_copy_of_sgd_trains_to_the_weights_of_the_registered_one(
    make_config: MakeConfig, name: str
) -> None:
    config = make_config(optimizer="sgd", optimizer_params=PARAMS, epochs=2)
    own = replace(config, optimizer=f"{__name__}:{name}")
    states = [loop.prepare(one, "cpu") for one in (config, own)]
    for state in states:
        assert list(loop.train(state))[-1].status == "finished"
    registered, users = (state.evaluated_weights() for state in states)
    for key, weights in registered.items():
        torch.testing.assert_close(users[key], weights, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("Plain", {"momentun": 0.5}, r"here \(groups, momentun=0.5\), found Plain\(params, lr=0.1"),
        ("factory", {"learning_rate": 0.1}, r"here \(groups, lr=0.1\), found factory\(groups, lr, mom"),
        ("of_model", {"learning_rate": 0.1}, "whose groups have a learning rate lr, found NoneType"),
        ("NoRate", {}, "whose groups have a learning rate lr, found groups with scale, weight_decay"),
        ("NeedsClosure", {}, r"expected a step without arguments, found step\(.*\(TypeError"),
        ("Unsaved", {}, r"the state .*history.* is set, which cannot be saved"),
        ("number", {}, "is int, not a class of torch.optim.Optimizer, or a function"),
    ],
)  # fmt: skip
def test_optimizer_that_cannot_train_is_refused_in_one_line(
    name: str, params: dict[str, float], message: str
) -> None:
    reference = f"{__name__}:{name}"
    with pytest.raises(UsageError, match=f"^optimizer '{reference}': .*{message}") as caught:
        build_optimizer(reference, nn.Linear(4, 2), params, CPU)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("optimizer '") == 1


def test_weight_decay_is_part_of_the_groups_and_biases_have_none() -> None:
    optimizer = build_optimizer(f"{__name__}:Plain", nn.Linear(4, 2), PARAMS, CPU)
    decays = {group["params"][0].ndim: group["weight_decay"] for group in optimizer.param_groups}
    assert decays == {2: 0.01, 1: 0.0}
    assert {group["lr"] for group in optimizer.param_groups} == {0.05}


def test_without_an_argument_lr_the_optimizer_chooses_the_rate_and_has_no_factors_of_it() -> None:
    model = nn.Linear(4, 2)
    reference = f"{__name__}:own_rate"
    assert build_optimizer(reference, model, {}, CPU).param_groups[0]["lr"] == 0.25
    roles = {id(model.weight): WeightRole(learning_rate=0.1)}
    with pytest.raises(UsageError, match="its signature has no lr; name learning_rate under"):
        build_optimizer(reference, model, {}, CPU, roles)


def test_trying_an_optimizer_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    build_optimizer(f"{__name__}:Plain", nn.Linear(4, 2), {}, CPU)
    expected = torch.get_rng_state()
    torch.set_rng_state(before)
    nn.Linear(4, 2)
    assert torch.equal(torch.get_rng_state(), expected)
