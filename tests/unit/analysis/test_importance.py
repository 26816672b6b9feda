"""Importances of parameters, on functions with known importances."""

from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.importance import (
    ABSENT,
    MIN_TRIALS,
    parameter_importances,
    place_of,
    top_shares,
    variance_shares,
)
from bakeoff.ranges import Choice, FloatRange, IntRange
from bakeoff.records import StudyRecord
from bakeoff.report.figures.parameters import MAX_DOTS, MAX_PANELS, compute_parameters
from record_examples import example_record


@pytest.fixture(name="record", scope="module")
def _record() -> StudyRecord:
    return example_record(num_arms=2, sampler="random", pruner="none", trials_per_arm=60)


@pytest.fixture(name="linear", scope="module")
def _linear() -> tuple[np.ndarray, np.ndarray]:
    """y = 3 x1 + x2 + 0 x3 on 200 random trials: known answer M, variance shares .9, .1, 0."""
    places = np.random.default_rng(0).random((3, 200))
    return places, 3 * places[0] + places[1]


def test_known_answer_m_variance_shares(linear: tuple[np.ndarray, np.ndarray]) -> None:
    shares = np.median(variance_shares(*linear), axis=0)
    assert shares == pytest.approx([0.9, 0.1, 0.0], abs=0.1)
    assert shares[0] > shares[1] > shares[2]


def test_known_answer_m_top_shares(linear: tuple[np.ndarray, np.ndarray]) -> None:
    """Optuna's PED-ANOVA gives .849, .146, .005."""
    shares = np.median(top_shares(*linear), axis=0)
    assert shares == pytest.approx([0.849, 0.146, 0.005], abs=0.1)
    assert shares[0] > shares[1] > shares[2]


def test_shares_sum_to_one_and_do_not_depend_on_scale(
    linear: tuple[np.ndarray, np.ndarray],
) -> None:
    places, scores = linear
    for shares_of in (variance_shares, top_shares):
        shares = shares_of(places, scores)
        assert shares.sum(axis=1) == pytest.approx(1.0)
        assert shares_of(places, 100 * scores - 7) == pytest.approx(shares, abs=0.01)


def test_equal_scores_give_every_parameter_a_share_of_zero() -> None:
    places = np.random.default_rng(0).random((2, 60))
    assert not variance_shares(places, np.ones(60)).any()


def test_a_conditional_parameter_is_judged_where_it_exists() -> None:
    rng = np.random.default_rng(0)
    choice, inner = rng.integers(2, size=200).astype(float), rng.random(200)
    places = np.array([choice, np.where(choice == 1, inner, ABSENT), rng.random(200)])
    scores = np.where(choice == 1, 2 * inner, 0.5)
    whole = np.median(variance_shares(places, scores), axis=0)
    assert whole[1] > whole[2]
    top = np.median(top_shares(places, scores), axis=0)
    assert top[1] > top[2]


@pytest.mark.parametrize(
    ("value", "searched", "place"),
    [
        (0.01, FloatRange(low=1e-4, high=1.0, log=True), 0.5),
        (0.25, FloatRange(low=0.0, high=0.5), 0.5),
        (3, IntRange(low=1, high=5), 0.5),
        ("b", Choice(choices=("a", "b", "c")), 0.5),
        ("z", Choice(choices=("a", "b", "c")), ABSENT),
        (None, FloatRange(low=0.0, high=0.5), ABSENT),
        (None, Choice(choices=("a",)), ABSENT),
        (9.0, FloatRange(low=0.0, high=0.5), 1.0),
    ],
)
def test_a_value_has_its_place_in_the_range_it_was_drawn_from(
    value: object, searched: object, place: float
) -> None:
    assert place_of(value, searched) == pytest.approx(place)


def test_the_learning_rate_matters_most_in_the_toy_study(record: StudyRecord) -> None:
    found = parameter_importances(record)
    for arm in record.arms:
        own = {one.parameter: one for one in found if one.arm == arm.name}
        best = max(own.values(), key=lambda one: one.whole[0])
        assert best.parameter == f"{arm.name}.learning_rate"
        assert all(one.whole[1] <= one.whole[0] <= one.whole[2] for one in own.values())
        assert own["one_cycle.warmup_fraction"].n_with < own["scheduler"].n_with == best.n


def test_too_few_trials_or_nothing_searched_give_no_importances(record: StudyRecord) -> None:
    few = [t for t in record.trials if t.outcome == "complete"][: MIN_TRIALS - 1]
    assert parameter_importances(replace(record, trials=tuple(few))) == ()
    fixed = tuple(replace(arm, space={"x": 1.0}) for arm in record.arms)
    assert parameter_importances(replace(record, arms=fixed)) == ()


def test_fewer_than_fifty_trials_give_no_importance_for_the_top_tenth() -> None:
    record = example_record(num_arms=2, sampler="random", pruner="none", trials_per_arm=40)
    found = parameter_importances(record)
    assert found
    assert all(one.top is None for one in found)


def test_pruned_trials_are_left_out() -> None:
    record = example_record(num_arms=2, sampler="random", trials_per_arm=60)
    pruned = sum(t.outcome == "pruned" for t in record.trials if t.arm == "sgd")
    found = [one for one in parameter_importances(record) if one.arm == "sgd"]
    assert pruned
    assert not found or found[0].n <= 60 - pruned


def test_the_figure_shows_the_most_important_parameters_first(record: StudyRecord) -> None:
    rows = compute_parameters(compare(record))
    for arm in record.arms:
        names = list(dict.fromkeys(row.parameter for row in rows if row.arm == arm.name))
        assert names[0] == f"{arm.name}.learning_rate"
        assert len(names) <= MAX_PANELS


def test_the_figure_draws_a_bounded_number_of_trials(record: StudyRecord) -> None:
    many = tuple(replace(t, number=n) for n, t in enumerate(record.trials * 10))
    rows = compute_parameters(replace(compare(record), study=replace(record, trials=many)))
    panels = {(row.arm, row.parameter) for row in rows}
    assert len(rows) <= MAX_DOTS * len(panels)
    assert max(row.trial for row in rows) > 0.9 * len(many)
