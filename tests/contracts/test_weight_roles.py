"""Every optimizer and schedule keeps the factors of the weights, and leaves frozen weights alone."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from bakeoff.components.compatibility import allowed_schedulers
from bakeoff.components.optimizers import OPTIMIZERS, find_optimizer
from bakeoff.training.build import build_optimizer
from bakeoff.training.schedule import Schedule
from bakeoff.training.weight_roles import WeightRole

CPU = torch.device("cpu")
NUM_STEPS = 6
RATE, DECAY = 0.02, 0.03
NAMES = (*OPTIMIZERS.names, "pytorch_optimizer:Lion", "pytorch_optimizer:SOAP")
PAIRS = [(name, scheduler) for name in NAMES for scheduler in allowed_schedulers(name)]


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)), nn.Linear(4, 2))


def stepped(
    pair: tuple[str, str],
    *,
    rate: float = RATE,
    decay: float = DECAY,
    roles: Mapping[int, WeightRole] | None = None,
    without_gradient: int | None = None,
) -> list[Tensor]:
    """The weights after a few steps on gradients that do not depend on them.

    `roles` are by the number of the layer.
    """
    name, scheduler = pair
    model = network()
    by_weight = {
        id(weights): role
        for layer, role in (roles or {}).items()
        for weights in model[layer].parameters()
    }
    momentum = {"momentum": 0.8} if "momentum" in find_optimizer(name).parameters else {}
    params = {"learning_rate": rate, "weight_decay": decay, **momentum}
    optimizer = build_optimizer(name, model, params, CPU, by_weight)
    schedule = Schedule(
        optimizer, scheduler, {}, total_steps=NUM_STEPS, epochs=3, direction="maximize"
    )
    generator = torch.Generator().manual_seed(5)
    for step in range(NUM_STEPS):
        for layer, module in enumerate(model):
            for weights in module.parameters():
                gradient = torch.randn(weights.shape, generator=generator)
                weights.grad = None if layer == without_gradient else gradient
        optimizer.step()
        schedule.advance()
        if step % 2:
            schedule.end_epoch(0.5)
    return [weights.detach() for weights in model.parameters()]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_weight_with_factors_is_stepped_as_by_an_optimizer_of_its_own(
    pair: tuple[str, str],
) -> None:
    roles = {0: WeightRole(learning_rate=0.1), 2: WeightRole(4.0, weight_decay=0.5)}
    found = stepped(pair, roles=roles)
    usual = stepped(pair)
    slow, fast = stepped(pair, rate=RATE * 0.1), stepped(pair, rate=RATE * 4.0, decay=DECAY * 0.5)
    expected = [*slow[:2], *usual[2:4], *fast[4:6], *usual[6:]]
    assert all(map(torch.equal, found, expected))
    assert not torch.equal(found[0], usual[0])
    assert not torch.equal(found[4], usual[4])


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_without_a_gradient_neither_moves_nor_decays(name: str) -> None:
    found = stepped((name, "constant"), without_gradient=1)
    start = [weights.detach() for weights in network().parameters()]
    assert [torch.equal(*pair) for pair in zip(found, start, strict=True)] == [
        False, False, True, True, *[False] * 6
    ]  # fmt: skip


def test_the_rate_of_a_run_is_that_of_factor_one() -> None:
    model = network()
    roles = {id(one): WeightRole(learning_rate=0.1) for one in model.parameters()}
    optimizer = build_optimizer("adam", model, {"learning_rate": 0.5}, CPU, roles)
    schedule = Schedule(optimizer, "linear", {}, total_steps=10, epochs=1, direction="maximize")
    assert schedule.learning_rate == pytest.approx(0.5)
    assert optimizer.param_groups[0]["lr"] == 0.05
