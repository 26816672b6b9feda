import math

import pytest
from hypothesis import given, strategies as st

from bakeoff.analysis.boundaries import boundary_marks
from bakeoff.analysis.widening import SIDES, TRAINING_LIMITS, widen, wider_bound
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.errors import StudyFileError
from bakeoff.ranges import FloatRange, IntRange
from bakeoff.records import ArmRecord
from bakeoff.studyfile import resolve_study
from study_examples import study_document


@pytest.mark.parametrize(
    ("name", "setting", "side", "expected"),
    [
        ("sgd.learning_rate", FloatRange(low=1e-4, high=1.0, log=True), "high", 10.0),
        ("sgd.learning_rate", FloatRange(low=1e-4, high=1.0, log=True), "low", 1e-5),
        ("sgd.momentum", FloatRange(low=0.0, high=0.99, log_from_one=True), "high", 0.999),
        ("sgd.momentum", FloatRange(low=0.9, high=0.99, log_from_one=True), "low", 0.0),
        ("sgd.momentum", FloatRange(low=0.95, high=0.99, log_from_one=True), "low", 0.5),
        # half of the length would pass 1, which no momentum has
        ("adam.beta1", FloatRange(low=0.8, high=0.99), "high", 0.999),
        ("adam.beta1", FloatRange(low=0.8, high=0.99), "low", 0.705),
        ("model.dropout", FloatRange(low=0.0, high=0.5), "high", 0.75),
        ("model.dropout", FloatRange(low=0.0, high=0.5), "low", None),
        ("model.dropout", FloatRange(low=0.1, high=0.5), "low", 0.0),
        ("model.depth", IntRange(low=1, high=3), "high", 4),
        ("model.depth", IntRange(low=1, high=3), "low", None),
        ("model.width", IntRange(low=16, high=512, log=True), "high", 1024),
        ("model.width", IntRange(low=16, high=512, log=True), "low", 8),
        ("training.batch_size", IntRange(low=32, high=512, step=32), "high", 736),
        ("training.batch_size", IntRange(low=2, high=8, log=True), "low", 1),
        ("training.label_smoothing", FloatRange(low=0.0, high=0.9), "high", 0.99),
        ("training.focal_gamma", FloatRange(low=0.0, high=8.0), "high", 10.0),
        ("training.focal_gamma", FloatRange(low=0.0, high=10.0), "high", None),
        ("step.gamma", FloatRange(low=0.05, high=0.5, log=True), "high", 1.0),
        ("step.gamma", FloatRange(low=0.05, high=1.0, log=True), "high", None),
        # of another program: nothing is known but the sign
        ("lr", FloatRange(low=1e-5, high=1e-1, log=True), "high", 1.0),
        ("temperature", FloatRange(low=-1.0, high=1.0), "low", -2.0),
        ("alpha_x", FloatRange(low=0.0, high=2.0), "low", None),
        ("alpha_x", FloatRange(low=0.5, high=2.5), "low", 0.05),
        ("n_layers", IntRange(low=1, high=3), "low", None),
        ("offset", IntRange(low=0, high=4), "low", None),
        ("offset", IntRange(low=-4, high=4), "low", -8),
        ("rate", FloatRange(low=1e-300, high=1e308, log=True), "high", None),
    ],
)
def test_a_range_grows_by_the_rule_and_ends_at_the_last_value(name, setting, side, expected):
    found = wider_bound(name, setting, side)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-9))


def test_a_wider_range_keeps_the_other_bound_the_scale_and_the_step():
    momentum = FloatRange(low=0.0, high=0.99, log_from_one=True, natural_low=True)
    assert widen(momentum, "high", 0.999) == FloatRange(
        low=0.0, high=0.999, log_from_one=True, natural_low=True
    )
    assert widen(IntRange(low=32, high=64, step=32), "high", 96.0) == IntRange(
        low=32, high=96, step=32
    )


def test_a_mark_proposes_the_wider_bound():
    arm = ArmRecord(
        name="sgd", space={"sgd.learning_rate": FloatRange(low=1e-4, high=1.0, log=True)}
    )
    (mark,) = boundary_marks(arm, {"sgd.learning_rate": 0.99}, ())
    assert (mark.bound, mark.wider_bound, mark.raises_flag) == (1.0, 10.0, True)


def test_a_value_at_the_last_that_the_parameter_can_have_is_not_marked():
    """The study file gave a range that begins at 0; there is nothing below."""
    arm = ArmRecord(name="sgd", space={"training.label_smoothing": FloatRange(low=0.0, high=0.3)})
    assert boundary_marks(arm, {"training.label_smoothing": 0.0}, ()) == ()


def searched_ranges():
    for registry, section in ((OPTIMIZERS, "optimizers"), (SCHEDULERS, "schedulers")):
        for spec in registry:
            if section == "optimizers" and spec.package != "torch":
                continue
            for name, one in spec.parameters.items():
                if isinstance(one.range, FloatRange | IntRange):
                    yield pytest.param(
                        section, spec.name, name, one.range, id=f"{spec.name}.{name}"
                    )


@pytest.mark.parametrize(("section", "owner", "name", "setting"), list(searched_ranges()))
def test_every_range_of_the_library_can_be_widened_five_times_and_stays_valid(
    section, owner, name, setting
):
    for side in SIDES:
        for _ in range(5):
            bound = wider_bound(f"{owner}.{name}", setting, side)
            if bound is None:
                break
            wider = widen(setting, side, bound)
            assert wider.low <= setting.low
            assert wider.high >= setting.high
            setting = wider
    table = {"low": setting.low, "high": setting.high}
    table |= {"log": True} if setting.log else {}
    table |= {"log_from_one": True} if isinstance(setting, FloatRange) and setting.log_from_one else {}  # fmt: skip
    try:
        config = resolve_study(
            study_document(search={section: [owner]}, space={owner: {name: table}})
        )
    except StudyFileError as error:
        # other reasons, such as a schedule that needs epochs, are no matter of the range
        assert f"space.{owner}.{name}" not in str(error)
        return
    assert config.space[f"{owner}.{name}"].low == setting.low


@pytest.mark.parametrize("name", TRAINING_LIMITS)
@given(ends=st.tuples(st.integers(1, 9), st.integers(1, 9)), log=st.booleans())
def test_a_widened_range_of_the_training_section_is_one_that_study_files_accept(name, ends, log):
    low, high = sorted(ends)
    is_count = name in {"batch_size", "accumulation_steps"}
    share = 1.0 if is_count else 10.0
    setting = (
        IntRange(low=low, high=high, log=log)
        if is_count
        else FloatRange(low=low / share, high=high / share, log=log)
    )
    for side in SIDES * 3:
        bound = wider_bound(f"training.{name}", setting, side)
        if bound is not None:
            setting = widen(setting, side, bound)
    table = {"low": setting.low, "high": setting.high, "log": log}
    config = resolve_study(study_document(training={name: table}))
    assert config.space[f"training.{name}"].high == setting.high
    assert math.isfinite(setting.high)
