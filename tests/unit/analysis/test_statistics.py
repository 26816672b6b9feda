import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bakeoff.analysis.statistics import (
    holm,
    paired_differences,
    pairs_for_win_share,
    permutation_p,
    sign_flip_p,
    standard_deviation,
    standard_error_of_share,
    wilson_interval,
    win_share,
)
from bakeoff.records.significance import min_confirmation_seeds

# Student 1908, hours of sleep gained with two drugs by ten patients
SLEEP_A = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_B = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])

scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=8)
score_pairs = st.integers(1, 8).flatmap(
    lambda size: st.tuples(
        *[st.lists(st.floats(-1, 1, width=16), min_size=size, max_size=size)] * 2
    )
)


def brute_force_sign_flip_p(differences):
    sums = [
        abs(float(np.dot(signs, differences)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    return float(np.mean(np.array(sums) >= abs(float(np.sum(differences))) - 1e-9))


def test_sleep_data_give_the_exact_sign_flip_p():
    assert sign_flip_p(paired_differences(SLEEP_A, SLEEP_B)) == 0.00390625


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ((0.01, 0.04, 0.03, 0.005), (0.03, 0.06, 0.06, 0.02)),
        ((0.5,), (0.5,)),
        ((), ()),
    ],
)
def test_holm_adjusts_small_examples(p_values, adjusted):
    assert holm(np.array(p_values)) == pytest.approx(np.array(adjusted))


@pytest.mark.parametrize("num_pairs", [1, 2, 6, 15])
def test_holm_agrees_with_statsmodels(num_pairs):
    p_values = np.random.default_rng(num_pairs).uniform(0.0, 0.2, num_pairs)
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_counts_a_pair_that_could_not_be_tested():
    adjusted = holm(np.array([0.01, math.nan, 0.02]))
    assert adjusted == pytest.approx(np.array([0.03, math.nan, 0.04]), nan_ok=True)


@pytest.mark.parametrize(
    ("wins", "num", "expected"), [(0, 20, (0.0, 0.1611)), (3, 20, (0.0524, 0.3604))]
)
def test_wilson_interval_of_small_counts(wins, num, expected):
    assert wilson_interval(wins / num, num) == pytest.approx(expected, abs=1e-4)


def test_wilson_interval_agrees_with_scipy():
    expected = stats.binomtest(5, 8).proportion_ci(method="wilson")
    assert wilson_interval(5 / 8, 8) == pytest.approx((expected.low, expected.high))


def test_wilson_interval_without_trials_says_nothing():
    assert wilson_interval(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("num_arms", "seeds"), [(1, 6), (2, 6), (3, 7), (4, 8), (5, 9), (6, 10)])
def test_min_seeds_grows_with_the_number_of_pairs(num_arms, seeds):
    assert min_confirmation_seeds(num_arms) == seeds


@pytest.mark.parametrize("num_arms", range(2, 13))
def test_min_seeds_is_the_smallest_number_that_can_pass_holm(num_arms):
    level = 0.05 / math.comb(num_arms, 2)
    least = min_confirmation_seeds(num_arms)
    assert sign_flip_p(np.full(least, 0.1)) <= level < sign_flip_p(np.full(least - 1, 0.1))


@pytest.mark.parametrize(
    ("share", "errors", "expected"),
    [(0.75, 0.05, 29), (0.25, 0.05, 29), (0.75, 0.01, 58), (0.95, 0.05, 9)],
)
def test_pairs_for_a_win_share_are_noethers(share, errors, expected):
    assert pairs_for_win_share(share, errors, errors) == expected


def test_interquartile_mean_that_the_specification_names_is_rliables():
    # runs by tasks; Agarwal et al. 2021, tests of rliable. No report shows it: the oracle only
    x, y = [[1, 2], [2, 2], [1, 1], [2, 1]], [[1, 1], [2, 2], [3, 3]]
    assert [stats.trim_mean(np.ravel(runs), 0.25) for runs in (x, y)] == [1.5, 2.0]


def test_standard_error_of_share_at_94_percent_of_10000_samples():
    assert 2 * standard_error_of_share(0.94, 10_000) == pytest.approx(0.0047, abs=5e-5)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_standard_error_of_a_perfect_share_is_that_of_one_sample_off(share):
    assert standard_error_of_share(share, 100) == pytest.approx(math.sqrt(0.01 * 0.99 / 100))


def test_standard_error_without_samples_is_unknown():
    assert math.isnan(standard_error_of_share(0.5, 0))


@given(scores)
def test_sign_flip_p_counts_all_sign_patterns(values):
    differences = np.array(values) - 0.5
    assert sign_flip_p(differences) == pytest.approx(brute_force_sign_flip_p(differences))


@pytest.mark.parametrize("num_seeds", [3, 8, 11])
def test_sign_flip_p_agrees_with_scipy(num_seeds):
    rng = np.random.default_rng(num_seeds)
    a, b = rng.normal(0.5, 1.0, num_seeds), rng.normal(0.0, 1.0, num_seeds)
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(a - b) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("num_seeds", [1, 6, 20, 40])
def test_sign_flip_p_of_differences_with_one_sign_is_the_floor(num_seeds):
    assert sign_flip_p(np.full(num_seeds, 0.1)) == 2.0 / 2.0**num_seeds


def test_sign_flip_p_above_40_seeds_is_close_to_the_t_test():
    differences = np.random.default_rng(0).normal(0.3, 1.0, 60)
    expected = stats.ttest_1samp(differences, 0.0).pvalue
    assert sign_flip_p(differences) == pytest.approx(expected, abs=0.01)


def test_sign_flip_p_above_40_seeds_is_the_same_every_time():
    differences = np.random.default_rng(0).normal(0.3, 1.0, 60)
    assert sign_flip_p(differences) == sign_flip_p(differences)


@given(score_pairs)
def test_sign_flip_p_does_not_depend_on_the_order_of_arms(pair):
    a, b = map(np.array, pair)
    assert sign_flip_p(paired_differences(a, b)) == sign_flip_p(paired_differences(b, a))


def test_sign_flip_p_does_not_depend_on_the_order_of_seeds():
    order = [3, 1, 4, 0, 9, 2, 6, 5, 8, 7]
    differences = paired_differences(SLEEP_A, SLEEP_B)
    assert sign_flip_p(differences[order]) == sign_flip_p(differences)


def test_sign_flip_p_of_equal_scores_is_1():
    assert sign_flip_p(paired_differences(SLEEP_A, SLEEP_A)) == 1.0


def test_paired_differences_ignore_rounding():
    a = np.array([0.1 + 0.2, 0.9])
    assert paired_differences(a, np.array([0.3, 0.8])).tolist() == [0.0, pytest.approx(0.1)]
    assert standard_deviation(paired_differences(SLEEP_A + 0.1, SLEEP_A)) == 0.0


@pytest.mark.parametrize(
    ("a", "b"), [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([math.inf], [1.0])]
)
def test_paired_differences_refuse_scores_they_cannot_pair(a, b):
    with pytest.raises(ValueError, match="scores"):
        paired_differences(np.array(a), np.array(b))


def test_permutation_p_agrees_with_scipy():
    a, b = SLEEP_A[:5], SLEEP_B[:6]
    exact = stats.permutation_test((a, b), lambda x, y: np.mean(x) - np.mean(y), n_resamples=np.inf)
    assert permutation_p(a, b) == pytest.approx(exact.pvalue)


@pytest.mark.parametrize(("num", "floor"), [(3, 0.1), (4, 0.0286), (5, 0.0079)])
def test_permutation_p_has_the_exact_floor(num, floor):
    found = permutation_p(np.arange(num) + 10.0, np.arange(num) * 1.0)
    assert found == pytest.approx(floor, abs=5e-5)


@given(score_pairs)
def test_win_shares_of_both_arms_sum_to_one(pair):
    a, b = map(np.array, pair)
    assert win_share(a, b) + win_share(b, a) == pytest.approx(1.0)


def test_win_share_counts_ties_one_half():
    assert win_share(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 4.0])) == 0.5
