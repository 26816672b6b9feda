import json
import math
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.confirmation import ConfirmedRuns
from bakeoff.analysis.pairs import compare_pairs
from bakeoff.records import TrialRecord, as_plain
from record_examples import (
    all_outcomes,
    as_error_rate,
    damaged,
    example_record,
    map_scores,
    shuffled,
    unconfirmed,
)

RECORD = example_record()


def statuses(comparison):
    return {frozenset((pair.a, pair.b)): pair.status for pair in comparison.pairs}


def status_of(test_scores, **changes):
    record = example_record(num_arms=len(test_scores), test_scores=test_scores)
    return compare(replace(record, **changes)).pairs[0].status


def as_text(comparison):
    return json.dumps(as_plain(comparison), sort_keys=True)


def arm_of(comparison, name):
    return next(arm for arm in comparison.arms if arm.arm == name)


def confirmed(arm, test):
    runs = tuple(
        TrialRecord(number=seed, arm=arm, params={}, outcome="complete", score=0.0, seed=seed)
        for seed in range(len(test))
    )
    diverged = np.zeros(len(test), dtype=bool)
    return ConfirmedRuns(arm=arm, configuration=0, runs=runs, test=test, diverged=diverged)


def num_winners(scores):
    runs = {str(arm): confirmed(str(arm), test) for arm, test in enumerate(scores)}
    pairs = compare_pairs(tuple(runs), runs, sign=1, delta=1.0, blocked=False)
    return sum(pair.winner is not None for pair in pairs)


def test_four_arms_make_six_pairs_at_level_1():
    comparison = compare(RECORD)
    assert (comparison.level, len(comparison.pairs), comparison.min_seeds) == ("L1", 6, 8)


def test_arms_are_ordered_by_confirmed_mean():
    means = [arm.confirmed.test_mean for arm in compare(RECORD).arms]
    assert means == sorted(means, reverse=True)


def test_unconfirmed_arms_are_ordered_by_search_score():
    found = [arm.search_best for arm in compare(unconfirmed(RECORD)).arms]
    assert found == sorted(found, reverse=True)


def test_default_configuration_is_not_charged_to_the_budget():
    assert {arm.num_trials for arm in compare(RECORD).arms} == {12}


def test_default_configuration_is_reported():
    default = next(t for t in RECORD.trials if (t.arm, t.phase) == ("adam", "default"))
    assert arm_of(compare(RECORD), "adam").default_score == default.score


def test_chosen_configuration_is_the_confirmed_one():
    run = next(r for r in RECORD.confirmations if (r.arm, r.purpose) == ("sgd", "confirm"))
    sgd = arm_of(compare(RECORD), "sgd")
    assert (sgd.chosen_trial, sgd.chosen_params) == (run.configuration, run.params)


def test_selection_gap_is_search_score_minus_fresh_mean():
    sgd = arm_of(compare(RECORD), "sgd")
    found = next(t for t in RECORD.trials if t.number == sgd.chosen_trial)
    expected = found.score - sgd.confirmed.validation_mean
    assert sgd.confirmed.selection_gap == pytest.approx(expected)


def test_selection_gap_keeps_its_sign_where_lower_is_better():
    gaps = [arm.confirmed.selection_gap for arm in compare(RECORD).arms]
    flipped = [arm.confirmed.selection_gap for arm in compare(as_error_rate(RECORD)).arms]
    assert flipped == pytest.approx(gaps)


def test_worst_seed_is_the_one_with_the_lowest_score():
    confirmed = compare(RECORD).arms[0].confirmed
    at = confirmed.seeds.index(confirmed.worst_seed)
    assert confirmed.test_scores[at] == confirmed.worst == min(confirmed.test_scores)


def test_shuffled_runs_change_nothing():
    assert as_text(compare(shuffled(RECORD))) == as_text(compare(RECORD))


def test_metric_direction_changes_no_status():
    assert statuses(compare(as_error_rate(RECORD))) == statuses(compare(RECORD))


def test_metric_direction_changes_no_difference():
    means = [pair.mean for pair in compare(RECORD).pairs]
    assert [pair.mean for pair in compare(as_error_rate(RECORD)).pairs] == pytest.approx(means)


def test_adding_a_constant_changes_no_status():
    record = replace(RECORD, delta=0.005)
    shifted = map_scores(record, lambda score: score - 0.125)
    assert statuses(compare(shifted)) == statuses(compare(record))


def test_scaling_delta_moves_only_statuses_that_use_it():
    strict, lenient = (statuses(compare(replace(RECORD, delta=d))) for d in (1e-5, 0.5))
    changed = {(strict[pair], lenient[pair]) for pair in strict if strict[pair] != lenient[pair]}
    assert changed <= {
        ("clearly_better", "better"),
        ("no_difference_shown", "practically_equal"),
    }


@pytest.mark.parametrize(
    ("a", "b", "delta", "expected"),
    [
        ([0.95, 0.951, 0.949, 0.95, 0.952, 0.95], [0.9] * 6, 0.005, "clearly_better"),
        ([0.95, 0.951, 0.949, 0.95, 0.952, 0.95], [0.9] * 6, 0.1, "better"),
        ([0.9, 0.901, 0.899, 0.9, 0.902, 0.898], [0.9] * 6, 0.01, "practically_equal"),
        ([0.9, 0.95, 0.85, 0.92, 0.88, 0.9], [0.9] * 6, 0.01, "no_difference_shown"),
        ([0.95] * 5, [0.9] * 5, 0.01, "not_enough_data"),
        ([0.95] * 6, [0.9] * 6, 0.01, "clearly_better"),
        ([0.9] * 6, [0.9] * 6, 0.01, "practically_equal"),
        ([0.9] * 6, [0.9] * 6, 0.0, "no_difference_shown"),
        ([0.9] * 6, [math.nan] * 6, 0.01, "better"),
        ([0.9] * 6, [0.89] * 4 + [math.nan] * 2, 0.01, "better"),
        ([0.9] * 6, [0.91] * 4 + [math.nan] * 2, 0.01, "no_difference_shown"),
        ([math.nan] * 6, [math.nan] * 6, 0.01, "no_difference_shown"),
    ],
)
def test_status_of_two_arms(a, b, delta, expected):
    assert status_of({"sgd": a, "adam": b}, delta=delta) == expected


def test_pair_with_diverged_runs_has_no_t_interval():
    comparison = compare(example_record(diverged_seeds={"sgd": 1}))
    pair = next(p for p in comparison.pairs if {p.a, p.b} == {"sgd", "rmsprop"})
    assert np.isnan([*pair.ci, pair.detectable, pair.equality_p]).all()
    assert pair.p_holm <= 1.0


def test_diverged_run_without_test_score_is_scored_as_an_untrained_model():
    record = example_record(num_arms=2, diverged_seeds={"sgd": 1})
    runs = tuple(
        replace(run, test_metrics={}) if run.outcome == "diverged" else run
        for run in record.confirmations
    )
    sgd = arm_of(compare(replace(record, confirmations=runs)), "sgd")
    assert (sgd.confirmed.num_diverged, sgd.confirmed.worst) == (1, 0.1)


def test_diverged_run_of_an_unbounded_metric_gets_the_worst_score_of_any_run():
    record = as_error_rate(example_record(num_arms=2, diverged_seeds={"sgd": 1}))
    runs = tuple(
        replace(run, test_metrics={}, score=None) if run.outcome == "diverged" else run
        for run in record.confirmations
    )
    unbounded = replace(record.objective, high=math.inf)
    worst = max(trial.score for trial in record.trials)
    sgd = arm_of(compare(replace(record, objective=unbounded, confirmations=runs)), "sgd")
    assert sgd.confirmed.worst == worst


def test_unbounded_metric_has_no_standard_error():
    record = as_error_rate(RECORD)
    unbounded = replace(record.objective, high=math.inf)
    assert compare(replace(record, objective=unbounded)).test_standard_error is None


def test_failed_confirmation_run_is_missing_and_the_pair_uses_common_seeds():
    record = example_record(num_arms=2)
    failed = next(run for run in record.confirmations if run.purpose == "confirm")
    runs = tuple(
        replace(run, outcome="failed", test_metrics={}) if run == failed else run
        for run in record.confirmations
    )
    comparison = compare(replace(record, confirmations=runs))
    assert (comparison.pairs[0].num_pairs, comparison.level) == (7, "L1")


def test_arms_without_a_common_seed_are_compared_unpaired():
    record = example_record(num_arms=2, arm_effects=(0.0, -0.05))
    runs = tuple(
        replace(run, seed=run.seed + 1) if run.arm == "adam" else run
        for run in record.confirmations
    )
    pair = compare(replace(record, confirmations=runs)).pairs[0]
    assert (pair.num_pairs, pair.status, pair.win_share) == (0, "clearly_better", 1.0)


def test_unpaired_win_share_has_no_interval():
    record = example_record(num_arms=2)
    runs = tuple(replace(run, seed=None) for run in record.confirmations)
    assert np.isnan(compare(replace(record, confirmations=runs)).pairs[0].win_ci).all()


def test_default_delta_is_two_standard_errors_of_the_test_set():
    comparison = compare(RECORD)
    p = comparison.arms[0].confirmed.test_mean
    assert comparison.delta == pytest.approx(2 * math.sqrt(p * (1 - p) / 10_000))
    assert comparison.delta == 2 * comparison.test_standard_error


def test_default_delta_without_a_test_size_is_the_pooled_seed_deviation():
    comparison = compare(replace(RECORD, num_test=None))
    variances = [arm.confirmed.test_sd**2 for arm in comparison.arms]
    assert comparison.delta == pytest.approx(math.sqrt(np.mean(variances)))
    assert comparison.test_standard_error is None


def test_users_delta_is_taken_as_it_is():
    assert compare(replace(RECORD, delta=0.02)).delta == 0.02


def test_target_is_reached_by_half_of_the_runs_of_every_leading_arm():
    comparison = compare(RECORD)
    times = [arm_of(comparison, name).time_to_target for name in comparison.verdict.leading]
    assert len(times) == 2
    assert all(2 * time.reached >= time.num_runs for time in times)


def test_target_is_the_median_best_score_of_the_declared_reference():
    comparison = compare(replace(RECORD, reference="rmsprop"))
    bests = [
        max(run.values("accuracy"))
        for run in RECORD.confirmations
        if (run.arm, run.purpose) == ("rmsprop", "confirm")
    ]
    assert comparison.arms[0].time_to_target.target == pytest.approx(np.median(bests))


def test_search_cost_is_all_epochs_per_trial_that_reaches_the_target():
    comparison = compare(RECORD)
    adamw = arm_of(comparison, "adamw")
    target = adamw.time_to_target.target
    reaching = [
        trial
        for trial in RECORD.trials
        if (trial.arm, trial.outcome) == ("adamw", "complete")
        and trial.phase != "default"
        and max(trial.values("accuracy")) >= target
    ]
    assert adamw.time_to_target.search_cost_epochs == adamw.epochs / len(reaching)


def test_shared_sampler_never_exceeds_level_0():
    comparison = compare(replace(RECORD, shared_sampler=True))
    assert (comparison.level, comparison.verdict.leading) == ("L0", ())
    assert {pair.status for pair in comparison.pairs} == {"not_enough_data"}


def test_test_scores_of_search_trials_forbid_a_verdict():
    trials = tuple(replace(trial, test_metrics={"accuracy": 0.9}) for trial in RECORD.trials)
    assert compare(replace(RECORD, trials=trials)).level == "L0"


def test_fewer_seeds_than_needed_stay_at_level_0():
    assert compare(example_record(num_seeds=7)).level == "L0"


def test_one_arm_is_confirmed_but_not_compared():
    comparison = compare(example_record(num_arms=1))
    assert (comparison.level, comparison.pairs, comparison.verdict.leading) == ("L1", (), ())


@pytest.mark.parametrize("outcome", ["pruned", "diverged", "infeasible", "failed", "running"])
def test_study_without_a_complete_trial_names_no_best(outcome):
    comparison = compare(all_outcomes(RECORD, outcome))
    assert {arm.search_best for arm in comparison.arms} == {None}
    assert comparison.level == "L0"


@pytest.mark.parametrize("num_arms", [0, 1, 2, 4])
def test_empty_study_is_answered(num_arms):
    record = replace(example_record(num_arms=num_arms), trials=(), confirmations=())
    assert compare(record).verdict.headline.startswith("No verdict")


@pytest.mark.parametrize("seed", range(60))
def test_damaged_study_is_answered_without_a_warning(seed):
    record = damaged(example_record(num_arms=1 + seed % 4, trials_per_arm=4, num_seeds=9), seed)
    comparison = compare(record)
    assert comparison.verdict.headline
    assert set(comparison.verdict.leading) <= {arm.name for arm in record.arms}


def test_leading_arms_are_those_no_arm_was_shown_to_beat():
    comparison = compare(RECORD)
    losers = {
        pair.b if pair.mean > 0 else pair.a
        for pair in comparison.pairs
        if pair.status in {"better", "clearly_better"}
    }
    expected = tuple(arm.arm for arm in comparison.arms if arm.arm not in losers)
    assert comparison.verdict.leading == expected == ("adamw", "sgd")


def test_equal_arms_rarely_give_a_winner():
    rng = np.random.default_rng(0)
    reports = [num_winners(rng.normal(size=(4, 8))) > 0 for _ in range(300)]
    assert np.mean(reports) <= 0.06


def test_heavy_tailed_equal_arms_rarely_give_a_winner():
    rng = np.random.default_rng(0)
    reports = [num_winners(rng.standard_t(2, size=(3, 8))) > 0 for _ in range(300)]
    assert np.mean(reports) <= 0.06


def test_difference_of_two_seed_deviations_is_usually_found():
    rng = np.random.default_rng(0)
    shift = np.array([[2.0], [0.0], [0.0], [0.0]])
    reports = [num_winners(rng.normal(size=(4, 10)) + shift) >= 3 for _ in range(100)]
    assert np.mean(reports) >= 0.5
