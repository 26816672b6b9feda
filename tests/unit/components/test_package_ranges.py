"""Newer optimizers of pytorch_optimizer have ranges of their own, around the package's defaults."""

import inspect
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import nn

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_optimizers import PACKAGE_PREFIX
from bakeoff.components.package_ranges import ENTRIES, OTHERS
from bakeoff.components.parameters import ParameterSpec
from bakeoff.ranges import FloatRange
from bakeoff.training.build import build_optimizer
from run_examples import network

CPU = torch.device("cpu")


def defaults_of(name: str) -> dict[str, Any]:
    """The package's defaults, by our names."""
    arguments = inspect.signature(getattr(pytorch_optimizer, name)).parameters
    found = {key: one.default for key, one in arguments.items() if one.default is not one.empty}
    betas = found.pop("betas", ())
    found |= {f"beta{number}": value for number, value in enumerate(betas, start=1)}
    return {"learning_rate" if key == "lr" else key: value for key, value in found.items()}


@pytest.mark.parametrize("name", ENTRIES)
def test_defaults_are_those_of_the_package(name: str) -> None:
    theirs = defaults_of(name)
    for key, spec in ENTRIES[name].parameters.items():
        assert spec.default == theirs[key], key
    assert not ENTRIES[name].fixed.keys() - theirs.keys()


@pytest.mark.parametrize("name", ENTRIES)
def test_every_range_holds_the_default_unless_it_is_no_decay(name: str) -> None:
    for spec in ENTRIES[name].parameters.values():
        assert isinstance(spec.range, FloatRange)
        holds = spec.range.low <= float(spec.default) <= spec.range.high
        assert holds or (spec.default == 0.0 and spec.range.natural_low)


def value_at(spec: ParameterSpec, *, is_high: bool) -> float:
    assert isinstance(spec.range, FloatRange)
    return spec.range.high if is_high else spec.range.low


@pytest.mark.parametrize("is_high", [False, True], ids=["low", "high"])
@pytest.mark.parametrize("name", ENTRIES)
def test_both_ends_of_every_range_are_taken_by_the_package(name: str, is_high: bool) -> None:
    parameters = ENTRIES[name].parameters
    params = {key: value_at(spec, is_high=is_high) for key, spec in parameters.items()}
    torch.manual_seed(0)
    model = network()
    before = [one.detach().clone() for one in model.parameters()]
    optimizer = build_optimizer(PACKAGE_PREFIX + name, model, params, CPU)
    for weights in model.parameters():
        weights.grad = torch.randn_like(weights)
    for _ in range(2):
        optimizer.step()

    group = optimizer.param_groups[0]
    assert group["lr"] == params["learning_rate"]
    assert group["weight_decay"] == params["weight_decay"]
    if "beta1" in params:
        assert group["betas"][:2] == (params["beta1"], params["beta2"])
    for key in params.keys() & {"momentum", "d_coef", "alpha"}:
        assert group[key] == params[key]
    changed = (one.equal(old) for one, old in zip(model.parameters(), before, strict=True))
    assert not all(changed)


@pytest.mark.parametrize("name", ["Prodigy", "DAdaptAdam", "DAdaptSGD", "DAdaptLion"])
def test_no_rate_is_searched_where_the_method_finds_it(name: str) -> None:
    assert not find_optimizer(PACKAGE_PREFIX + name).parameters["learning_rate"].searched


def test_every_other_optimizer_has_the_ranges_of_the_package() -> None:
    assert find_optimizer("pytorch_optimizer:AdaBelief").parameters is OTHERS.parameters


def test_a_norm_trains_at_the_rate_that_is_scheduled_with_mars() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    optimizer = build_optimizer("pytorch_optimizer:MARS", model, {"learning_rate": 0.5}, CPU)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = model[1].weight.detach().clone()
    for weights in model.parameters():
        weights.grad = torch.ones_like(weights)
    optimizer.step()

    assert torch.equal(model[1].weight, before)
