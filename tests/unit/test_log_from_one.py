"""Ranges that are even in log(1 - value), from the study file to the report."""

import math
import statistics
import tomllib
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import optuna
import pytest
from optuna.distributions import FloatDistribution

from bakeoff.analysis.boundaries import boundary_marks
from bakeoff.analysis.importance import place_of
from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import StudyFileError
from bakeoff.ranges import FloatRange, describe_range
from bakeoff.records import ArmRecord, Comparison, TrialRecord
from bakeoff.report.figures.parameters import ParameterDot, draw_parameters
from bakeoff.report.study_tables import setting_text
from bakeoff.search.parzen import Line
from bakeoff.search.proposals import ArmSampler
from bakeoff.search.warm_start import fits
from bakeoff.space import build_arms, default_params, distributions, fingerprint, suggest
from bakeoff.studyfile import format_study, resolve_study
from bakeoff.studyfile.grid import grid_values
from record_examples import example_record
from study_examples import study_document

MOMENTUM = FloatRange(low=0.0, high=0.99, log_from_one=True)
TABLE = {"low": 0.0, "high": 0.99, "log_from_one": True}
ARM = ArmRecord(
    name="sgd", space={"optimizer": "sgd", "scheduler": "constant", "sgd.momentum": MOMENTUM}
)


def study(table=TABLE, **search):
    document = study_document(space={"sgd": {"momentum": table}}, search=search)
    return resolve_study(document)


def test_half_of_the_scale_of_0_to_0_99_lies_above_0_9():
    low, middle, high = map(MOMENTUM.scaled, (0.0, 0.9, 0.99))
    assert (low, middle - low) == (0.0, pytest.approx(high - middle))
    assert MOMENTUM.unscaled((low + high) / 2) == pytest.approx(0.9, rel=1e-14)


def test_the_bounds_are_exact_and_rounding_never_leaves_the_range():
    for high in (0.99, 0.999, 1 - 1e-15, 0.3):
        setting = FloatRange(low=0.1, high=high, log_from_one=True)
        ends = [setting.unscaled(setting.scaled(bound)) for bound in (0.1, high)]
        assert all(end in setting for end in ends)
        assert ends == pytest.approx([0.1, high], rel=1e-15)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"low": 0.0, "high": 1.0}, "high = 1.0 must be below 1 where log_from_one = true"),
        ({"low": 0, "high": 0.5, "log": True}, "must be above 0 where log = true"),
        ({"low": 0.1, "high": 0.5, "log": True}, "log = true cannot be combined with log_from_one"),
        ({"low": 0, "high": 0, "step": 1}, "does not go with whole numbers"),
        ({"choices": [0.0, 0.9]}, "give either choices, or low and high"),
    ],
)
def test_a_range_that_cannot_be_even_in_log_of_one_minus_value_is_refused(table, message):
    with pytest.raises(StudyFileError, match=message):
        study({**table, "log_from_one": True})


def test_whole_numbers_have_no_such_scale():
    table = {"low": 1, "high": 3, "log_from_one": True}
    with pytest.raises(StudyFileError, match=r"model\.depth: .*does not go with whole numbers"):
        resolve_study(study_document(model={"depth": table}))


def test_the_range_of_a_study_file_survives_storing_and_has_its_own_fingerprint():
    config = study()
    assert config.space["sgd.momentum"] == replace(MOMENTUM, natural_low=True)
    assert "log_from_one = true" in format_study(config)
    assert resolve_study(tomllib.loads(format_study(config))) == config
    plain = study({"low": 0.0, "high": 0.99})
    assert fingerprint(config) != fingerprint(plain)
    assert "log_from_one" not in format_study(plain)


def test_the_storage_holds_the_momentum_itself_within_its_bounds():
    params = {"sgd.momentum": 0.97}
    distribution = distributions(study(), params)["sgd.momentum"]
    assert distribution == FloatDistribution(0.0, 0.99)
    assert distribution.to_external_repr(distribution.to_internal_repr(0.97)) == 0.97


@pytest.mark.parametrize("name", SAMPLERS.names)
def test_every_sampler_spreads_its_draws_evenly_over_log_of_one_minus_momentum(name):
    """Of 16 draws 8 are expected above 0.9; evenly spread momenta would have 1.5 there."""
    config = study(
        sampler=name, pruner="none", startup_trials=16, trials_per_arm=16, grid_points=16
    )
    sampler = ArmSampler(ARM, config)
    drawn = [sampler.propose(index, {})[0]["sgd.momentum"] for index in range(16)]
    assert all(value in MOMENTUM for value in drawn)
    assert 4 <= sum(value > 0.9 for value in drawn) <= 12


@pytest.mark.parametrize("name", [spec.name for spec in SAMPLERS if spec.propose and spec.learns])
def test_every_model_gathers_at_the_good_momentum_near_one(name):
    """The best momentum is 0.97; the error counts in log(1 - momentum)."""
    config = study(sampler=name, pruner="none", startup_trials=8, trials_per_arm=40)
    sampler, standings, errors = ArmSampler(ARM, config), {}, []
    for number in range(40):
        params, phase = sampler.propose(number, standings)
        sampler.started(number, params, phase)
        errors.append(abs(math.log10(1 - params["sgd.momentum"]) - math.log10(0.03)))
        standings[number] = ((0.0, 0.0, errors[-1]),)
    assert statistics.median(errors[-20:]) < 0.6 * statistics.median(errors[:8])


def test_several_objectives_learn_from_the_momentum_too():
    sampler = ArmSampler(ARM, study(sampler="tpe", pruner="none", startup_trials=8))
    standings, drawn = {}, []
    for number in range(40):
        params, phase = sampler.propose(number, standings)
        sampler.started(number, params, phase)
        drawn.append(params["sgd.momentum"])
        error = abs(math.log10(1 - drawn[-1]) - math.log10(0.03))
        standings[number] = ((0.0, 0.0, error), (0.0, 0.0, 2 * error))
    assert all(value in MOMENTUM for value in drawn)
    assert statistics.median(abs(value - 0.97) for value in drawn[-20:]) < 0.02


def test_an_ordinary_trial_is_asked_for_the_scaled_value_and_gets_the_momentum():
    trial = optuna.trial.FixedTrial({"sgd.momentum": math.log(10)})
    assert suggest(trial, ARM)["sgd.momentum"] == pytest.approx(0.9)


def test_grid_points_are_evenly_spaced_in_log_of_one_minus_value():
    assert grid_values(MOMENTUM, 3) == (0.0, pytest.approx(0.9), 0.99)
    assert grid_values(MOMENTUM, 1) == (pytest.approx(0.9),)


def test_the_coordinates_of_the_parzen_estimator_follow_the_scale():
    line = Line(MOMENTUM)
    assert line.encode(0.9) == pytest.approx(0.5)
    assert line.decode(0.5) == pytest.approx(0.9)
    assert (line.decode(0.0), line.decode(1.0)) == (0.0, pytest.approx(0.99))
    assert line.decode(1.0) in MOMENTUM


def test_the_middle_of_a_range_without_a_library_default_is_the_middle_of_its_scale():
    config = resolve_study(study_document(training={"ema_decay": TABLE}))
    arm = build_arms(config)[0]
    assert default_params(arm, config.model)["training.ema_decay"] == pytest.approx(0.9)


@pytest.mark.parametrize(("value", "is_marked"), [(0.9, False), (0.98, False), (0.986, True)])
def test_nearness_to_a_bound_is_measured_on_the_scale(value, is_marked):
    """0.98 lies in the outer hundredth of the plain range, but 15 % of the scale from its end."""
    arm = ArmRecord(name="a", space={"x": replace(MOMENTUM, natural_low=True)})
    top = [TrialRecord(number=0, arm="a", params={"x": value}, outcome="complete", score=0.0)]
    assert bool(boundary_marks(arm, {"x": value}, top)) is is_marked


def test_a_value_that_has_no_place_on_the_scale_is_no_mark():
    arm = ArmRecord(name="a", space={"x": MOMENTUM})
    assert boundary_marks(arm, {"x": 1.0}, ()) == ()


def test_importance_and_tables_know_the_scale():
    assert place_of(0.9, MOMENTUM) == pytest.approx(0.5)
    assert place_of(1.0, MOMENTUM) == 1.0
    assert describe_range(MOMENTUM) == "0 to 0.99, log of 1 - value"
    assert setting_text(MOMENTUM) == "0 to 0.99, log of 1 - value"


def test_a_configuration_of_another_study_fits_by_its_momentum():
    params = {"optimizer": "sgd", "scheduler": "constant", "sgd.momentum": 0.95}
    assert fits(params, ARM)
    assert not fits({**params, "sgd.momentum": 0.995}, ARM)


def test_the_figure_labels_momenta_and_places_them_on_the_scale():
    rows = [
        ParameterDot("sgd", "sgd.momentum", number, value, 0.9, "complete", None, None, None)
        for number, value in enumerate((0.0, 0.9, 0.99))
    ]
    record = replace(example_record(), arms=(ARM,))
    figure = draw_parameters(rows, cast("Comparison", SimpleNamespace(study=record)))
    axis = figure["layout"]["xaxis"]
    assert figure["data"][0]["x"] == pytest.approx([0.0, math.log(10), math.log(100)])
    assert list(axis["ticktext"]) == ["0", "0.9", "0.99"]
    assert axis["tickvals"] == pytest.approx([0.0, math.log(10), math.log(100)])
    assert axis["type"] is None
