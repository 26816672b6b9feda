"""What every registered schedule must do, and known values of each."""

import math

import pytest
from hypothesis import given, strategies as st

from bakeoff.components.parameters import complete_params
from bakeoff.components.schedulers import SCHEDULERS, SchedulerSpec, learning_rate_factor
from bakeoff.ranges import FloatRange, IntRange, ParamValue

EVERY = pytest.mark.parametrize("spec", SCHEDULERS, ids=lambda spec: spec.name)
WITH_OPTIONAL_WARMUP = pytest.mark.parametrize(
    "spec", [spec for spec in SCHEDULERS if not spec.has_own_warmup], ids=lambda spec: spec.name
)


def params_of(spec: SchedulerSpec, **given_params: ParamValue) -> dict[str, ParamValue]:
    return complete_params(spec.name, spec.parameters, given_params)


def values_in(one: object) -> st.SearchStrategy[float | int]:
    if isinstance(one, IntRange):
        return st.integers(one.low, one.high)
    assert isinstance(one, FloatRange)
    return st.floats(one.low, one.high)


@EVERY
@given(data=st.data(), progress=st.floats(0, 1))
def test_factor_lies_between_zero_and_one(
    spec: SchedulerSpec, data: st.DataObject, progress: float
) -> None:
    params = {name: data.draw(values_in(one.range)) for name, one in spec.parameters.items()}
    assert 0.0 <= learning_rate_factor(spec, progress, params) <= 1.0


@WITH_OPTIONAL_WARMUP
def test_without_warmup_the_first_step_has_the_full_rate(spec: SchedulerSpec) -> None:
    assert learning_rate_factor(spec, 0.0, params_of(spec)) == 1.0


@WITH_OPTIONAL_WARMUP
def test_warmup_rises_linearly_to_the_full_rate(spec: SchedulerSpec) -> None:
    params = params_of(spec, warmup_fraction=0.2)
    factors = [learning_rate_factor(spec, progress, params) for progress in (0, 0.05, 0.1, 0.2)]
    assert factors == pytest.approx([0.01, 0.2575, 0.505, 1.0])


@WITH_OPTIONAL_WARMUP
def test_after_warmup_the_schedule_runs_over_the_rest(spec: SchedulerSpec) -> None:
    late = learning_rate_factor(spec, 0.6, params_of(spec, warmup_fraction=0.2))
    assert late == pytest.approx(learning_rate_factor(spec, 0.5, params_of(spec)))


@pytest.mark.parametrize(
    ("name", "progress", "expected"),
    [
        ("constant", 1.0, 1.0),
        ("step", 0.3333, 1.0),
        ("step", 1 / 3, 0.1),
        ("step", 2 / 3, 0.01),
        ("step", 1.0, 0.01),
        ("linear", 0.25, 0.75),
        ("linear", 1.0, 0.0),
        ("multi_step", 0.4999, 1.0),
        ("multi_step", 0.5, 0.1),
        ("multi_step", 0.75, 0.01),
        ("exponential", 0.5, 0.1),
        ("exponential", 1.0, 0.01),
        ("polynomial", 0.25, 0.75),
        ("polynomial", 1.0, 0.0),
        ("cosine_restarts", 0.25, 0.5),
        ("cosine_restarts", 0.4999999, 0.0),
        ("cosine_restarts", 0.5, 1.0),
        ("cosine_restarts", 1.0, 0.0),
        ("warmup_stable_decay", 0.8, 1.0),
        ("warmup_stable_decay", 0.9, 0.5),
        ("warmup_stable_decay", 1.0, 0.0),
        ("cosine", 0.25, 0.5 + math.sqrt(0.125)),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("one_cycle", 0.0, 0.04),
        ("one_cycle", 0.15, 0.52),
        ("one_cycle", 0.3, 1.0),
        ("one_cycle", 1.0, 4e-6),
    ],
)
def test_factor_has_the_known_value(name: str, progress: float, expected: float) -> None:
    spec = SCHEDULERS[name]
    assert learning_rate_factor(spec, progress, params_of(spec)) == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize(
    ("growth", "restarts"), [(1, (1 / 3, 2 / 3)), (2, (1 / 7, 3 / 7))], ids=["even", "doubling"]
)
def test_cosine_restarts_where_its_cycles_end(growth: int, restarts: tuple[float, float]) -> None:
    spec = SCHEDULERS["cosine_restarts"]
    params = {"num_cycles": 3, "cycle_growth": growth}
    assert [spec.factor(restart, **params) for restart in restarts] == pytest.approx([1.0, 1.0])
    before = [spec.factor(restart - 1e-6, **params) for restart in restarts]
    assert before == pytest.approx([0.0, 0.0], abs=1e-6)


def test_one_cycle_takes_most_off_the_momentum_at_the_peak() -> None:
    spec = SCHEDULERS["one_cycle"]
    assert spec.momentum_drop is not None
    drops = [spec.momentum_drop(progress, **params_of(spec)) for progress in (0, 0.15, 0.3, 1)]
    assert drops == pytest.approx([0.0, 0.05, 0.1, 0.0])
