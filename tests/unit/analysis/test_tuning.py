import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from opda.nonparametric import EmpiricalDistribution
from scipy import stats

from bakeoff.analysis.bands import median_best_band
from bakeoff.analysis.tuning import (
    expected_best_by_cost,
    expected_best_interval,
    expected_best_of_k,
    expected_cost_of_success,
    first_reaching,
    median_best_interval,
    median_best_of_k,
    median_time,
    probability_best,
    probability_best_interval,
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


def test_probability_best_of_one_over_tasks_is_that_of_rliables_own_test():
    # runs by tasks; Agarwal et al. 2021, tests of rliable
    x, y = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]), np.array([[1, 1], [2, 2], [3, 3]])
    by_task = [probability_best_of_k(x[:, task], y[:, task], 1) for task in (0, 1)]
    assert np.mean(by_task) == pytest.approx(1 / 3)


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


@given(st.lists(small_scores, min_size=1, max_size=4), st.integers(1, 3))
def test_probability_best_shares_ties_among_all_choices_of_subsets(samples, k):
    samples = [values[:4] for values in samples]
    best = [brute_force_best(values, min(k, 3)) for values in samples]
    expected = np.zeros(len(samples))
    for drawn in itertools.product(*best):
        on_top = np.array(drawn) == max(drawn)
        expected += on_top / np.count_nonzero(on_top)
    found = probability_best([np.array(values) for values in samples], k)
    assert found == pytest.approx(expected / math.prod(map(len, best)))


def test_probability_best_of_three_power_laws():
    uniform = (np.arange(3_000) + 0.5) / 3_000
    samples = [uniform, uniform ** (1 / 2), uniform ** (1 / 3)]
    assert probability_best(samples, 4) == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=1e-3)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.3), (2, 0.7), (3, 0.9), (100, 0.9)])
def test_median_best_of_k_is_a_quantile(k, expected):
    assert median_best_of_k(np.array([0.1, 0.3, 0.7, 0.9]), k) == expected


@pytest.mark.parametrize("k", [2, 3, 7, 20])
def test_median_best_of_k_agrees_with_opda(k):
    values = np.random.default_rng(k).uniform(size=37)
    expected = EmpiricalDistribution(values).quantile_tuning_curve(k)
    assert median_best_of_k(values, k) == expected


@pytest.mark.parametrize(("k", "is_bounded"), [(1, True), (9, True), (10, False)])
def test_median_best_interval_is_bounded_to_about_a_fifth(k, is_bounded):
    low, high = median_best_interval(np.arange(50.0), k)
    assert low < median_best_of_k(np.arange(50.0), k) < high
    assert math.isfinite(high) is is_bounded


@pytest.mark.parametrize("num", [5, 20, 200])
def test_median_best_band_holds_the_curve_and_the_bounds(num):
    values = np.random.default_rng(num).uniform(size=num)
    ks = np.arange(1, num + 1)
    low, high = median_best_band(values, ks, (0.0, 1.0))
    curve = np.array([median_best_of_k(values, k) for k in ks])
    assert np.all((low >= 0.0) & (low <= curve) & (curve <= high) & (high <= 1.0))
    assert high[-1] == 1.0


def test_median_best_band_agrees_with_opda_on_the_scores_themselves():
    values, ks = np.random.default_rng(0).uniform(size=20), np.array([1, 2, 4, 10])
    lower, _, upper = EmpiricalDistribution.confidence_bands(
        values,
        0.95,
        0.0,
        1.0,
        generator=np.random.default_rng(0),
        method="ld_equal_tailed",
        n_jobs=1,
    )
    found = median_best_band(values, ks, (0.0, 1.0))
    assert found[0] == pytest.approx(upper.quantile_tuning_curve(ks))
    assert found[1] == pytest.approx(lower.quantile_tuning_curve(ks))


def test_median_best_band_has_no_end_where_the_metric_has_none():
    low, high = median_best_band(np.arange(6.0), np.array([1, 50]), (-math.inf, math.inf))
    assert (low[0], high[1]) == (-math.inf, math.inf)


@pytest.mark.slow
def test_median_best_band_covers_the_whole_true_curve():
    ks, rng = np.arange(1, 21), np.random.default_rng(0)
    truth = 0.5 ** (1 / ks)
    bands = (median_best_band(rng.uniform(size=20), ks, (0.0, 1.0)) for _ in range(2_000))
    covered = [bool(np.all((low <= truth) & (truth <= high))) for low, high in bands]
    assert np.mean(covered) >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_bootstrap_interval_covers_the_truth_to_a_fifth(k):
    rng = np.random.default_rng(k)
    # the largest of k uniform values has the second moment k / (k + 2)
    intervals = (expected_best_interval(rng.uniform(size=50) ** 2, k) for _ in range(600))
    truth = k / (k + 2)
    assert np.mean([low <= truth <= high for low, high in intervals]) >= 0.89


def test_bootstrap_intervals_are_the_same_every_time_and_differ_between_samples():
    a, b = np.random.default_rng(0).uniform(size=(2, 30))
    assert expected_best_interval(a, 2) == expected_best_interval(a.copy(), 2)
    assert expected_best_interval(a, 2) != expected_best_interval(b, 2)
    assert probability_best_interval(a, b, 2) == probability_best_interval(a, b, 2)


def test_bootstrap_interval_of_equal_scores_has_width_zero():
    assert expected_best_interval(np.full(10, 0.5), 2) == pytest.approx((0.5, 0.5))


def test_probability_interval_of_an_arm_against_itself_holds_one_half():
    values = np.random.default_rng(0).uniform(size=40)
    low, high = probability_best_interval(values, values, 3)
    assert low < 0.5 < high


def test_expected_best_by_unit_cost_is_that_of_trials():
    values = np.random.default_rng(0).uniform(size=20)
    found = expected_best_by_cost(values, np.ones(20), np.arange(1.0, 6.0))
    expected = [expected_best_of_k(values, k) for k in range(1, 6)]
    assert found == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(
    ("budget", "expected"), [(2.9, math.nan), (3.0, 0.7), (6.0, 0.9), (6.5, math.nan)]
)
def test_expected_best_by_cost_is_known_from_the_costliest_trial_on(budget, expected):
    found = expected_best_by_cost(np.array([0.5, 0.9]), np.array([3.0, 3.0]), np.array([budget]))
    assert found == pytest.approx([expected], abs=0.01, nan_ok=True)


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_the_number_of_trials_is_refused(k):
    with pytest.raises(ValueError, match="between 1 and the number of trials, 4"):
        expected_best_of_k(A, k)


def test_an_infinite_bound_decides_the_expected_best_only_where_it_can_be_the_best():
    """The best of 3 of 4 is never the lowest of them, and the best of 1 may be."""
    unknown = np.array([-math.inf, 1.0, 2.0, 3.0])
    assert expected_best_of_k(unknown, 1) == -math.inf
    assert expected_best_of_k(unknown, 3) == pytest.approx((3 * 3.0 + 2.0) / 4)
    assert expected_best_of_k(-unknown, 1) == math.inf


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="must be numbers"):
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
