import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from bakeoff.analysis.estimates import estimate_difference, estimate_mean
from bakeoff.analysis.sample_error import (
    TestSamples,
    group_ratios,
    pseudo_values,
    with_sample_error,
)


def samples_of(correct, groups):
    """Accuracy of units [U, n], and without each group of samples."""
    size = correct.shape[1]
    kept = [np.arange(size) % groups != group for group in range(groups)]
    without = np.stack([correct[:, mask].mean(axis=1) for mask in kept], axis=1)
    return TestSamples(scores=correct.mean(axis=1), without=without)


def test_with_a_group_for_each_sample_the_pseudo_values_are_the_samples():
    correct = np.random.default_rng(0).integers(0, 2, size=(3, 40)).astype(float)
    assert pseudo_values(samples_of(correct, 40), 40) == pytest.approx(correct)


def test_of_runs_that_agree_on_every_sample_the_error_is_that_of_a_mean_over_samples():
    row = np.random.default_rng(1).random(50)
    samples = samples_of(np.tile(row, (4, 1)), 50)
    found = with_sample_error(estimate_mean(samples.scores), [samples], 50)
    assert found.example_error == pytest.approx(row.std(ddof=1) / math.sqrt(50))
    assert found.unit_error == 0
    assert found.degrees == pytest.approx(49)


def test_the_error_of_a_difference_is_mcnemars_for_runs_that_agree():
    # of 100 samples only a is right on 9 and only b on 4: the difference is .05
    a = np.tile(np.r_[np.ones(9), np.zeros(4), np.ones(87)], (5, 1))
    b = np.tile(np.r_[np.zeros(9), np.ones(4), np.ones(87)], (5, 1))
    difference = samples_of(a, 100).minus(samples_of(b, 100))
    found = with_sample_error(estimate_mean(difference.scores), [difference], 100)
    variance = (13 / 100 - 0.05**2) / 99
    assert found.mean == pytest.approx(0.05)
    assert found.example_error == pytest.approx(math.sqrt(variance))


def test_arms_that_fail_on_the_same_samples_have_no_error_between_them():
    correct = np.random.default_rng(2).integers(0, 2, size=(4, 60)).astype(float)
    difference = samples_of(correct, 60).minus(samples_of(correct, 60))
    assert with_sample_error(estimate_mean(np.zeros(4)), [difference], 60).example_error == 0


def test_noise_that_every_run_draws_anew_for_every_sample_is_not_counted_twice():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        samples = samples_of(rng.normal(size=(8, 200)), 200)
        estimate = with_sample_error(estimate_mean(samples.scores), [samples], 200)
        found.append((estimate.unit_error**2, estimate.error**2))
    over_units, together = np.mean(found, axis=0)
    truth = 1 / (8 * 200)
    assert over_units == pytest.approx(truth, rel=0.1)
    assert together == pytest.approx(truth, rel=0.25)  # twice the truth if it were added up


def test_a_mean_over_different_units_adds_both_arms():
    rng = np.random.default_rng(4)
    a, b = (samples_of(np.tile(rng.random(80), (3, 1)), 80) for _ in range(2))
    found = with_sample_error(estimate_difference(a.scores, b.scores), [a, b], 80)
    rows = pseudo_values(a, 80)[0] - pseudo_values(b, 80)[0]
    assert found.example_error == pytest.approx(rows.std(ddof=1) / math.sqrt(80))


@pytest.mark.parametrize(("num", "groups"), [(360, 200), (1000, 200), (401, 200), (205, 200)])
def test_unequal_groups_give_about_the_error_of_single_samples(num, groups):
    rng = np.random.default_rng(num)
    rows = rng.random((40, num))
    found = []
    for row in rows:
        samples = samples_of(np.tile(row, (2, 1)), groups)
        found.append(with_sample_error(estimate_mean(samples.scores), [samples], num).example_error)
    expected = rows.std(axis=1, ddof=1) / math.sqrt(num)
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.03)


def test_ratios_of_groups_are_those_of_their_sizes():
    assert group_ratios(3, 7).tolist() == pytest.approx([7 / 3, 7 / 2, 7 / 2])
    assert group_ratios(4, None).tolist() == [4.0] * 4
    assert group_ratios(4, 2).tolist() == [4.0] * 4


@pytest.mark.parametrize(
    "without",
    [np.empty((4, 0)), np.full((4, 9), 0.9), np.full((4, 20), math.nan), np.full((1, 20), 0.9)],
)
def test_without_enough_groups_or_units_the_error_over_samples_is_unknown(without):
    samples = TestSamples(scores=np.full(len(without), 0.9), without=without)
    found = with_sample_error(estimate_mean(samples.scores), [samples], 100)
    assert math.isnan(found.example_error)
    assert found.error == found.unit_error or math.isnan(found.unit_error)


@given(st.integers(2, 6), st.integers(10, 30), st.integers(0, 1000))
def test_the_sign_of_a_difference_does_not_change_its_error(units, groups, seed):
    rng = np.random.default_rng(seed)
    a, b = (samples_of(rng.integers(0, 2, size=(units, groups)) * 1.0, groups) for _ in range(2))
    forward, backward = a.minus(b), b.minus(a)
    errors = [
        with_sample_error(estimate_mean(one.scores), [one], groups).error
        for one in (forward, backward)
    ]
    assert errors[0] == pytest.approx(errors[1])
