import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bakeoff.analysis.tuning import (
    expected_best_of_k,
    expected_cost_of_success,
    first_reaching,
    median_time,
    probability_best_of_k,
    selection_gap_constant,
)

A = np.array([0.3, 0.7, 0.7, 0.9])
B = np.array([0.2, 0.7, 0.8])

small_scores = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), min_size=3, max_size=6)


def brute_force_best(values, k):
    return [max(drawn) for drawn in itertools.combinations(values, k)]


@pytest.mark.parametrize(("k", "expected"), [(1, 0.65), (2, 0.80), (3, 0.85), (4, 0.90)])
def test_expected_best_of_k_of_four_scores(k, expected):
    assert expected_best_of_k(A, k) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "expected"), [(1, 7 / 12), (2, 7 / 12), (3, 0.75)])
def test_probability_best_of_k_of_small_samples_with_ties(k, expected):
    assert probability_best_of_k(A, B, k) == pytest.approx(expected)


@given(small_scores, st.integers(1, 3))
def test_expected_best_of_k_is_the_mean_over_all_subsets(values, k):
    expected = np.mean(brute_force_best(values, k))
    assert expected_best_of_k(np.array(values), k) == pytest.approx(expected)


@given(small_scores, small_scores, st.integers(1, 3))
def test_probability_best_of_k_is_the_share_of_all_pairs_of_subsets(a, b, k):
    best_a, best_b = np.array(brute_force_best(a, k)), np.array(brute_force_best(b, k))
    ahead, tied = best_a[:, None] > best_b, best_a[:, None] == best_b
    expected = np.mean(ahead + tied / 2)
    assert probability_best_of_k(np.array(a), np.array(b), k) == pytest.approx(expected)


@given(small_scores, small_scores, st.integers(1, 3))
def test_probability_best_of_k_is_antisymmetric(a, b, k):
    forward = probability_best_of_k(np.array(a), np.array(b), k)
    assert forward + probability_best_of_k(np.array(b), np.array(a), k) == pytest.approx(1.0)


def test_probability_best_of_one_is_the_mann_whitney_statistic():
    expected = stats.mannwhitneyu(A, B).statistic / (len(A) * len(B))
    assert probability_best_of_k(A, B, 1) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 5, 20, 500])
def test_expected_best_of_k_of_uniform_scores(k):
    uniform = (np.arange(20_000) + 0.5) / 20_000
    assert expected_best_of_k(uniform, k) == pytest.approx(k / (k + 1), abs=1e-4)


def test_probability_best_of_k_of_two_uniform_arms():
    uniform = (np.arange(4_000) + 0.5) / 4_000
    expected = 1 - 0.9**3 / 2
    assert probability_best_of_k(uniform, 0.9 * uniform, 3) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_probability_best_of_k_of_power_laws_does_not_depend_on_k(k):
    uniform = (np.arange(4_000) + 0.5) / 4_000
    found = probability_best_of_k(uniform ** (1 / 3), uniform, k)
    assert found == pytest.approx(3 / 4, abs=2e-3)


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_the_number_of_trials_is_refused(k):
    with pytest.raises(ValueError, match="between 1 and the number of trials, 4"):
        expected_best_of_k(A, k)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        probability_best_of_k(A, np.array([0.1, math.nan]), 1)


@pytest.mark.parametrize(
    ("num_trials", "expected"),
    [(1, 0.0), (2, 0.564), (5, 1.163), (10, 1.539), (20, 1.867), (50, 2.249), (100, 2.508)],
)
def test_selection_gap_constant_of_known_sizes(num_trials, expected):
    assert selection_gap_constant(num_trials) == pytest.approx(expected, abs=5e-4)


def test_selection_gap_constant_without_trials_is_unknown():
    assert math.isnan(selection_gap_constant(0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.1, 0.6, 0.5], 1), ([0.1, 0.2], None), ([math.nan, 0.5], 1), ([], None)],
)
def test_first_reaching_finds_the_first_epoch_at_or_above_the_target(values, expected):
    assert first_reaching(np.array(values), 0.5) == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [([1, 2, 3], 2), ([1, 2, math.inf, math.inf], 2), ([1, math.inf, math.inf], math.inf)],
)
def test_median_time_is_infinite_if_fewer_than_half_arrived(times, expected):
    assert median_time(np.array(times, dtype=float)) == expected


def test_median_time_without_runs_is_unknown():
    assert math.isnan(median_time(np.empty(0)))


def test_expected_cost_of_success_at_unit_cost_is_one_over_the_share():
    assert expected_cost_of_success(np.ones(8), np.array([1, 0, 0, 0, 1, 0, 0, 0])) == 4.0


def test_expected_cost_of_success_without_success_is_infinite():
    assert expected_cost_of_success(np.ones(3), np.zeros(3)) == math.inf
