"""The decision of a gate: worse by more than the margin, not worse, or not to be told."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bakeoff.analysis.gate import (
    MIN_SEEDS,
    default_margin,
    describe_finding,
    describe_power,
    judge,
    seeds_for,
)
from bakeoff.records import MetricInfo
from study_examples import ACCURACY

FREE = MetricInfo(name="reward", direction="maximize", low=-math.inf, high=math.inf)
RMSE = MetricInfo(name="rmse", direction="minimize", low=0.0, high=math.inf)
BEFORE = np.array([5.1, 4.8, 5.6, 5.0, 4.7, 5.3, 5.2, 4.9])
NOISE = np.array([0.11, -0.07, 0.02, -0.13, 0.09, 0.04, -0.05, -0.01])  # its mean is 0


def test_the_numbers_are_those_of_scipy():
    now = BEFORE - 0.5 + NOISE
    found = judge(now, BEFORE, FREE, 0.3)
    expected = stats.ttest_rel(now, BEFORE).confidence_interval(0.98)
    assert found.ci == pytest.approx((expected.low, expected.high))
    test = stats.permutation_test(
        (now + 0.3, BEFORE),
        lambda a, b: np.mean(a) - np.mean(b),
        permutation_type="samples",
        alternative="less",
        n_resamples=np.inf,
    )
    assert found.p_worse == pytest.approx(test.pvalue) == pytest.approx(2**-8)
    assert found.mean == pytest.approx(-0.5)
    assert found.sd == pytest.approx(np.std(NOISE, ddof=1))


@pytest.mark.parametrize(
    ("loss", "decision"),
    [
        (0.5, "worse"),  # 0.2 beyond the margin, 0.08 is the half-width
        (0.33, "cannot_tell"),
        (0.3, "cannot_tell"),
        (0.27, "cannot_tell"),
        (0.1, "not_worse"),
        (0.0, "not_worse"),
        (-1.0, "not_worse"),
    ],
)
@pytest.mark.parametrize("metric", [FREE, RMSE], ids=["higher", "lower"])
def test_the_decision_follows_from_the_loss_and_the_margin(loss, decision, metric):
    found = judge(BEFORE - metric.sign * loss + NOISE, BEFORE, metric, 0.3)
    assert found.decision == decision
    assert found.mean == pytest.approx(-loss, abs=1e-9)


def test_a_constant_loss_of_exactly_the_margin_is_on_neither_side():
    assert judge(BEFORE - 0.3, BEFORE, FREE, 0.3).decision == "cannot_tell"
    assert judge(BEFORE - 0.31, BEFORE, FREE, 0.3).decision == "worse"
    assert judge(BEFORE - 0.29, BEFORE, FREE, 0.3).decision == "not_worse"


def test_equal_scores_are_not_worse():
    found = judge(BEFORE, BEFORE, FREE, 1e-3)
    assert (found.decision, found.mean, found.ci) == ("not_worse", 0.0, (0.0, 0.0))


def test_too_few_seeds_decide_nothing_however_large_the_loss():
    few = MIN_SEEDS - 1
    assert judge(BEFORE[:few] - 100, BEFORE[:few], FREE, 0.3).decision == "cannot_tell"
    assert judge(BEFORE[: few + 1] - 100, BEFORE[: few + 1], FREE, 0.3).decision == "worse"


def test_where_a_score_collapsed_nothing_is_called_not_worse():
    before = np.array([0.90, 0.91, 0.92, 0.90, 0.93, 0.91, 0.92, 0.90, 0.91, 0.92, 0.93, 0.91])
    now = before + 0.3 * (before - before.mean())
    assert judge(now, before, ACCURACY, 0.2).decision == "not_worse"
    now[3] = 0.45
    found = judge(now, before, ACCURACY, 0.2)
    assert found.collapsed == (3,)
    assert found.decision == "cannot_tell"


def test_the_seeds_that_would_tell_grow_as_the_loss_comes_near_the_margin():
    near, far = (judge(BEFORE - loss + 8 * NOISE, BEFORE, FREE, 0.3) for loss in (0.27, 0.0))
    assert near.decision == far.decision == "cannot_tell"
    assert near.seeds_to_tell > 50 * far.seeds_to_tell > 0


def simulate(loss_in_deviations, margin, count):
    """Shares of decisions where scores of both sides vary independently by 1."""
    draw = np.random.default_rng(7)
    found = [
        judge(draw.normal(-margin - loss_in_deviations, 1, 12), draw.normal(0, 1, 12), FREE, margin)
        for _ in range(count)
    ]
    return [
        sum(one.decision == each for one in found) / count
        for each in ("worse", "not_worse", "cannot_tell")
    ]


def test_a_loss_of_the_margin_and_two_deviations_is_found_with_probability_97():
    worse, not_worse, _ = simulate(2.0, margin=0.5, count=600)
    assert worse == pytest.approx(0.97, abs=0.02)
    assert not_worse == 0


def test_a_loss_of_exactly_the_margin_is_called_either_with_probability_1_percent_each():
    worse, not_worse, _ = simulate(0.0, margin=0.5, count=1000)
    assert 0.001 <= worse <= 0.02
    assert 0.001 <= not_worse <= 0.02


def test_the_default_margin_is_two_standard_errors_of_a_mean_over_samples():
    scores = np.array([0.88, 0.92, 0.9])
    mean_over_samples = replace(ACCURACY, is_mean_over_samples=True)
    margin, source = default_margin(scores, mean_over_samples, 400)
    assert margin == pytest.approx(2 * math.sqrt(0.9 * 0.1 / 400))
    assert "400 validation samples" in source
    assert default_margin(scores, ACCURACY, 400)[0] == pytest.approx(0.02)
    assert default_margin(scores, mean_over_samples, None)[0] == pytest.approx(0.02)
    assert default_margin(np.full(3, 0.9), ACCURACY, 400)[0] == 0


def test_more_seeds_are_planned_where_scores_vary_more_but_never_more_than_40():
    scores = np.array([-1.0, 1.0] * 6)
    assert seeds_for(scores, 10.0) == 12
    assert 12 < seeds_for(scores, 1.2) < 40
    assert seeds_for(scores, 0.1) == 40
    assert seeds_for(np.zeros(12), 0.1) == 12


def test_the_power_names_the_seeds_that_unchanged_code_needs():
    scores = np.array([-1.0, 1.0] * 6)
    assert "unchanged code" not in describe_power(scores, 3.0)
    text = describe_power(scores, 1.2)
    needed = seeds_for(scores, 1.2)
    assert f"needs about {needed} seeds, or a margin of 1.5" in text


def test_the_sentence_has_both_means_the_loss_and_its_interval():
    now, before = 0.9 * np.ones(8) + NOISE / 10, 0.95 * np.ones(8)
    text = describe_finding(judge(now, before, ACCURACY, 0.01), now, before, ACCURACY)
    assert text.startswith(
        "The current code is worse than the baseline by more than 0.01: validation accuracy 0.9000"
        " instead of 0.9500 over 8 seeds, a loss of 0.0500 (98 % interval of the gain [-0.05"
    )
    assert text.endswith("p = 0.0039).")
