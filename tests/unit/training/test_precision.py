from collections.abc import Callable

import pytest

from bakeoff.records import Precision, TrialConfig
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
def test_fp32_is_left_for_a_clear_gain_only(
    seconds: dict[Precision, float], expected: Precision
) -> None:
    assert choose_precision(seconds) == expected


def test_choice_follows_from_what_was_measured(make_config: MakeConfig) -> None:
    choice = measure_precision(make_config(precision="auto"), "cpu")
    assert set(choice.seconds_per_step) == {"fp32", "bf16", "fp16"}
    assert min(choice.seconds_per_step.values()) > 0
    assert choice.precision == choose_precision(choice.seconds_per_step)
    assert "ms" in choice.reason
