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
    [(0.04, "low", True), (0.08, "low", False), (0.93, "high", False), (1.0, "high", True)],
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
    ("top", "num_marks"),
    [((0.95, 0.92, 0.91, 0.2, 0.2), 1), ((0.95, 0.92, 0.2, 0.2, 0.2, 0.99), 0)],
)
def test_three_of_the_top_five_near_a_bound_mark_a_value_inside(top, num_marks):
    assert len(marks_of(FloatRange(low=0.0, high=1.0), 0.5, top)) == num_marks


@pytest.mark.parametrize(
    "parameter", [Choice(choices=(1, 2)), FloatRange(low=1.0, high=1.0), 0.5, "sgd"]
)
def test_parameter_without_two_bounds_has_no_marks(parameter):
    assert marks_of(parameter, 1.0) == ()


def test_configuration_without_the_parameter_has_no_marks():
    arm = ArmRecord(name="a", space={"x": FloatRange(low=0.0, high=1.0)})
    assert boundary_marks(arm, {}, []) == ()
