import math
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.budget import budget_estimates
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.draws import random_draws
from bakeoff.analysis.robustness import untrained_score
from bakeoff.analysis.statistics import wilson_interval
from bakeoff.analysis.tuning import trials_for_success
from bakeoff.analysis.wording import join
from record_examples import all_outcomes, as_error_rate, example_record, shuffled, unconfirmed

RANDOM = {"sampler": "random", "pruner": "none", "trials_per_arm": 40}


def robustness(record, arm="sgd"):
    return next(each.robustness for each in compare(record).arms if each.arm == arm)


@pytest.fixture(name="record", scope="module")
def _record():
    return example_record(**RANDOM)


@pytest.mark.parametrize(
    ("share", "trials"),
    [(0.05, 59), (7 / 512, 218), (4 / 512, 382), (0.0, math.inf), (1.0, 1)],
)
def test_trials_needed_for_one_success(share, trials):
    assert trials_for_success(share) == trials


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (147, (0.2496, 0.3278)),
        (224, (0.3952, 0.4808)),
        (7, (0.0066, 0.0279)),
        (4, (0.0030, 0.0199)),
    ],
)
def test_shares_of_512_published_trials(count, expected):
    assert wilson_interval(count / 512, 512) == pytest.approx(expected, abs=5e-5)


def test_near_best_counts_trials_within_delta_of_the_confirmed_mean(record):
    comparison = compare(record)
    arm = next(each for each in comparison.arms if each.arm == "sgd")
    reference = arm.confirmed.validation_mean
    scores = random_draws(record, "sgd").scores
    expected = np.count_nonzero(scores >= reference - comparison.delta)
    assert 0 < expected == arm.robustness.near_own.share.at_least
    assert arm.robustness.near_own.share.ci == wilson_interval(expected / 40, 40)


def test_reference_of_all_arms_is_the_best_confirmed_validation_mean(record):
    arms = compare(record).arms
    best = max(arm.confirmed.validation_mean for arm in arms)
    assert {best} == {arm.robustness.near_best.reference for arm in arms}


def test_before_confirmation_there_is_no_common_reference(record):
    found = robustness(replace(unconfirmed(record), delta=0.005))
    assert found.near_best is None
    assert found.near_own.reference == next(
        arm.search_best for arm in compare(unconfirmed(record)).arms if arm.arm == "sgd"
    )


def test_divergence_counts_random_trials_only():
    record = example_record(sampler="tpe", pruner="none", trials_per_arm=20, startup_trials=8)
    diverged = [
        t for t in record.trials if (t.arm, t.phase, t.outcome) == ("sgd", "random", "diverged")
    ]
    found = robustness(record).diverged
    assert (found.at_least, found.of) == (len(diverged), 8)


def test_pruned_trials_widen_a_near_best_share():
    record = example_record(sampler="random", pruner="halving", trials_per_arm=40)
    share = robustness(replace(record, score_rule="best_epoch", delta=0.005)).near_own.share
    assert share.at_least < share.at_most
    low = wilson_interval(share.at_least / share.of, share.of)[0]
    high = wilson_interval(share.at_most / share.of, share.of)[1]
    assert share.ci == (low, high)


def test_pruned_trials_withhold_the_sensitivity_and_say_so():
    record = example_record(sampler="random", pruner="halving", trials_per_arm=40)
    assert robustness(record).learning_rate.note == "unknown, because trials were pruned"


def test_sensitivity_is_found_with_enough_random_trials():
    record = example_record(sampler="random", pruner="none", trials_per_arm=80, num_arms=2)
    found = robustness(replace(record, delta=0.005), "adam").learning_rate
    assert found.note == ""
    # a decade above the best, runs of the toy model diverge: one bin of five loses about 0.83
    assert 0.83 / 5 < found.sensitivity < 0.25
    # rates less than 0.4 decades away are within delta: one bin and a part of the next one
    assert found.tolerance_decades in {0.5, 1.0}


def test_tolerance_of_the_learning_rate_is_a_tie_breaker_of_a_leading_group():
    record = example_record(sampler="random", pruner="none", trials_per_arm=80, arm_effects=[0] * 6)
    comparison = compare(record)
    known = {
        arm.arm: arm.robustness.learning_rate.tolerance_decades
        for arm in comparison.arms
        if arm.arm in comparison.verdict.leading
    }
    named = [
        f"{decades:g} {'decade' if decades == 1 else 'decades'} for {arm}"
        for arm, decades in known.items()
        if decades is not None
    ]
    (sentence,) = [text for text in comparison.verdict.tie_breakers if "within delta of" in text]
    assert len(named) > 1
    assert sentence.endswith(f"within delta of the best span {join(named)}.")


def test_untrained_score_is_that_of_diverged_trials(record):
    assert untrained_score(record) == 0.1
    assert math.isnan(untrained_score(replace(record, trials=())))


def test_budget_estimates_reach_to_a_fifth_of_the_random_trials(record):
    ks = {row.k for row in compare(record).budget}
    assert ks == {1, 2, 5}


def test_budget_estimates_lie_in_their_intervals(record):
    rows = compare(record).budget
    assert rows
    assert [row for row in rows if not row.ci[0] <= row.estimate <= row.ci[1]] == []


def test_budget_estimates_of_both_directions_mirror_each_other(record):
    rows = [row for row in budget_estimates(record) if row.quantity != "probability_better"]
    flipped = [
        row
        for row in budget_estimates(as_error_rate(record))
        if row.quantity != "probability_better"
    ]
    assert [row.estimate for row in rows] == pytest.approx([1 - row.estimate for row in flipped])
    assert [row.ci[0] for row in rows] == pytest.approx([1 - row.ci[1] for row in flipped])


def test_budget_estimates_ignore_the_order_of_trials_stored(record):
    assert compare(record).budget == compare(shuffled(record)).budget


def test_pruning_withholds_estimates_but_gives_bounds():
    rows = compare(example_record(sampler="random", pruner="halving", trials_per_arm=40)).budget
    withheld = [row for row in rows if row.estimate is None]
    assert withheld
    assert all(row.bounds[0] < row.bounds[1] and math.isnan(row.ci[0]) for row in withheld)


@pytest.mark.parametrize("outcome", ["pruned", "diverged", "infeasible", "failed", "running"])
def test_arms_without_a_complete_trial_are_described_without_a_crash(outcome):
    arms = compare(all_outcomes(example_record(**RANDOM), outcome)).arms
    assert [arm.robustness.near_best for arm in arms] == [None] * len(arms)
