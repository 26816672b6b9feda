import re
from dataclasses import replace

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.flags import FLAGS, flags_on
from bakeoff.ranges import FloatRange
from bakeoff.records import ArmRecord, Flag
from record_examples import as_error_rate, example_record, repeated, shuffled, unconfirmed

CLEAN = example_record(num_arms=2, pruner="none", arm_effects=(0.0, -0.02))


def flags_of(record, name=None):
    return [flag for flag in compare(record).flags if name in (None, flag.id)]


def flag_of(record, name):
    flags = flags_of(record, name)
    assert len(flags) == 1
    return flags[0]


def with_trials(record, change):
    return replace(record, trials=tuple(map(change, record.trials)))


def with_confirmations(record, change):
    return replace(record, confirmations=tuple(map(change, record.confirmations)))


def with_chosen(record, arm, **params):
    """The confirmed configuration of `arm` with other values."""
    chosen = next(run.configuration for run in record.confirmations if run.arm == arm)
    numbers = {run.configuration for run in record.confirmations if run.arm == arm} | {chosen}
    return with_trials(
        record,
        lambda trial: (
            replace(trial, params={**trial.params, **params}) if trial.number in numbers else trial
        ),
    )


def test_clean_study_raises_no_flag_that_limits_the_verdict():
    assert {flag.severity for flag in flags_of(CLEAN)} <= {"note"}


def test_flags_are_listed_once_and_in_order():
    assert [rule.id for rule in FLAGS] == [f"W{number:02}" for number in range(1, 18)]


@pytest.mark.parametrize("rule", FLAGS, ids=lambda rule: rule.id)
def test_every_flag_says_what_to_do(rule):
    assert rule.title
    assert rule.advice.endswith(".")


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        *[(name, "withholds") for name in ("W01", "W02", "W03")],
        *[(name, "provisional") for name in ("W04", "W09", "W10", "W11", "W12", "W13", "W15")],
        *[(name, "blocks") for name in ("W05", "W06", "W08", "W17")],
        *[(name, "note") for name in ("W07", "W14", "W16")],
    ],
)
def test_severity_decides_what_the_verdict_may_say(name, severity):
    assert {rule.id: rule.severity for rule in FLAGS}[name] == severity


def test_flags_do_not_depend_on_the_order_of_runs():
    record = example_record(num_seeds=5)
    assert flags_of(shuffled(record)) == flags_of(record)


def test_shared_sampler_is_flagged():
    assert flag_of(replace(CLEAN, shared_sampler=True), "W01").arms == ()


def test_pruned_trials_are_flagged_with_their_number():
    flag = flag_of(example_record(), "W02")
    assert "sgd 6 of 12" in flag.detail


def test_pruning_by_a_fixed_threshold_is_not_flagged():
    assert flags_of(replace(example_record(), pruner="threshold"), "W02") == []


def test_trials_cut_at_their_first_evaluation_are_flagged():
    record = with_trials(
        example_record(),
        lambda t: replace(t, history=t.history[:1]) if t.outcome == "pruned" else t,
    )
    assert set(flag_of(record, "W03").arms) == {"sgd", "adam", "adamw", "rmsprop"}


def test_fewer_trials_in_one_arm_are_flagged_on_that_arm():
    few = [trial for trial in CLEAN.trials if trial.arm == "adam"][-3:]
    record = replace(CLEAN, trials=tuple(t for t in CLEAN.trials if t not in few))
    flag = flag_of(record, "W04")
    assert (flag.arms, flag.severity) == (("adam",), "provisional")


def test_epochs_left_unused_by_pruned_trials_are_only_noted():
    flag = flag_of(example_record(), "W04")
    assert flag.severity == "note"


def test_unconfirmed_study_is_flagged_with_the_expected_optimism():
    flag = flag_of(unconfirmed(CLEAN), "W05")
    assert "about 1.63 standard deviations" in flag.detail


def test_unconfirmed_arm_is_named():
    record = replace(
        CLEAN, confirmations=tuple(run for run in CLEAN.confirmations if run.arm == "sgd")
    )
    assert flag_of(record, "W05").arms == ("adam",)


def test_test_scores_of_a_shortlist_run_are_flagged():
    record = with_confirmations(
        CLEAN,
        lambda run: (
            replace(run, test_metrics={"accuracy": 0.9}) if run.purpose == "shortlist" else run
        ),
    )
    assert flag_of(record, "W06").severity == "blocks"


def test_different_confirmation_seeds_are_flagged():
    record = with_confirmations(
        CLEAN, lambda run: replace(run, seed=run.seed + 1) if run.arm == "adam" else run
    )
    assert "unpaired" in flag_of(record, "W07").detail


def test_confirmation_on_a_seed_of_the_search_is_flagged():
    used = CLEAN.trials[0].seed
    first = next(run.seed for run in CLEAN.confirmations if run.purpose == "confirm")
    record = with_confirmations(
        CLEAN, lambda run: replace(run, seed=used) if run.seed == first else run
    )
    assert "1 confirmation seed had been used" in flag_of(record, "W07").detail


def test_one_seed_for_every_search_trial_is_flagged():
    record = with_trials(CLEAN, lambda trial: replace(trial, seed=5))
    assert "used one seed" in flag_of(record, "W07").detail


def test_different_search_seeds_are_flagged():
    record = with_trials(
        CLEAN, lambda trial: replace(trial, seed=trial.number) if trial.arm == "adam" else trial
    )
    assert "different seeds" in flag_of(record, "W07").detail


def test_unknown_seeds_of_the_search_raise_no_flag():
    record = with_trials(CLEAN, lambda trial: replace(trial, seed=None))
    assert flags_of(record, "W07") == []


def test_too_few_seeds_are_flagged_with_the_number_needed():
    flag = flag_of(example_record(num_arms=3, num_seeds=5), "W08")
    assert "needs 7 confirmation seeds per arm" in flag.detail


def test_more_than_a_tenth_of_failed_runs_is_flagged():
    numbers = [trial.number for trial in CLEAN.trials if trial.arm == "sgd"][-4:]
    record = with_trials(
        CLEAN, lambda t: replace(t, outcome="failed", score=None) if t.number in numbers else t
    )
    assert flag_of(record, "W09").arms == ("sgd",)


def test_out_of_memory_is_an_outcome_and_not_a_failure():
    numbers = [trial.number for trial in CLEAN.trials if trial.arm == "sgd"][-4:]
    record = with_trials(
        CLEAN, lambda t: replace(t, outcome="infeasible", score=None) if t.number in numbers else t
    )
    assert flags_of(record, "W09") == []


@pytest.mark.parametrize("record", [CLEAN, as_error_rate(CLEAN)], ids=["accuracy", "error"])
@pytest.mark.parametrize(("value", "side"), [(0.99, "highest"), (1.02e-3, "lowest")])
def test_winner_moved_onto_a_bound_is_flagged(record, value, side):
    moved = with_chosen(record, "sgd", **{"sgd.learning_rate": value})
    flag = flag_of(moved, "W10")
    assert flag.arms == ("sgd",)
    assert f"sgd.learning_rate = {value:.4g} is close to its {side} value" in flag.detail


def test_winner_on_a_natural_bound_is_not_flagged():
    moved = with_chosen(CLEAN, "sgd", **{"sgd.momentum": 0.0})
    assert flags_of(moved, "W10") == []


def test_winner_near_a_bound_with_most_of_the_top_five_is_flagged():
    low = FloatRange(low=1e-3, high=1.0, log=True)
    best = sorted(
        (t for t in CLEAN.trials if t.arm == "sgd" and t.outcome == "complete"),
        key=lambda t: -t.score,
    )
    chosen = {run.configuration for run in CLEAN.confirmations if run.arm == "sgd"}
    edge = {trial.number for trial in best[:3]} | chosen
    record = with_trials(
        replace(
            CLEAN,
            arms=(
                ArmRecord(name="sgd", space={"sgd.learning_rate": low}),
                ArmRecord(name="adam", space={}),
            ),
        ),
        lambda t: replace(t, params={"sgd.learning_rate": 0.6}) if t.number in edge else t,
    )
    assert flag_of(record, "W10").arms == ("sgd",)


def test_general_arm_that_loses_to_its_special_case_is_flagged():
    arms = tuple(
        replace(arm, contains=("sgd",)) if arm.name == "adam" else arm for arm in CLEAN.arms
    )
    assert flag_of(replace(CLEAN, arms=arms), "W11").arms == ("sgd", "adam")


def test_general_arm_that_wins_is_not_flagged():
    arms = tuple(
        replace(arm, contains=("adam",)) if arm.name == "sgd" else arm for arm in CLEAN.arms
    )
    assert flags_of(replace(CLEAN, arms=arms), "W11") == []


def test_other_planned_epochs_are_flagged_on_the_arm():
    record = with_trials(CLEAN, lambda t: replace(t, epochs_planned=9) if t.arm == "adam" else t)
    assert flag_of(record, "W12").arms == ("adam",)


def test_best_epoch_of_fewer_evaluations_is_flagged():
    def every_other(run):
        return replace(run, history=run.history[1::2]) if run.arm == "adam" else run

    record = with_confirmations(with_trials(CLEAN, every_other), every_other)
    assert flag_of(replace(record, score_rule="best_epoch"), "W13").arms == ("adam",)
    assert flags_of(replace(record, score_rule="last_epoch"), "W13") == []


def test_seconds_that_differ_for_one_configuration_are_flagged():
    slow = CLEAN.confirmations[-1]
    record = with_confirmations(
        CLEAN,
        lambda run: (
            replace(
                run,
                history=tuple(replace(r, train_seconds=3 * r.train_seconds) for r in run.history),
            )
            if run == slow
            else run
        ),
    )
    assert flag_of(record, "W14").arms == (slow.arm,)


def test_settings_changed_after_results_were_read_are_listed_with_the_verdict():
    record = replace(CLEAN, changed_after_results=("confirm.seeds: 6 -> 12",))
    assert flag_of(record, "W15").severity == "note"
    (note,) = [s for s in compare(record).verdict.sentences if "(W15)" in s]
    assert "confirm.seeds: 6 -> 12" in note
    assert compare(record).verdict.headline == compare(CLEAN).verdict.headline


def test_pruning_that_would_have_ended_the_best_is_flagged():
    record = example_record(num_arms=2, pruner="none", trials_per_arm=12)
    ranked = sorted(record.trials, key=lambda trial: -trial.score)
    best = {trial.number for trial in ranked[:2]}
    audited = with_trials(
        record, lambda t: replace(t, audited=True, spared_at=2 if t.number in best else None)
    )
    assert re.fullmatch(
        r"Among the best 2 of \d+ audited trials, pruning would have ended \d\.",
        flag_of(audited, "W03").detail,
    )
    harmless = with_trials(record, lambda t: replace(t, audited=True))
    assert flags_of(harmless, "W03") == []


GREW = {"sgd": [0.9] * 3 + [0.95] * 9, "adam": [0.9] * 3 + [0.91] * 9}
"""Nothing is shown on the first six seeds, and a winner on all twelve."""


def test_a_claim_that_is_new_since_seeds_were_added_undeclared_is_provisional():
    record = replace(example_record(num_arms=2, test_scores=GREW), delta=0.001)
    assert compare(record).verdict.headline.startswith("The configuration found for sgd beats")
    extended = compare(replace(record, read_at_seeds=(6,)))
    (flag,) = [flag for flag in extended.flags if flag.id == "W15"]
    assert (flag.severity, flag.pairs) == ("provisional", (("sgd", "adam"),))
    assert extended.verdict.headline.startswith("Provisionally, the configuration found for sgd")
    assert any("had been read at 6 seeds" in text for text in extended.verdict.weakened_by)


def test_a_claim_that_was_made_before_seeds_were_added_stays_as_it_is():
    scores = {"sgd": [0.95, 0.951] * 6, "adam": [0.9, 0.902] * 6}
    record = replace(example_record(num_arms=2, test_scores=scores), delta=0.001)
    extended = compare(replace(record, read_at_seeds=(6,)))
    assert flag_of(replace(record, read_at_seeds=(6,)), "W15").severity == "note"
    assert extended.verdict.headline.startswith("The configuration found for sgd beats")


def test_a_claim_that_is_new_since_repeats_were_added_undeclared_is_provisional():
    def repeat(sgd, adam):
        scores = {"sgd": [sgd, sgd + 0.001], "adam": [adam, adam + 0.001]}
        return replace(
            example_record(num_arms=2, trials_per_arm=20, test_scores=scores), delta=0.001
        )

    parts = [repeat(0.9 + place * 0.001, 0.9 + (9 - place) * 0.001) for place in range(10)]
    record = repeated([*parts, *(repeat(0.99, 0.9) for _ in range(6))])
    declared = compare(record)
    assert declared.level == "L2"
    assert [pair.winner for pair in declared.pairs] == ["sgd"]
    assert not [flag for flag in declared.flags if flag.id == "W15"]
    flag = flag_of(replace(record, read_at_repeats=(10,)), "W15")
    assert (flag.severity, flag.pairs) == ("provisional", (("sgd", "adam"),))
    assert flag.detail.startswith("Results had been read at 10 repeats before more were added")
    assert flag_of(replace(record, read_at_repeats=(15,)), "W15").severity == "note"


def test_a_flag_on_a_pair_leaves_other_pairs_of_its_arms_alone():
    flag = Flag(
        id="W15", title="", detail="", advice="", severity="provisional", arms=("a", "b"),
        pairs=(("a", "b"),),
    )  # fmt: skip
    assert flags_on([flag], "provisional", ("a", "b")) == [flag]
    assert flags_on([flag], "provisional", ("a", "c")) == []
    assert flags_on([flag], "provisional", ("a", "b", "c")) == [flag]


def test_a_run_that_collapsed_is_flagged_and_its_arm_is_not_called_equal():
    scores = {"sgd": [0.95, 0.951] * 6, "adam": [*[0.95, 0.951] * 5, 0.95, 0.6]}
    record = replace(example_record(num_arms=2, test_scores=scores), delta=0.1)
    flag = flag_of(record, "W16")
    assert (flag.arms, flag.severity) == (("adam",), "note")
    assert "adam 1 of 12" in flag.detail
    comparison = compare(record)
    assert comparison.pairs[0].status == "no_difference_shown"
    assert "adam collapsed in 1 of 12 (far below its other runs)" in comparison.pairs[0].sentence
