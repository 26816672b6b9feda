"""Real searches with published tuning curves: Reuters, LSTM against MLP (Tang et al. 2020)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from opda.nonparametric import EmpiricalDistribution

from bakeoff.analysis.effort import favoured_stretches
from bakeoff.analysis.tuning import (
    expected_best_of_k,
    probability_best,
    probability_best_of_k,
)


def load_scores(name):
    text = Path(__file__).with_name(f"reuters_{name}.txt").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    return np.array(" ".join(rows).split(), dtype=float)


LSTM = load_scores("lstm")
MLP = load_scores("mlp")


def test_all_published_trials_are_there():
    assert (len(LSTM), len(MLP)) == (152, 145)


@pytest.mark.parametrize(
    ("k", "lstm", "mlp"),
    [
        (1, 0.332126, 0.778714),
        (2, 0.447753, 0.785937),
        (5, 0.597007, 0.792713),
        (10, 0.706794, 0.796228),
        (20, 0.797593, 0.798669),
        (50, 0.872805, 0.800858),
    ],
)
def test_expected_best_of_k_of_real_searches(k, lstm, mlp):
    found = expected_best_of_k(LSTM, k), expected_best_of_k(MLP, k)
    assert found == pytest.approx((lstm, mlp), abs=1e-6)


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, 0.0521), (2, 0.0935), (5, 0.1974), (10, 0.3460), (20, 0.5784), (50, 0.9131)],
)
def test_probability_best_of_k_of_real_searches(k, expected):
    assert probability_best_of_k(LSTM, MLP, k) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.0844), (2, 0.1467), (5, 0.2954), (10, 0.5009)])
def test_probability_best_of_k_of_the_first_50_trials(k, expected):
    found = probability_best_of_k(LSTM[:50], MLP[:50], k)
    assert found == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("scores", "expected"), [(LSTM, 0.863338), (MLP, 0.800508)])
def test_drawing_with_replacement_gives_the_published_lower_value(scores, expected):
    assert EmpiricalDistribution(scores).v_tuning_curve(50) == pytest.approx(expected, abs=1e-6)


def test_probability_best_of_two_real_searches_is_that_of_the_pair():
    expected = probability_best_of_k(LSTM, MLP, 10)
    assert probability_best([LSTM, MLP], 10) == pytest.approx([expected, 1 - expected])


F1_BOUNDS = (0.0, 1.0)


def test_all_trials_favour_the_mlp_until_the_curves_cross():
    (found,) = favoured_stretches(LSTM, MLP, 29, F1_BOUNDS)
    assert (found.first, found.a_leads) == (1, False)
    # P(LSTM is better) crosses one half between 10 and 20
    assert 10 <= found.last < 20


def test_first_50_trials_favour_the_mlp_but_not_at_ten():
    (found,) = favoured_stretches(LSTM[:50], MLP[:50], 10, F1_BOUNDS)
    assert (found.first, found.last, found.a_leads) == (1, 9, False)


def test_stretches_of_both_directions_mirror_each_other():
    (found,) = favoured_stretches(LSTM, MLP, 29, F1_BOUNDS)
    (mirrored,) = favoured_stretches(MLP, LSTM, 29, F1_BOUNDS)
    assert replace(found, a_leads=True) == mirrored


def test_two_subsamples_of_25_say_nothing_about_large_budgets():
    stretches = favoured_stretches(LSTM[:25], MLP[:25], 5, F1_BOUNDS)
    assert max((found.last for found in stretches), default=0) <= 5
