import math

import numpy as np
import pytest
from scipy import stats

from bakeoff.analysis.failures import failure_limit, failure_p, find_collapses

STEADY = np.array([0.951, 0.949, 0.952, 0.95, 0.948, 0.953, 0.947, 0.95])
ONE_COLLAPSED = np.array([0.951, 0.949, 0.952, 0.95, 0.948, 0.953, 0.947, 0.10])


@pytest.mark.parametrize(
    ("num", "limit"), [(0, 1.0), (6, 0.393), (8, 0.312), (10, 0.259), (20, 0.139)]
)
def test_failures_that_were_not_seen_may_still_happen_this_often(num, limit):
    assert failure_limit(num) == pytest.approx(limit, abs=5e-4)


def test_the_limit_of_failures_is_clopper_and_pearsons():
    interval = stats.binomtest(0, 8, alternative="less").proportion_ci(0.95, method="exact")
    assert failure_limit(8) == pytest.approx(interval.high)


def test_one_run_at_chance_among_eight_has_collapsed():
    found, other = find_collapses([ONE_COLLAPSED, STEADY], 0.005)
    assert found.tolist() == [False] * 7 + [True]
    assert not other.any()


def test_three_of_eight_runs_at_chance_have_collapsed():
    scores = np.array([0.951, 0.949, 0.952, 0.1, 0.948, 0.11, 0.947, 0.10])
    assert find_collapses([scores, STEADY], 0.005)[0].sum() == 3


def test_a_run_far_above_the_others_has_not_collapsed():
    scores = np.array([0.10, 0.11, 0.09, 0.1, 0.12, 0.11, 0.1, 0.95])
    assert not find_collapses([scores], math.nan)[0].any()


def test_a_drop_too_small_to_matter_is_no_collapse():
    scores = np.array([0.9500, 0.9501, 0.9502, 0.9500, 0.9501, 0.9502, 0.9501, 0.9400])
    assert find_collapses([scores], 0.0001)[0].any()
    assert not find_collapses([scores], 0.006)[0].any()


def test_scores_that_are_all_equal_but_one_have_collapsed_where_it_matters():
    scores = np.array([0.975] * 9 + [0.1])
    assert find_collapses([scores], 0.03)[0].sum() == 1
    assert not find_collapses([np.array([0.975] * 9 + [0.95])], 0.03)[0].any()


def test_three_runs_do_not_tell_what_is_usual():
    assert not find_collapses([np.array([0.95, 0.95, 0.1])], 0.001)[0].any()


def test_an_arm_whose_few_scores_are_close_by_chance_is_judged_by_the_spread_of_all():
    close = np.array([0.9500, 0.9500, 0.9500, 0.9500, 0.9500, 0.9450])
    wide = np.array([0.93, 0.96, 0.95, 0.97, 0.94, 0.95])
    assert find_collapses([close], math.nan)[0].any()
    assert not find_collapses([close, wide], math.nan)[0].any()


@pytest.mark.parametrize("num", [6, 8, 10, 20])
def test_normal_scores_of_two_arms_collapse_in_at_most_one_of_a_thousand_arms(num):
    rng = np.random.default_rng(num)
    found = [
        any(mask.any() for mask in find_collapses(list(rng.normal(size=(2, num))), math.nan))
        for _ in range(2_000)
    ]
    assert np.mean(found) <= 0.003


def test_shares_of_failures_are_compared_by_boschloos_test():
    expected = stats.boschloo_exact([[0, 5], [8, 3]]).pvalue
    assert failure_p(0, 8, 5, 8) == pytest.approx(expected)
    assert failure_p(0, 8, 5, 8) == pytest.approx(failure_p(5, 8, 0, 8))
    assert failure_p(0, 8, 5, 8) < 0.05 < failure_p(0, 8, 2, 8)


@pytest.mark.parametrize("counts", [(0, 8, 0, 8), (0, 0, 1, 3), (2, 4, 0, 0)])
def test_without_failures_or_runs_no_difference_is_shown(counts):
    assert failure_p(*counts) == 1.0
