import math
import tomllib
from dataclasses import replace

import pytest

from bakeoff.components.schedulers import SCHEDULERS, learning_rate_factor
from bakeoff.ranges import Params
from bakeoff.report.one_run_file import study_file_toml
from bakeoff.report.pytorch_code import pytorch_code
from record_examples import example_record

TOTAL_STEPS = 40
RATE = 0.05


def build(params: Params, epochs: int = 10) -> dict[str, object]:
    """Run the generated lines against a small model; their names and values."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    names = {"torch": torch, "math": math, "model": model, "total_steps": TOTAL_STEPS}
    code = pytorch_code(params, replace(example_record(num_arms=1), epochs=epochs))
    exec(code, names)  # noqa: S102 - running what users paste is the point
    return names


def sgd_with(scheduler: str, **settings: float) -> Params:
    named = {f"{scheduler}.{name}": value for name, value in settings.items()}
    return {"optimizer": "sgd", "sgd.learning_rate": RATE, "scheduler": scheduler} | named


def test_one_cycle_has_the_chosen_peak_and_warm_up() -> None:
    settings = {"warmup_fraction": 0.25, "momentum_drop": 0.1}
    names = build(sgd_with("one_cycle", **settings) | {"sgd.momentum": 0.9})
    scheduler, optimizer = names["scheduler"], names["optimizer"]
    rates, momenta = [], []
    for _ in range(TOTAL_STEPS):
        rates.append(scheduler.get_last_lr()[0])  # type: ignore[attr-defined]
        momenta.append(optimizer.param_groups[0]["momentum"])  # type: ignore[attr-defined]
        optimizer.step()  # type: ignore[attr-defined]
        scheduler.step()  # type: ignore[attr-defined]
    assert (max(rates), min(momenta)) == (pytest.approx(RATE), pytest.approx(0.8))
    assert rates.index(max(rates)) == pytest.approx(0.25 * TOTAL_STEPS, abs=1)
    spec = SCHEDULERS["one_cycle"]
    expected = [
        RATE * learning_rate_factor(spec, step / TOTAL_STEPS, settings)
        for step in range(TOTAL_STEPS)
    ]
    assert rates == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["adagrad", "adafactor", "nesterov", "radam"])
def test_one_cycle_can_be_pasted_for_an_optimizer_with_and_without_momentum(
    optimizer: str,
) -> None:
    rate = {f"{optimizer}.learning_rate": RATE}
    names = build({"optimizer": optimizer, "scheduler": "one_cycle", **rate})
    assert names["scheduler"].get_last_lr()[0] == pytest.approx(RATE / 25)  # type: ignore[attr-defined]


def test_plateau_waits_its_share_of_the_epochs() -> None:
    scheduler = build(sgd_with("plateau", gamma=0.2, patience_fraction=0.3), epochs=20)["scheduler"]
    found = (scheduler.mode, scheduler.factor, scheduler.patience)  # type: ignore[attr-defined]
    assert found == ("max", 0.2, 6)


@pytest.mark.parametrize(
    ("optimizer", "settings", "expected"),
    [
        ("sgd", {"momentum": 0.9, "weight_decay": 1e-4}, {"momentum": 0.9, "weight_decay": 1e-4}),
        ("adam", {"beta1": 0.95}, {"betas": (0.95, 0.999)}),
        (
            "adamw",
            {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-6},
            {"betas": (0.8, 0.9), "eps": 1e-6},
        ),
        ("rmsprop", {"alpha": 0.95, "momentum": 0.5}, {"alpha": 0.95, "momentum": 0.5}),
        ("nadam", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
        ("nesterov", {"momentum": 0.8}, {"momentum": 0.8, "nesterov": True}),
        ("radam", {"beta1": 0.85}, {"betas": (0.85, 0.999)}),
        ("adamax", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
        (
            "adagrad",
            {"initial_accumulator_value": 0.1, "epsilon": 1e-9},
            {"initial_accumulator_value": 0.1, "eps": 1e-9},
        ),
        ("adadelta", {"rho": 0.95}, {"rho": 0.95}),
        ("adafactor", {"beta2_decay": -0.7}, {"beta2_decay": -0.7}),
    ],
)
def test_generated_optimizer_has_the_chosen_settings(
    optimizer: str, settings: dict[str, float], expected: dict[str, object]
) -> None:
    own = {f"{optimizer}.{name}": value for name, value in settings.items()}
    names = build({"optimizer": optimizer, f"{optimizer}.learning_rate": RATE, **own})
    weights, exempt = names["optimizer"].param_groups  # type: ignore[attr-defined]
    assert {"lr": RATE, **expected}.items() <= weights.items()
    assert (exempt["weight_decay"], len(exempt["params"])) == (0.0, 3)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": "pytorch_optimizer:Lion", "scheduler": "mine"},
        {"optimizer": "sgd", "sgd.lr=1); import os; os.abort() #": 1},
        {"optimizer": "x\nimport os; os.abort()", "scheduler": "y\u2028raise"},
        {"optimizer": "sgd", "sgd.learning_rate": "__import__('os').abort()"},
        {"optimizer": "sgd", "scheduler": "cosine", "cosine.warmup_fraction": "os.abort()"},
    ],
    ids=[
        "empty",
        "unknown",
        "hostile name",
        "hostile optimizer",
        "hostile value",
        "hostile factor",
    ],
)
def test_what_cannot_be_built_is_a_comment_or_a_literal(params: Params) -> None:
    code = pytorch_code(params, example_record(num_arms=1))
    calls = [line for line in code.splitlines() if "abort" in line and not line.startswith("#")]
    assert all("'__import__" in line or '"__import__' in line for line in calls)
    compile(code, "pasted", "exec")


def test_toml_fixes_the_configuration_in_a_study_file() -> None:
    params: Params = {
        "optimizer": "adamw",
        "adamw.learning_rate": 0.001403,
        "scheduler": "one_cycle",
        "one_cycle.warmup_fraction": 0.3,
        "model.dropout": 0.25,
        "training.batch_size": 64,
    }
    assert tomllib.loads(study_file_toml(params)) == {
        "search": {"optimizers": ["adamw"], "schedulers": ["one_cycle"]},
        "space": {"adamw": {"learning_rate": 0.001403}, "one_cycle": {"warmup_fraction": 0.3}},
        "model": {"dropout": 0.25},
        "training": {"batch_size": 64},
    }


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a]b", "schön", "[x]"])
def test_toml_survives_any_name(name: str) -> None:
    text = study_file_toml({f"{name}.rate": 1.0, "optimizer": name})
    assert tomllib.loads(text) == {"search": {"optimizers": [name]}, "space": {name: {"rate": 1.0}}}
