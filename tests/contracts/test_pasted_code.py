"""The PyTorch code of a report builds the optimizer and the schedule that trained."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from bakeoff.components.optimizers import OPTIMIZERS, find_optimizer
from bakeoff.components.parameters import complete_params
from bakeoff.components.schedulers import SCHEDULERS, learning_rate_factor
from bakeoff.ranges import Params
from bakeoff.report.pytorch_code import pytorch_code
from bakeoff.training.build import build_optimizer
from bakeoff.training.schedule import Schedule
from record_examples import example_record

TOTAL_STEPS = 40
UNSHOWN = {"params", "fused", "foreach", "capturable", "differentiable"}
"""Settings of a group that do not change the result."""


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 2))


def run_pasted(params: Params, model: nn.Module) -> dict[str, Any]:
    """The names that the code of a configuration defines."""
    names: dict[str, Any] = {
        "torch": torch, "math": math, "model": model, "total_steps": TOTAL_STEPS
    }  # fmt: skip
    code = pytorch_code(params, replace(example_record(num_arms=1), epochs=10))
    exec(code, names)  # noqa: S102 - running what users paste is the point
    return names


def settings_by_weight(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
    return {
        id(weights): {key: value for key, value in group.items() if key not in UNSHOWN}
        for group in optimizer.param_groups
        for weights in group["params"]
    }


@pytest.mark.parametrize("decay", [0.0, 0.03])
@pytest.mark.parametrize("name", [*OPTIMIZERS.names, "pytorch_optimizer:Lion", "torch.optim:AdamW"])
def test_pasted_optimizer_is_the_one_that_trained(name: str, decay: float) -> None:
    spec = find_optimizer(name)
    params = {**complete_params(name, spec.parameters, {}), "learning_rate": 0.0123}
    params["weight_decay"] = decay
    model = network()
    recorded = {f"{name}.{key}": value for key, value in params.items()}
    pasted = run_pasted({"optimizer": name, "scheduler": "constant", **recorded}, model)
    ours = build_optimizer(name, model, params, torch.device("cpu"))
    assert type(pasted["optimizer"]) is type(ours)
    assert settings_by_weight(pasted["optimizer"]) == settings_by_weight(ours)


@pytest.mark.parametrize("warmup", [0.0, 0.2])
@pytest.mark.parametrize("name", [spec.name for spec in SCHEDULERS if not spec.torch_code])
def test_pasted_schedule_is_the_one_that_trained(name: str, warmup: float) -> None:
    spec = SCHEDULERS[name]
    params = complete_params(name, spec.parameters, {"warmup_fraction": warmup})
    recorded = {f"{name}.{key}": value for key, value in params.items()}
    pasted = run_pasted(
        {"optimizer": "sgd", "sgd.learning_rate": 0.5, "scheduler": name, **recorded}, network()
    )
    factor = pasted.get("factor", lambda _: 1.0)  # a constant rate needs no scheduler
    steps = range(TOTAL_STEPS)
    expected = [learning_rate_factor(spec, step / TOTAL_STEPS, params) for step in steps]
    assert [factor(step) for step in steps] == pytest.approx(expected)
    assert pasted["optimizer"].param_groups[0]["lr"] == pytest.approx(0.5 * expected[0])


def test_pasted_schedule_of_the_users_is_the_one_that_trained() -> None:
    name = "bakeoff.components.schedulers:polynomial_factor"
    params: Params = {
        "optimizer": "sgd", "sgd.learning_rate": 0.5, "scheduler": name, f"{name}.power": 2.0
    }  # fmt: skip
    pasted = run_pasted(params, network())
    ours = Schedule(
        build_optimizer("sgd", network(), {"learning_rate": 0.5}, torch.device("cpu")),
        name, {"power": 2.0}, total_steps=TOTAL_STEPS, epochs=1, direction="maximize",
    )  # fmt: skip
    for _ in range(TOTAL_STEPS):
        assert pasted["scheduler"].get_last_lr()[0] == pytest.approx(ours.learning_rate)
        pasted["optimizer"].step()
        pasted["scheduler"].step()
        ours.advance()
    assert ours.learning_rate == 0.0


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "warmup"), [("muon", "one_cycle", 0.3), ("sgd", "plateau", 0.2)]
)
def test_a_schedule_that_torch_does_not_have_comes_from_this_package(
    optimizer: str, scheduler: str, warmup: float
) -> None:
    params: Params = {
        "optimizer": optimizer, "scheduler": scheduler, f"{scheduler}.warmup_fraction": warmup
    }  # fmt: skip
    names = run_pasted(params, network())
    schedule = names["scheduler"]
    assert isinstance(schedule, Schedule)
    schedule.advance()
    expected = learning_rate_factor(
        SCHEDULERS[scheduler],
        1 / TOTAL_STEPS,
        complete_params(
            scheduler, SCHEDULERS[scheduler].parameters, {"warmup_fraction": warmup}
        ),
    )  # fmt: skip
    base = float(find_optimizer(optimizer).parameters["learning_rate"].default)
    assert schedule.learning_rate == pytest.approx(base * expected)
