"""The front and its hypervolume, against Optuna's own."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _is_pareto_front

from bakeoff.pareto import front_of, hypervolume, non_dominated, point_of
from bakeoff.records import MetricInfo, TrialRecord

ACCURACY = MetricInfo(name="accuracy", direction="maximize", low=0.0, high=1.0)
SECONDS = MetricInfo(name="train_seconds", direction="minimize", low=0.0, high=math.inf)


def points(num_objectives):
    value = st.integers(0, 8).map(float)
    return st.lists(st.tuples(*[value] * num_objectives), min_size=1, max_size=25)


@pytest.mark.parametrize("num_objectives", [2, 3])
@given(data=st.data())
def test_the_front_is_optunas(num_objectives, data):
    drawn = data.draw(points(num_objectives))
    expected = _is_pareto_front(-np.array(drawn), assume_unique_lexsorted=False)
    assert non_dominated(drawn) == list(np.flatnonzero(expected))


@pytest.mark.parametrize("num_objectives", [2, 3])
@given(data=st.data())
def test_the_hypervolume_is_optunas(num_objectives, data):
    drawn = data.draw(points(num_objectives))
    corner = (2.0,) * num_objectives
    inside = [point for point in drawn if all(value > 2 for value in point)]
    expected = compute_hypervolume(-np.array(inside), -np.array(corner)) if inside else 0.0
    assert hypervolume(drawn, corner) == pytest.approx(expected)


def trial(number, score, seconds, **changes):
    settings = {"arm": "sgd", "params": {}, "outcome": "complete", "score": score,
                "further_scores": {"train_seconds": seconds}}  # fmt: skip
    return TrialRecord(number=number, **{**settings, **changes})


def test_a_run_that_ended_early_is_never_on_the_front():
    both = (ACCURACY, SECONDS)
    quick = trial(1, 0.1, 0.01, outcome="diverged")
    unknown = trial(2, 0.99, math.nan)
    default = trial(3, 0.99, 0.5, phase="default")
    assert point_of(quick, both) is None
    assert point_of(unknown, both) is None
    slow, fast, worse = trial(4, 0.9, 2.0), trial(5, 0.8, 1.0), trial(6, 0.8, 1.5)
    assert front_of([quick, unknown, default, slow, fast, worse], both) == (slow, fast)
