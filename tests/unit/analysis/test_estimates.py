import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind

from bakeoff.analysis.estimates import (
    Estimate,
    bounded_interval,
    estimate_difference,
    estimate_mean,
)
from bakeoff.analysis.statistics import UNBOUNDED, paired_differences
from unit.analysis.test_statistics import SLEEP_A, SLEEP_B

ACCURACY = (0.0, 1.0)
SLEEP = estimate_mean(paired_differences(SLEEP_A, SLEEP_B))

score_lists = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=12)


def test_sleep_data_give_the_published_interval():
    assert SLEEP.mean == pytest.approx(-1.58)
    assert SLEEP.interval(0.95, UNBOUNDED) == pytest.approx((-2.4599, -0.7001), abs=1e-4)


def test_sleep_data_give_the_published_equality_p():
    assert SLEEP.equality_p(2.5) == pytest.approx(0.0211, abs=1e-4)


def test_an_interval_without_bounds_agrees_with_scipy():
    expected = stats.ttest_1samp(SLEEP_A, 0.0).confidence_interval(0.983)
    found = estimate_mean(SLEEP_A).interval(0.983, UNBOUNDED)
    assert found == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("num", [1, 2, 3])
def test_there_is_no_interval_below_four_values(num):
    assert all(map(math.isnan, estimate_mean(SLEEP_A[:num]).interval(0.95, UNBOUNDED)))


def test_the_interval_of_equal_values_has_width_zero():
    found = estimate_mean(np.full(5, 0.1)).interval(0.95, ACCURACY)
    assert found == pytest.approx((0.1, 0.1), abs=1e-15)


@given(score_lists)
def test_the_interval_of_accuracies_is_within_0_and_1_and_holds_the_mean(values):
    estimate = estimate_mean(np.array(values))
    low, high = estimate.interval(0.95, ACCURACY)
    assert 0 <= low <= estimate.mean + 1e-12
    assert estimate.mean - 1e-12 <= high <= 1


@given(score_lists)
def test_the_interval_of_a_difference_of_accuracies_is_within_1_of_zero(values):
    half = len(values) // 2 * 2
    estimate = estimate_mean(
        np.array(values[: half // 2] * 2) - np.array(values[half // 2 : half] * 2)
    )
    low, high = estimate.interval(0.99, (-1.0, 1.0))
    assert -1 <= low <= high <= 1


def test_four_accuracies_that_gave_minus_1_79_to_2_78_give_an_interval_within_bounds():
    values = np.array([0.99, 0.01])  # Student's interval of these two is -5.7 to 6.7
    estimate = Estimate(
        mean=float(values.mean()), sd=0.693, unit_error=0.49, unit_degrees=1, num_units=4
    )
    low, high = estimate.interval(0.95, ACCURACY)
    assert 0 < low < 0.5 < high < 1


def test_a_loss_has_no_interval_below_zero():
    low, high = estimate_mean(np.array([0.1, 0.9, 0.2, 1.4])).interval(0.95, (0.0, math.inf))
    assert 0 < low < 0.65 < high


def test_r2_has_no_interval_above_one():
    low, high = estimate_mean(np.array([0.99, 0.2, 0.95, 0.97])).interval(0.95, (-math.inf, 1.0))
    assert low < 0.7775 < high < 1


def test_a_logit_interval_of_known_size():
    # logit(0.9) = log 9; the step is 0.05 / (0.9 * 0.1)
    low, high = bounded_interval(0.9, 0.05, ACCURACY)
    odds, step = math.log(9), 0.05 / 0.09
    assert low == pytest.approx(1 / (1 + math.exp(step - odds)))
    assert high == pytest.approx(1 / (1 + math.exp(-step - odds)))


def test_far_from_its_bounds_an_interval_is_students():
    assert bounded_interval(0.5, 0.001, ACCURACY) == pytest.approx((0.499, 0.501), abs=1e-8)


def test_a_mean_on_a_bound_has_an_interval_that_ends_there():
    assert bounded_interval(1.0, 0.1, ACCURACY) == (0.9, 1.0)


def test_two_parts_of_an_error_add_up_as_squares_with_satterthwaites_degrees():
    estimate = Estimate(
        mean=0.0, sd=1.0, unit_error=3.0, unit_degrees=9, num_units=10, example_error=4.0,
        example_degrees=199,
    )  # fmt: skip
    assert estimate.error == 5.0
    assert estimate.degrees == pytest.approx(625 / (81 / 9 + 256 / 199))


def test_test_samples_never_make_an_interval_narrower():
    alone = Estimate(mean=0.0, sd=1.0, unit_error=1.0, unit_degrees=3, num_units=4)
    both = Estimate(
        mean=0.0, sd=1.0, unit_error=1.0, unit_degrees=3, num_units=4, example_error=0.01,
        example_degrees=199,
    )  # fmt: skip
    assert both.half_width(0.95) >= alone.half_width(0.95)
    assert both.equality_p(3.0) >= alone.equality_p(3.0)


def test_splits_drawn_anew_widen_an_interval_by_nadeau_and_bengios_factor():
    plain, corrected = estimate_mean(SLEEP_A), estimate_mean(SLEEP_A, overlap=0.25)
    factor = math.sqrt((1 / 10 + 0.25) / (1 / 10))
    assert corrected.half_width(0.95) == pytest.approx(factor * plain.half_width(0.95))


def test_the_interval_over_different_seeds_agrees_with_scipy():
    a, b = SLEEP_A[:5], SLEEP_B[:6]
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    found = estimate_difference(a, b).interval(0.95, UNBOUNDED)
    assert found == pytest.approx((welch.low, welch.high))


def test_the_interval_between_constants_over_different_seeds_has_width_zero():
    found = estimate_difference(np.full(4, 2.0), np.full(5, 1.0))
    assert found.interval(0.95, UNBOUNDED) == (1.0, 1.0)


def test_unpaired_equality_agrees_with_statsmodels():
    expected = ttost_ind(SLEEP_A, SLEEP_B[:7], -3.0, 3.0, usevar="unequal")[0]
    assert estimate_difference(SLEEP_A, SLEEP_B[:7]).equality_p(3.0) == pytest.approx(expected)


def test_equality_of_equal_scores_is_certain():
    assert estimate_mean(np.zeros(6)).equality_p(0.1) == 0.0


def test_equality_of_scores_a_constant_above_delta_is_refused():
    assert estimate_mean(np.ones(6)).equality_p(1.0) == 1.0


def test_unpaired_equality_of_constants_does_not_warn():
    assert estimate_difference(np.full(4, 0.9), np.full(5, 0.9)).equality_p(0.1) == 0.0


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan])
def test_equality_is_unknown_without_a_delta(delta):
    assert math.isnan(SLEEP.equality_p(delta))
