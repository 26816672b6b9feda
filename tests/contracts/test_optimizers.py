"""What every registered optimizer must do, and one that a study names by reference."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from bakeoff.components.optimizers import OPTIMIZERS, OptimizerSpec, find_optimizer
from bakeoff.components.signatures import torch_arguments
from bakeoff.errors import UsageError
from bakeoff.registry import resolve
from bakeoff.training.build import build_optimizer
from run_examples import network, one_step, settings

CPU = torch.device("cpu")


EVERY_OPTIMIZER = pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
WITH_REFERENCES = pytest.mark.parametrize(
    "spec",
    [*OPTIMIZERS, *map(find_optimizer, ("torch.optim:AdamW", "torch.optim:ASGD"))],
    ids=lambda spec: spec.name,
)


DECLARED = [
    pytest.param(spec, name, id=f"{spec.name}.{name}")
    for spec in OPTIMIZERS
    for name in spec.parameters
]


OTHER_VALUES = {
    "learning_rate": 0.0123,
    "weight_decay": 0.0321,
    "momentum": 0.77,
    "beta1": 0.81,
    "beta2": 0.97,
    "epsilon": 1e-5,
    "alpha": 0.93,
    "rho": 0.91,
    "beta2_decay": -0.7,
    "initial_accumulator_value": 0.2,
}


STATE_SIZE = 256
"""Rows and columns of the matrix whose optimizer state is measured."""


@pytest.mark.parametrize(
    "spec", [spec for spec in OPTIMIZERS if spec.name != "muon"], ids=lambda spec: spec.name
)
def test_defaults_are_those_of_the_library(spec: OptimizerSpec) -> None:
    # torch's SGD refuses Nesterov momentum without a momentum, so it has no default for that.
    momentum = {"momentum": 0.9} if spec.name == "nesterov" else {}
    theirs = resolve(spec.build)(network().parameters(), **spec.fixed, **momentum)  # type: ignore[operator]
    ours = build_optimizer(spec.name, network(), {}, CPU)
    skipped = {"fused", "foreach", "train_mode"}
    expected = {key: value for key, value in settings(theirs).items() if key not in skipped}
    assert {key: settings(ours)[key] for key in expected} == expected


@pytest.mark.parametrize(("spec", "name"), DECLARED)
def test_declared_parameter_reaches_torch(spec: OptimizerSpec, name: str) -> None:
    value = OTHER_VALUES[name]
    built = settings(build_optimizer(spec.name, network(), {name: value}, CPU))
    expected = torch_arguments({"beta1": 0.9, "beta2": 0.999, name: value})
    if name not in {"beta1", "beta2"}:
        del expected["betas"]
    assert {key: built[key] for key in expected} == expected


@EVERY_OPTIMIZER
def test_undeclared_parameter_is_refused(spec: OptimizerSpec) -> None:
    with pytest.raises(UsageError, match=f"parameter of optimizer '{spec.name}' 'nesterov'"):
        build_optimizer(spec.name, network(), {"nesterov": True}, CPU)


@WITH_REFERENCES
def test_every_trainable_weight_is_in_exactly_one_group(spec: OptimizerSpec) -> None:
    model = network()
    model[1].weight.requires_grad_(False)
    optimizer = build_optimizer(spec.name, model, {}, CPU)
    grouped = [id(weights) for group in optimizer.param_groups for weights in group["params"]]
    trainable = [id(weights) for weights in model.parameters() if weights.requires_grad]
    assert sorted(grouped) == sorted(trainable)


@WITH_REFERENCES
def test_norms_and_biases_never_decay(spec: OptimizerSpec) -> None:
    optimizer = build_optimizer(spec.name, network(), {"weight_decay": 0.1}, CPU)
    decays = {
        weights.ndim: group["weight_decay"]
        for group in optimizer.param_groups
        for weights in group["params"]
    }
    assert decays == {4: 0.1, 2: 0.1, 1: 0.0}


@EVERY_OPTIMIZER
def test_optimizer_keeps_as_much_state_as_its_entry_says(spec: OptimizerSpec) -> None:
    model = nn.Sequential(nn.Linear(STATE_SIZE, STATE_SIZE), nn.Linear(STATE_SIZE, 2))
    momentum = {"momentum": 0.9} if "momentum" in spec.parameters else {}
    optimizer = build_optimizer(spec.name, model, momentum, CPU)
    one_step(optimizer, model, torch.randn(4, STATE_SIZE))
    state = optimizer.state[model[0].weight].values()
    measured = sum(one.nbytes for one in state if isinstance(one, torch.Tensor) and one.ndim)
    # Rows and columns instead of the matrix cost next to nothing, but not nothing.
    assert measured / STATE_SIZE**2 == pytest.approx(spec.state_bytes, abs=0.05)


@WITH_REFERENCES
def test_state_survives_its_dictionary(spec: OptimizerSpec) -> None:
    torch.manual_seed(0)
    model, inputs = network(), torch.randn(8, 1, 8, 8)
    optimizer = build_optimizer(spec.name, model, {}, CPU)
    one_step(optimizer, model, inputs)
    twin = deepcopy(model)
    restored = build_optimizer(spec.name, twin, {}, CPU)
    restored.load_state_dict(deepcopy(optimizer.state_dict()))
    for each, its_model in ((optimizer, model), (restored, twin)):
        one_step(each, its_model, inputs)
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


@EVERY_OPTIMIZER
def test_optimizer_is_fused_where_torch_offers_it(spec: OptimizerSpec) -> None:
    optimizer = build_optimizer(spec.name, network(), {}, CPU)
    used = settings(optimizer)
    assert bool(used.get("fused")) == (spec.fused or spec.on_cpu == "fused")
    if spec.on_cpu is not None:
        assert used[spec.on_cpu]


@WITH_REFERENCES
def test_loss_falls_on_a_quadratic(spec: OptimizerSpec) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    inputs = torch.randn(64, 8)
    targets = inputs @ torch.randn(8, 8)
    high = spec.parameters["learning_rate"].range.high  # type: ignore[union-attr]
    # the widest ranges reach rates that only normalised networks survive
    learning_rate = high / (50 if spec.name in ("sgd", "nesterov") else 10)
    optimizer = build_optimizer(spec.name, model, {"learning_rate": learning_rate}, CPU)
    losses = []
    for _ in range(200):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
