from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st

from bakeoff.records import Precision, TrialConfig
from bakeoff.training import precision
from bakeoff.training.loop import train_step
from bakeoff.training.precision import choose_precision, measure_precision

MakeConfig = Callable[..., TrialConfig]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"fp32": 1.0}, "fp32"),
        ({"fp32": 1.0, "bf16": 0.91}, "fp32"),
        ({"fp32": 1.0, "bf16": 0.9}, "bf16"),
        ({"fp32": 1.0, "bf16": 0.5, "fp16": 0.46}, "bf16"),
        ({"fp32": 1.0, "bf16": 0.5, "fp16": 0.45}, "fp16"),
        ({"fp32": 1.0, "bf16": 1.5, "fp16": 0.8}, "fp16"),
    ],
)
def test_another_precision_than_fp32_needs_a_clear_gain(
    seconds: dict[Precision, float], expected: Precision
) -> None:
    assert choose_precision(seconds) == expected


def test_choice_follows_from_what_was_measured(make_config: MakeConfig) -> None:
    choice = measure_precision(make_config(precision="auto"), "cpu")
    assert set(choice.seconds_per_step) == {"fp32", "bf16", "fp16"}
    assert min(choice.seconds_per_step.values()) > 0
    assert choice.precision == choose_precision(choice.seconds_per_step)
    assert "ms" in choice.reason


@pytest.mark.parametrize("named", ["fp32", "bf16"])
def test_precision_that_is_named_is_the_only_one_timed(
    make_config: MakeConfig, named: Precision
) -> None:
    choice = measure_precision(make_config(precision=named), "cpu")
    assert set(choice.seconds_per_step) == {named}
    assert choice.precision == named
    assert choice.reason.startswith(f"{named} alone was timed")


def test_named_precision_that_does_not_work_is_told_from_those_that_do(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(state, *arguments):  # type: ignore[no-untyped-def]
        if state.config.training.precision == "bf16":
            raise RuntimeError("no kernel for this precision")
        return train_step(state, *arguments)

    monkeypatch.setattr(precision, "train_step", failing)
    choice = measure_precision(make_config(precision="bf16"), "cpu")
    assert set(choice.seconds_per_step) == {"fp32", "fp16"}


def test_the_steps_that_are_timed_are_those_of_training(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With buffers, which fp16 has none of, and with the average of the weights in one."""
    made: dict[Precision, set[bool]] = {}

    def step(state, *arguments):  # type: ignore[no-untyped-def]
        made.setdefault(state.config.training.precision, set()).add(state.flat is not None)
        return train_step(state, *arguments)

    monkeypatch.setattr(precision, "train_step", step)
    config = make_config(precision="auto", ema_decay=0.9, optimizer="adamw")
    choice = measure_precision(config, "cpu")
    assert set(choice.seconds_per_step) == {"fp32", "bf16", "fp16"}
    assert made == {"fp32": {True}, "bf16": {True}, "fp16": {False}}


@given(
    fp32=st.floats(1e-6, 1e3),
    bf16=st.none() | st.floats(1e-6, 1e3),
    fp16=st.none() | st.floats(1e-6, 1e3),
)
def test_precision_chosen_is_never_slower_than_fp32(
    fp32: float, bf16: float | None, fp16: float | None
) -> None:
    given_seconds = {"fp32": fp32, "bf16": bf16, "fp16": fp16}
    seconds: dict[Precision, float] = {
        name: value  # type: ignore[misc]
        for name, value in given_seconds.items()
        if value is not None
    }
    chosen = choose_precision(seconds)
    assert chosen == "fp32" or seconds[chosen] <= 0.9 * fp32


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        ({"fp32": [1.0], "bf16": [0.5], "fp16": [3.0]}, 5),
        ({"fp32": [1.0], "bf16": [1.1], "fp16": [1.2]}, 5),
        ({"fp32": [1.0], "bf16": [0.85, 0.95], "fp16": [3.0]}, 12),
        ({"fp32": [1.0], "bf16": [0.5], "fp16": [0.44, 0.46]}, 12),
    ],
    ids=["faster", "slower", "unclear", "unclear between the faster ones"],
)
def test_steps_are_timed_until_the_rounds_agree(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[Precision, list[float]], rounds: int
) -> None:
    """Each precision takes its times in turn; those that are too slow are timed once."""
    made: Counter[Precision] = Counter()

    def time_step(state: Precision, *_: object) -> float:
        made[state] += 1
        times = seconds[state]
        return times[made[state] % len(times)]

    monkeypatch.setattr(precision, "_time_step", time_step)
    names: dict[Precision, Any] = {name: name for name in seconds}
    found = precision._time_steps(names, [(torch.zeros(1), torch.zeros(1))])  # noqa: SLF001
    assert made["fp32"] == made["bf16"] == 2 + rounds
    assert choose_precision(found) == choose_precision(
        {name: sum(times) / len(times) for name, times in seconds.items()}
    )
