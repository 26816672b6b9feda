from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.errors import UsageError
from bakeoff.training.build import build_optimizer
from bakeoff.training.schedule import Schedule

STEPS = 60
RATE = 0.2


def sgd(momentum: float = 0.0) -> torch.optim.SGD:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE, momentum=momentum)


def schedule_of(optimizer: Any, name: str, steps: int = STEPS, **params: float) -> Schedule:
    return Schedule(optimizer, name, params, total_steps=steps, epochs=20, direction="maximize")


def settings_by_step(optimizer: Any, advance: Any, steps: int, key: str = "lr") -> list[float]:
    """What a group's setting is at each step."""
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0][key])
        optimizer.step()
        advance()
    return seen


def our_rates(name: str, steps: int = STEPS, **params: float) -> list[float]:
    optimizer = sgd()
    schedule = schedule_of(optimizer, name, steps, **params)
    return settings_by_step(optimizer, schedule.advance, steps)


def stable_then_down(optimizer: Any, steps: int) -> LRScheduler:
    stable = ConstantLR(optimizer, factor=1.0)
    down = LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps)
    return SequentialLR(optimizer, [stable, down], milestones=[STEPS - steps])


TORCH: list[tuple[str, dict[str, float], Callable[[Any], LRScheduler]]] = [
    ("constant", {}, lambda one: ConstantLR(one, factor=1.0)),
    ("linear", {}, lambda one: LinearLR(one, 1.0, 0.0, total_iters=STEPS)),
    ("step", {"num_drops": 1, "gamma": 0.1}, lambda one: StepLR(one, 30, 0.1)),
    ("step", {"num_drops": 2, "gamma": 0.5}, lambda one: StepLR(one, 20, 0.5)),
    ("step", {"num_drops": 3, "gamma": 0.1}, lambda one: StepLR(one, 15, 0.1)),
    ("step", {"num_drops": 4, "gamma": 0.5}, lambda one: StepLR(one, 12, 0.5)),
    ("multi_step", {}, lambda one: MultiStepLR(one, [30, 45], 0.1)),
    (
        "multi_step",
        {"first_milestone": 0.35, "second_milestone": 0.85, "gamma": 0.3},
        lambda one: MultiStepLR(one, [21, 51], 0.3),
    ),
    ("exponential", {"final_factor": 0.05}, lambda one: ExponentialLR(one, 0.05 ** (1 / STEPS))),
    ("polynomial", {}, lambda one: PolynomialLR(one, STEPS)),
    ("polynomial", {"power": 0.9}, lambda one: PolynomialLR(one, STEPS, 0.9)),
    ("polynomial", {"power": 2.5}, lambda one: PolynomialLR(one, STEPS, 2.5)),
    ("cosine", {}, lambda one: CosineAnnealingLR(one, STEPS)),
    ("cosine_restarts", {}, lambda one: CosineAnnealingWarmRestarts(one, 30)),
    ("cosine_restarts", {"num_cycles": 3}, lambda one: CosineAnnealingWarmRestarts(one, 20)),
    ("cosine_restarts", {"num_cycles": 5}, lambda one: CosineAnnealingWarmRestarts(one, 12)),
    (
        "cosine_restarts",
        {"num_cycles": 4, "cycle_growth": 2},
        lambda one: CosineAnnealingWarmRestarts(one, 4, 2),
    ),
    ("warmup_stable_decay", {}, lambda one: stable_then_down(one, 12)),
    ("warmup_stable_decay", {"decay_fraction": 0.5}, lambda one: stable_then_down(one, 30)),
]


@pytest.mark.parametrize(("name", "params", "build"), TORCH)
def test_rate_equals_torch_at_each_step(
    name: str, params: dict[str, float], build: Callable[[Any], LRScheduler]
) -> None:
    optimizer = sgd()
    expected = settings_by_step(optimizer, build(optimizer).step, STEPS)
    assert our_rates(name, **params) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_every_schedule_is_compared_with_torch() -> None:
    assert {name for name, _, _ in TORCH} | {"one_cycle", "plateau"} == set(SCHEDULERS.names)


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("steps", [10, 60])
@pytest.mark.parametrize("key", ["lr", "momentum"])
def test_one_cycle_equals_torch_at_each_step(warmup: float, steps: int, key: str) -> None:
    # torch ends at its last step, we after it; its peak is at pct_start * total_steps - 1.
    optimizer = sgd(momentum=0.95)
    torchs = OneCycleLR(
        optimizer,
        max_lr=RATE,
        total_steps=steps + 1,
        pct_start=(warmup * steps + 1) / (steps + 1),
    )
    expected = settings_by_step(optimizer, torchs.step, steps, key)
    optimizer = sgd(momentum=0.95)
    schedule = schedule_of(optimizer, "one_cycle", steps, warmup_fraction=warmup)
    ours = settings_by_step(optimizer, schedule.advance, steps, key)
    assert ours == pytest.approx(expected, rel=1e-9)
    assert max(ours) > min(ours)


def test_one_cycle_moves_beta1_and_leaves_beta2() -> None:
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], betas=(0.9, 0.98))
    schedule = schedule_of(optimizer, "one_cycle", 10, warmup_fraction=0.5)
    for _ in range(5):
        schedule.advance()
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.8, 0.98))


def test_one_cycle_leaves_an_optimizer_without_momentum_alone() -> None:
    optimizer = torch.optim.Adagrad([torch.zeros(1, requires_grad=True)])
    before = optimizer.param_groups[0].keys()
    schedule_of(optimizer, "one_cycle").advance()
    assert optimizer.param_groups[0].keys() == before


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sgd", "momentum"), ("nesterov", "momentum"), ("rmsprop", "momentum"), ("muon", "momentum"),
        ("adam", "betas"), ("adamw", "betas"), ("nadam", "betas"), ("radam", "betas"),
        ("adamax", "betas"), ("muon", "betas"),
    ],
)  # fmt: skip
def test_one_cycle_moves_the_momentum_of_every_optimizer_that_has_one(name: str, key: str) -> None:
    params = {"momentum": 0.9} if key == "momentum" and name != "muon" else {}
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 2))
    optimizer = build_optimizer(name, model, params, torch.device("cpu"))
    schedule = schedule_of(optimizer, "one_cycle", 10, warmup_fraction=0.5)
    before = [group[key] for group in optimizer.param_groups if key in group]
    for _ in range(5):
        schedule.advance()
    after = [group[key] for group in optimizer.param_groups if key in group]
    moved = [
        was[0] - one[0] if key == "betas" else was - one
        for was, one in zip(before, after, strict=True)
    ]
    assert moved == pytest.approx([0.1] * len(moved))
    assert moved


def test_momentum_of_zero_stays_zero() -> None:
    optimizer = sgd(momentum=0.0)
    schedule = schedule_of(optimizer, "one_cycle", 10)
    for _ in range(3):
        schedule.advance()
    assert optimizer.param_groups[0]["momentum"] == 0.0


@pytest.mark.parametrize("name", [spec.name for spec in SCHEDULERS if not spec.has_own_warmup])
def test_warmup_equals_torch_at_each_step(name: str) -> None:
    optimizer = sgd()
    expected = settings_by_step(
        optimizer, LinearLR(optimizer, start_factor=0.01, total_iters=15).step, 15
    )
    assert our_rates(name, warmup_fraction=0.25)[:15] == pytest.approx(expected)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_plateau_equals_torch_after_each_epoch(direction: str) -> None:
    objectives = [0.1, 0.3, 0.2, 0.2, 0.3, 0.4, 0.1, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1]
    optimizer = sgd()
    mode = "max" if direction == "maximize" else "min"
    torchs = ReduceLROnPlateau(optimizer, mode=mode, factor=0.5, patience=2)
    expected = []
    for objective in objectives:
        torchs.step(objective)
        expected.append(optimizer.param_groups[0]["lr"])
    optimizer = sgd()
    schedule = Schedule(
        optimizer,
        "plateau",
        {"gamma": 0.5, "patience_fraction": 0.1},
        total_steps=STEPS,
        epochs=20,
        direction=direction,  # type: ignore[arg-type]
    )
    ours = []
    for objective in objectives:
        schedule.end_epoch(objective)
        ours.append(optimizer.param_groups[0]["lr"])
    assert ours == pytest.approx(expected)
    assert len(set(ours)) > 2


def test_plateau_does_not_count_warmup_epochs() -> None:
    optimizer = sgd()
    schedule = schedule_of(optimizer, "plateau", 10, warmup_fraction=0.5, patience_fraction=0.0)
    for _ in range(4):
        schedule.advance()
        schedule.end_epoch(0.5)
    assert schedule.learning_rate == pytest.approx(RATE * (0.01 + 0.99 * 0.8))


@pytest.mark.parametrize("name", SCHEDULERS.names)
def test_schedule_never_overruns(name: str) -> None:
    optimizer = sgd(momentum=0.9)
    schedule = schedule_of(optimizer, name, 10)
    for _ in range(10):
        schedule.advance()
    at_end = schedule.learning_rate
    schedule.advance()
    assert (schedule.learning_rate, schedule.progress) == (at_end, 1.0)


@pytest.mark.parametrize("name", SCHEDULERS.names)
@pytest.mark.parametrize("resumed_at", [0, 1, 7, 13, 19, 20])
def test_rates_do_not_depend_on_where_the_run_was_resumed(name: str, resumed_at: int) -> None:
    def drive(optimizer: Any, schedule: Schedule, first: int, last: int) -> list[Any]:
        seen = []
        for step in range(first, last):
            seen.append({k: v for k, v in optimizer.param_groups[0].items() if k != "params"})
            schedule.advance()
            if step % 4 == 3:
                schedule.end_epoch(0.5)
        return seen

    whole = sgd(momentum=0.9)
    expected = drive(whole, schedule_of(whole, name, 20), 0, 20)
    before = sgd(momentum=0.9)
    stopped = schedule_of(before, name, 20)
    first = drive(before, stopped, 0, resumed_at)
    after = sgd(momentum=0.9)
    resumed = schedule_of(after, name, 20)
    after.load_state_dict(before.state_dict())
    resumed.load_state_dict(stopped.state_dict())
    assert first + drive(after, resumed, resumed_at, 20) == expected


def test_every_group_keeps_its_own_base_rate() -> None:
    groups = [
        {"params": [torch.zeros(1, requires_grad=True)], "lr": 0.1},
        {"params": [torch.zeros(1, requires_grad=True)], "lr": 0.4},
    ]
    optimizer = torch.optim.SGD(groups)
    schedule = schedule_of(optimizer, "cosine", 2)
    schedule.advance()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.2])


@pytest.mark.parametrize("fraction", [1.0, -0.1])
def test_warmup_over_the_whole_run_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match=r"cosine\.warmup_fraction"):
        schedule_of(sgd(), "cosine", warmup_fraction=fraction)
