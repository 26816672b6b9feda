import numpy as np
import pytest

from bakeoff.analysis.boundaries import boundary_marks
from bakeoff.ranges import Choice, FloatRange, IntRange
from bakeoff.records import ArmRecord, TrialRecord


def marks_of(parameter, value, top=()):
    trials = [
        TrialRecord(number=n, arm="a", params={"x": x}, outcome="complete", score=0.0)
        for n, x in enumerate(top)
    ]
    return boundary_marks(ArmRecord(name="a", space={"x": parameter}), {"x": value}, trials)


@pytest.mark.parametrize(
    ("value", "side", "raises"),
    [(0.04, "low", True), (0.08, "low", True), (0.93, "high", True), (1.0, "high", True)],
)
def test_value_in_the_outer_tenth_is_marked(value, side, raises):
    (mark,) = marks_of(FloatRange(low=0.0, high=1.0), value)
    assert (mark.side, mark.raises_flag, mark.value) == (side, raises, value)


def test_value_inside_is_not_marked():
    assert marks_of(FloatRange(low=0.0, high=1.0), 0.5) == ()


def test_distance_is_measured_in_the_logarithm_of_a_log_range():
    (mark,) = marks_of(FloatRange(low=1e-4, high=1.0, log=True), 1.2e-4)
    assert (mark.side, mark.bound, mark.raises_flag) == ("low", 1e-4, True)


def test_value_at_a_natural_bound_is_not_marked():
    assert marks_of(FloatRange(low=0.0, high=1.0, natural_low=True), 0.0) == ()


def test_whole_number_at_its_highest_value_raises_the_flag():
    (mark,) = marks_of(IntRange(low=1, high=8), 8)
    assert (mark.side, mark.bound, mark.raises_flag) == ("high", 8.0, True)


@pytest.mark.parametrize(
    ("value", "top", "raises"),
    [
        (0.96, (0.96, 0.85, 0.81, 0.2, 0.2), True),
        (0.96, (0.96, 0.85, 0.79, 0.2, 0.2), False),
        (0.92, (0.92, 0.93, 0.91, 0.2, 0.2), True),
        (0.92, (0.92, 0.93, 0.85, 0.2, 0.2), False),
        (0.96, (0.96, 0.3, 0.2, 0.2, 0.2, 0.99, 0.99), False),
        (0.96, (0.04, 0.03, 0.02, 0.01, 0.0), False),
        (0.995, (0.04, 0.03, 0.02, 0.01, 0.0), True),
    ],
)
def test_the_flag_asks_for_most_of_the_top_five_at_the_same_bound(value, top, raises):
    (mark,) = marks_of(FloatRange(low=0.0, high=1.0), value, top)
    assert mark.raises_flag is raises


def test_top_trials_at_a_bound_do_not_mark_a_value_inside():
    assert marks_of(FloatRange(low=0.0, high=1.0), 0.5, (0.99, 0.98, 0.97, 0.96, 0.95)) == ()


def test_an_irrelevant_parameter_rarely_raises_the_flag():
    """Five uniform draws, the first one chosen: about 4 % of parameters, both sides together."""
    rng = np.random.default_rng(0)
    draws = rng.random((4000, 5))
    raised = [
        any(mark.raises_flag for mark in marks_of(FloatRange(low=0.0, high=1.0), row[0], row))
        for row in draws
    ]
    assert 0.03 < np.mean(raised) < 0.05


@pytest.mark.parametrize(
    "parameter", [Choice(choices=(1, 2)), FloatRange(low=1.0, high=1.0), 0.5, "sgd"]
)
def test_parameter_without_two_bounds_has_no_marks(parameter):
    assert marks_of(parameter, 1.0) == ()


def test_value_below_a_log_range_is_not_measured():
    assert marks_of(FloatRange(low=1e-4, high=1.0, log=True), 0.0) == ()


def test_configuration_without_the_parameter_has_no_marks():
    arm = ArmRecord(name="a", space={"x": FloatRange(low=0.0, high=1.0)})
    assert boundary_marks(arm, {}, []) == ()
