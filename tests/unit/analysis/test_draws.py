import math
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.draws import (
    best_k_values,
    best_pruned,
    describe_best_pruned,
    is_random_search,
    random_draws,
)
from bakeoff.analysis.tuning import expected_best_of_k
from bakeoff.records import ArmRecord, ConfirmConfig, EpochResult, StudyRecord, TrialRecord
from record_examples import ACCURACY, as_error_rate, example_record


def trial(number, score, outcome="complete", phase="random", best=None):
    history = (EpochResult(epoch=1, metrics={"accuracy": score if best is None else best}),)
    return TrialRecord(
        number=number, arm="sgd", params={}, outcome=outcome, score=score, phase=phase,
        history=history,
    )  # fmt: skip


def study(*trials, pruner="median", score_rule="best_epoch"):
    return StudyRecord(
        name="s", question="", objective=ACCURACY, score_rule=score_rule, epochs=4,
        arms=(ArmRecord(name="sgd", space={}),), trials=trials, confirmations=(),
        trials_per_arm=4, sampler="random", pruner=pruner,
        confirm=ConfirmConfig(seeds=0, shortlist=0, shortlist_seeds=0),
    )  # fmt: skip


PRUNED = (
    trial(0, 0.90),
    trial(1, 0.80),
    trial(2, 0.85, "pruned"),
    trial(3, 0.60, "pruned"),
)


def test_pruned_trials_bound_the_expected_best_of_two():
    draws = random_draws(study(*PRUNED), "sgd")
    found = expected_best_of_k(draws.scores, 2), expected_best_of_k(draws.upper, 2)
    # of six pairs, five hold a pruned trial, which may have ended at an accuracy of 1
    assert found == pytest.approx((0.8667, (5 * 1.0 + 0.9) / 6), abs=5e-5)


def test_known_scores_are_their_own_bounds():
    assert len(random_draws(study(*PRUNED), "sgd").bounds) == 2
    assert len(random_draws(study(*PRUNED, pruner="none"), "sgd").bounds) == 1


def test_pruned_trial_is_bounded_by_its_best_epoch_not_its_last():
    draws = random_draws(study(trial(0, 0.9), trial(1, 0.3, "pruned", best=0.7)), "sgd")
    assert (list(draws.scores), list(draws.upper)) == ([0.9, 0.7], [0.9, 1.0])


def test_pruned_trial_has_no_lower_bound_where_the_last_epoch_is_scored():
    draws = random_draws(study(*PRUNED, score_rule="last_epoch"), "sgd")
    assert list(draws.scores) == [0.90, 0.80, 0.0, 0.0]


@pytest.mark.parametrize("pruner", ["none", "threshold"])
def test_trial_stopped_by_a_fixed_rule_has_a_known_score(pruner):
    assert random_draws(study(*PRUNED, pruner=pruner), "sgd").is_known.all()


def test_only_random_trials_of_the_budget_are_draws():
    trials = (
        trial(0, 0.9),
        trial(1, 0.8, phase="model"),
        trial(2, 0.7, phase="default"),
        trial(3, None, "failed"),
        trial(4, None, "running"),
    )
    draws = random_draws(study(*trials), "sgd")
    assert [found.number for found in draws.trials] == [0]


@pytest.mark.parametrize(
    ("score", "outcome"), [(None, "infeasible"), (math.nan, "diverged"), (0.0, "diverged")]
)
def test_trial_without_a_score_has_the_worst_one(score, outcome):
    draws = random_draws(study(trial(0, 0.9), trial(1, score, outcome)), "sgd")
    assert list(draws.scores) == [0.9, 0.0]


def test_draws_are_unknown_where_no_score_of_the_study_is_known():
    unbounded = replace(
        study(trial(0, None, "infeasible")), objective=replace(ACCURACY, low=-math.inf)
    )
    draws = random_draws(unbounded, "sgd")
    assert (list(draws.scores), list(draws.upper)) == ([-math.inf], [1.0])
    assert not draws.is_known.any()


UNBOUNDED = replace(ACCURACY, low=-math.inf, high=math.inf)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_arm_whose_trials_were_all_pruned_is_unknown(sign):
    """Its trials had reached 0.13 at most; where they would have ended, nobody knows."""
    direction = "maximize" if sign > 0 else "minimize"
    trials = [trial(n, sign * (0.1 + n / 1000), "pruned") for n in range(25)]
    record = replace(study(*trials), objective=replace(UNBOUNDED, direction=direction))
    draws = random_draws(record, "sgd")
    assert not draws.is_known.any()
    assert (draws.upper == math.inf).all()
    rows = [row for row in compare(record).budget if row.quantity == "expected_best"]
    assert [row.k for row in rows] == [1, 2, 5]
    assert all(row.estimate is None for row in rows)
    assert all(np.isnan(row.ci).all() for row in rows)
    # the mean of 0.1 ... 0.124 from below, and nothing from above
    assert sorted(np.abs(rows[0].bounds)) == [pytest.approx(0.112), math.inf]


def test_pruned_trials_that_reported_nothing_bound_nothing():
    trials = [replace(trial(n, None, "pruned"), history=()) for n in range(10)]
    record = replace(study(*trials), objective=UNBOUNDED)
    (median, expected, *_) = compare(record).budget
    assert (median.bounds, expected.bounds) == ((-math.inf, math.inf),) * 2


# ---------------------------------------------------------------- better while they ran


@pytest.mark.parametrize("sign", [1, -1])
def test_a_pruned_trial_that_was_ahead_of_all_complete_ones_is_named(sign):
    complete, ahead, behind = (0.64, 0.913, 0.7) if sign > 0 else (0.64, 0.2, 0.5)
    trials = (trial(0, complete), trial(1, ahead, "pruned"), trial(2, behind, "pruned"))
    direction = "maximize" if sign > 0 else "minimize"
    record = replace(study(*trials), objective=replace(UNBOUNDED, direction=direction))
    found = best_pruned(record, "sgd")
    assert found is not None
    assert found.number == 1
    assert f"{ahead} for sgd (trial 1, pruned after epoch 1)" in describe_best_pruned(record)


def test_nothing_is_said_where_no_pruned_trial_was_ahead():
    record = study(trial(0, 0.9), trial(1, 0.8, "pruned"))
    assert best_pruned(record, "sgd") is None
    assert best_pruned(study(trial(0, 0.8, "pruned")), "sgd") is None
    assert describe_best_pruned(record) == ""


def test_scores_are_signed_where_lower_is_better():
    record = example_record(sampler="random", pruner="none")
    flipped = random_draws(as_error_rate(record), "sgd")
    assert list(flipped.scores) == pytest.approx(list(random_draws(record, "sgd").scores - 1))


@pytest.mark.parametrize(("num", "supported"), [(0, 0), (4, 0), (5, 1), (20, 4)])
def test_statements_reach_to_a_fifth_of_the_draws(num, supported):
    draws = random_draws(study(*(trial(number, 0.5) for number in range(num))), "sgd")
    assert draws.supported == supported


@pytest.mark.parametrize(("largest", "ks"), [(0, []), (1, [1]), (29, [1, 2, 5, 10, 20])])
def test_budgets_of_tables(largest, ks):
    assert best_k_values(largest) == ks


@pytest.mark.parametrize(("sampler", "expected"), [("random", True), ("tpe", False)])
def test_random_search_is_known_by_its_trials(sampler, expected):
    assert is_random_search(example_record(sampler=sampler), "sgd") is expected


def test_costs_are_epochs_trained():
    record = example_record(sampler="random")
    draws = random_draws(record, "sgd")
    assert np.sum(draws.epochs) == sum(found.epochs_run for found in draws.trials)


def designed(sampler):
    """A random search whose trials are recorded as points of a design."""
    record = example_record(num_arms=2, sampler="random", pruner="none", trials_per_arm=30)
    trials = tuple(
        replace(trial, phase="design") if trial.phase == "random" else trial
        for trial in record.trials
    )
    return replace(record, sampler=sampler, trials=trials)


def test_sobol_points_count_as_random_trials_with_approximate_intervals():
    record = designed("sobol")
    assert random_draws(record, "sgd").num == 30
    comparison = compare(record)
    assert {row.method.rpartition("; ")[2] for row in comparison.budget} == {
        "approximate, Sobol points"
    }
    assert all("approximate" in sentence for sentence in comparison.effort)
    assert comparison.effort


def test_points_of_a_grid_are_not_draws():
    record = designed("grid")
    assert random_draws(record, "sgd").num == 0
    assert not is_random_search(record, "sgd")
    assert compare(record).budget == ()
