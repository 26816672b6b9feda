"""Precision and arithmetic are chosen together, because stacks train in fp32."""

import pytest

from bakeoff.engines.measurements import measure_probe
from bakeoff.engines.protocol import Probe
from bakeoff.training.precision import PrecisionChoice
from run_examples import small_run


def measured_as(monkeypatch, gains, **probe):
    """What a probe finds where bf16 takes half of the time of fp32 and stacks gain so much."""
    choice = PrecisionChoice(
        precision="bf16",
        seconds_per_step={"fp32": 0.2, "bf16": 0.1},
        reason="measured",
        checkpoint_bytes=1,
        weight_bytes=1,
    )
    monkeypatch.setattr("bakeoff.training.precision.measure_precision", lambda *_: choice)
    monkeypatch.setattr(
        "bakeoff.training.stack.check.measure_stacks", lambda *_: ([*gains], "gains")
    )
    config = small_run(precision=probe.pop("precision", "auto"))
    widths = {"stack_width": 8, "search_width": 4, "least_gain": 1.3} | probe
    return measure_probe(Probe(run="probe", config=config, **widths), "cpu", None)


@pytest.mark.parametrize(
    ("gains", "probe", "precision"),
    [
        ((4.0, 2.5), {}, "fp32"),
        ((4.0, 2.1), {}, "bf16"),  # a tenth better than twice is wanted
        ((2.5, 0.0), {"search_width": 0}, "fp32"),
        ((1.0, 1.0), {"least_gain": 0.0}, "fp32"),  # the study file names stacks
        ((0.0, 0.0), {"least_gain": 0.0}, "bf16"),
    ],
)
def test_stacks_take_the_place_of_a_precision_that_saves_less(monkeypatch, gains, probe, precision):
    found = measured_as(monkeypatch, gains, **probe)
    assert (found.precision, found.stack_gain, found.search_gain) == (precision, *gains)


def test_a_precision_that_the_study_file_names_leaves_no_stacks(monkeypatch):
    found = measured_as(monkeypatch, (4.0, 4.0), precision="bf16")
    assert (found.precision, found.stack_gain) == ("bf16", 0)
    assert found.stack_reason == "precision bf16 is for single runs"
