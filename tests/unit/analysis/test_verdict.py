import math
import re
from dataclasses import replace

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.wording import SCOPE, interval, join, number, p_value, two_digits
from claims import BANNED, CLAIMS
from record_examples import (
    all_outcomes,
    as_error_rate,
    damaged,
    example_record,
    unconfirmed,
)

RECORD = example_record()
WON = example_record(num_arms=2, pruner="none", arm_effects=(0.0, -0.02))
EQUAL = {"sgd": [0.91, 0.92, 0.9, 0.91, 0.9, 0.92], "adam": [0.91, 0.92, 0.9, 0.91, 0.92, 0.9]}
SPREAD = {"sgd": [0.95, 0.9, 0.85, 0.92, 0.88, 0.9], "adam": [0.9] * 6}
SMALL = {"sgd": [0.903, 0.9031, 0.9029, 0.903, 0.9032, 0.9028], "adam": [0.9] * 6}
BY_A_LITTLE = {"sgd": [0.905, 0.901, 0.908, 0.903, 0.907, 0.902], "adam": [0.9] * 6}

SGD_BEATS = "The configuration found for sgd beats the one found for adam"
NO_DIFFERENCE = "No difference was shown between the configurations found for sgd and adam"

STUDIES = {
    "four arms": RECORD,
    "error rate": as_error_rate(RECORD),
    "won": WON,
    "unconfirmed": unconfirmed(RECORD),
    "too few seeds": example_record(num_seeds=3),
    "diverged": example_record(diverged_seeds={"adam": 2, "adamw": 8}),
    "shared sampler": replace(RECORD, shared_sampler=True),
    "nothing": replace(RECORD, trials=(), confirmations=()),
    "all pruned": all_outcomes(RECORD, "pruned"),
    "one arm": example_record(num_arms=1),
    **{f"damaged {seed}": damaged(example_record(num_seeds=9), seed) for seed in range(10)},
}


def two_arms(test_scores, **changes):
    record = example_record(num_arms=2, pruner="none", test_scores=test_scores)
    return compare(replace(record, **changes))


def texts(comparison):
    verdict = comparison.verdict
    return [
        verdict.headline,
        *verdict.sentences,
        *verdict.tie_breakers,
        *(pair.sentence for pair in comparison.pairs),
    ]


def with_contains(record, arm, contains):
    arms = tuple(replace(a, contains=(contains,)) if a.name == arm else a for a in record.arms)
    return replace(record, arms=arms)


def with_learning_rate(record, arm, value):
    name = f"{arm}.learning_rate"
    trials = tuple(
        replace(t, params={**t.params, name: value}) if t.arm == arm else t for t in record.trials
    )
    return replace(record, trials=trials)


@pytest.mark.parametrize("word", BANNED)
@pytest.mark.parametrize("study", STUDIES)
def test_no_sentence_says_more_than_was_shown(study, word):
    found = [t for t in texts(compare(STUDIES[study])) if re.search(BANNED[word], t, re.IGNORECASE)]
    assert found == []


@pytest.mark.parametrize("study", STUDIES)
def test_no_sentence_has_a_gap(study):
    comparison = compare(STUDIES[study])
    assert all(re.search(r"[{}]|\bnan\b|\bNone\b", text) is None for text in texts(comparison))
    assert all(text.endswith(".") for text in texts(comparison))


@pytest.mark.parametrize("study", STUDIES)
def test_scope_ends_with_what_the_claim_holds_for(study):
    assert compare(STUDIES[study]).verdict.scope.endswith(
        "for this model, data, search space and budget"
    )


@pytest.mark.parametrize("study", [name for name, record in STUDIES.items() if record.arms])
def test_unverdictable_study_has_no_ordering_word_in_its_headline(study):
    comparison = compare(STUDIES[study])
    ordering = re.search(r"\b(best|better|beats|lead|first|top)\b", comparison.verdict.headline)
    assert comparison.level == "L1" or ordering is None


@pytest.mark.parametrize("study", STUDIES)
def test_level_0_only_observes(study):
    comparison = compare(STUDIES[study])
    claims = [s for s in comparison.verdict.sentences if CLAIMS.search(s)]
    assert comparison.level == "L1" or claims == []


@pytest.mark.parametrize("pair", range(6))
def test_every_claim_names_what_it_rests_on(pair):
    sentence = compare(RECORD).pairs[pair].sentence
    assert "test accuracy (higher is better)" in sentence
    assert "99.2 % CI [" in sentence
    assert "8 paired seeds" in sentence
    assert "Holm p" in sentence
    assert (
        "8-epoch runs of configurations found by pruned TPE search (12 trials per arm)" in sentence
    )
    assert SCOPE in sentence


def test_headline_names_one_winner():
    assert compare(WON).verdict.headline == (
        "The configuration found for sgd beats the one found for adam on test accuracy by 0.01988"
        " (0.01895 to 0.02080), for this model, data, search space and budget."
    )


def test_headline_names_a_leading_group_that_is_equal_within_delta():
    assert compare(RECORD).verdict.headline.startswith(
        "The configurations found for adamw and sgd lead on test accuracy and are equal to within"
        " 0.0052"
    )


def test_headline_says_that_no_difference_was_shown():
    assert two_arms(SPREAD).verdict.headline.startswith(
        "No difference was shown between the configurations found for sgd and adam on test accuracy"
    )


def test_headline_names_the_arms_compared_where_one_is_not_confirmed():
    record = example_record(num_arms=3, arm_effects=(0.0, -0.02, 0.0))
    record = replace(
        record, confirmations=tuple(r for r in record.confirmations if r.arm != "adamw")
    )
    verdict = compare(record).verdict
    assert verdict.headline.startswith(
        "The configuration found for sgd beats the one found for adam on test accuracy by "
    )
    assert "There are too few confirmation runs of adamw for a comparison." in verdict.weakened_by


def test_headline_names_no_leader_where_pairs_contradict_each_other():
    record = example_record(num_arms=3, num_seeds=21)
    seeds = sorted({run.seed for run in record.confirmations if run.purpose == "confirm"})
    thirds = {seed: index // 7 for index, seed in enumerate(seeds)}
    scores = {("sgd", 0): 0.9, ("adam", 0): 0.8, ("adam", 1): 0.9, ("adamw", 1): 0.8}
    scores |= {("adamw", 2): 0.95, ("sgd", 2): 0.7}
    runs = tuple(
        replace(run, test_metrics={"accuracy": scores[run.arm, thirds[run.seed]]})
        for run in record.confirmations
        if (run.arm, thirds.get(run.seed)) in scores
    )
    verdict = compare(replace(record, confirmations=runs)).verdict
    assert verdict.headline.startswith("No arm leads: the pairs contradict each other")
    assert verdict.leading == ()


def test_headline_says_how_many_seeds_are_missing():
    assert compare(example_record(num_seeds=3)).verdict.headline == (
        "No verdict yet: every arm needs 8 confirmation runs, and there are 3."
    )


@pytest.mark.parametrize(
    ("study", "start"),
    [
        ("unconfirmed", "No verdict yet: no configuration has been confirmed"),
        ("shared sampler", "No verdict: one sampler proposed the trials of all arms."),
        ("nothing", "No verdict yet: no trial has been run."),
        ("all pruned", "No verdict: no trial completed."),
        ("one arm", "No comparison: sgd is the only arm."),
    ],
)
def test_headline_says_why_there_is_no_verdict(study, start):
    assert compare(STUDIES[study]).verdict.headline.startswith(start)


@pytest.mark.parametrize(
    ("test_scores", "delta", "start"),
    [
        (SMALL, 0.001, f"{SGD_BEATS} by at least 0.0010: "),
        (SMALL, 0.01, f"{SGD_BEATS}, but by less than 0.010, the smallest difference that matt"),
        (BY_A_LITTLE, 0.006, f"{SGD_BEATS}; the gain is between 0.0014 and 0.0073 and may be"),
        (EQUAL, 0.05, "The configurations found for sgd and adam are equal to within 0.050"),
        (SPREAD, 0.005, f"{NO_DIFFERENCE}; with these 6 seeds a difference of about 0."),
    ],
)
def test_sentence_follows_the_status(test_scores, delta, start):
    sentence = two_arms(test_scores, delta=delta).pairs[0].sentence
    assert sentence.startswith(start)


@pytest.mark.parametrize(
    ("test_scores", "delta", "word"),
    [
        (SMALL, 0.001, "configuration of sgd better by 0.0010 or more"),
        (SMALL, 0.01, "configuration of sgd better, but by less than 0.010"),
        (BY_A_LITTLE, 0.006, "configuration of sgd better, maybe by less than 0.0060"),
        (EQUAL, 0.05, "equal to within 0.050"),
        (SPREAD, 0.005, "no difference shown"),
    ],
)
def test_table_word_follows_the_status(test_scores, delta, word):
    assert two_arms(test_scores, delta=delta).pairs[0].word.startswith(word)


@pytest.mark.parametrize(
    ("test_scores", "delta", "end"),
    [
        (SMALL, 0.001, ""),
        (SMALL, 0.01, "; the gain is less than the smallest difference that matters (0.010)"),
        (BY_A_LITTLE, 0.006, "; the gain may be less than the smallest difference that matters"),
    ],
)
def test_headline_carries_whether_the_gain_matters(test_scores, delta, end):
    headline = two_arms(test_scores, delta=delta).verdict.headline
    assert headline.startswith(f"{SGD_BEATS} on test accuracy by ")
    assert end in headline
    assert ("smallest difference that matters" in headline) == bool(end)


def test_sentence_names_the_arm_that_is_ahead_first():
    reversed_arms = {"sgd": SMALL["adam"], "adam": SMALL["sgd"]}
    sentence = two_arms(reversed_arms, delta=0.001).pairs[0].sentence
    assert sentence.startswith(
        "The configuration found for adam beats the one found for sgd by at least 0.0010: the mean"
    )


def test_sentence_says_how_many_seeds_are_there_and_needed():
    few = {arm: scores[:5] for arm, scores in SMALL.items()}
    assert two_arms(few).pairs[0].sentence == (
        "There are not enough confirmation runs to compare sgd and adam (have 5, need 6)."
    )


def test_sentence_on_diverged_runs_gives_the_mean_with_and_without_them():
    diverged = {"sgd": [0.9] * 6, "adam": [0.8] * 4 + [math.nan] * 2}
    sentence = two_arms(diverged).pairs[0].sentence
    assert "runs failed, so no interval is given" in sentence
    assert "adam diverged in 2 of 6 (scored as an untrained model)" in sentence
    assert "the mean gain is 0.3333 with these runs and 0.1 without them" in sentence


def test_edge_of_a_range_makes_the_winner_provisional():
    comparison = compare(with_learning_rate(WON, "sgd", 0.98))
    beats = "Provisionally, the configuration found for sgd beats the one found for adam"
    assert comparison.verdict.headline.startswith(beats)
    pair = comparison.pairs[0]
    assert pair.sentence.startswith(beats)
    assert pair.word.endswith("(provisional)")
    reason = "sgd.learning_rate = 0.98 is close to"
    assert f"This is provisional because of W10: {reason}" in pair.sentence
    assert any(reason in text for text in comparison.verdict.weakened_by)


@pytest.mark.parametrize("scores", [EQUAL, SPREAD], ids=["equal", "not separated"])
def test_edge_of_a_range_makes_a_tie_provisional(scores):
    record = example_record(num_arms=2, pruner="none", test_scores=scores)
    comparison = compare(with_learning_rate(replace(record, delta=0.05), "sgd", 0.98))
    assert comparison.verdict.headline.startswith("Provisionally, ")
    assert comparison.pairs[0].sentence.startswith("Provisionally, ")
    assert comparison.pairs[0].word.endswith("(provisional)")


def test_edge_of_a_range_leaves_pairs_without_that_arm_alone():
    comparison = compare(with_learning_rate(RECORD, "rmsprop", 0.099))
    pair = next(p for p in comparison.pairs if {p.a, p.b} == {"adamw", "adam"})
    assert pair.sentence.startswith(
        "The configuration found for adamw beats the one found for adam"
    )


def test_general_arm_that_loses_is_called_under_tuned():
    sentence = compare(with_contains(WON, "adam", "sgd")).pairs[0].sentence
    assert sentence.startswith("adam is under-tuned: it contains sgd as a special case")
    assert " beats " not in sentence


def test_tie_breakers_have_a_fixed_order():
    cost, divergence, tuned = compare(RECORD).verdict.tie_breakers
    assert cost.startswith("The median cost to reach validation accuracy")
    assert divergence.startswith("Of the random trials, ")
    assert tuned.startswith("The search tuned ")


def test_one_winner_needs_no_tie_breakers():
    assert compare(WON).verdict.tie_breakers == ()


def test_cost_to_target_names_planned_epochs_and_clock():
    (cost, *_) = compare(RECORD).verdict.tie_breakers
    assert re.search(
        r"in runs planned for 8 epochs was \d epochs or [\d.]+ s for adamw \(reached", cost
    )


def test_seconds_that_cannot_be_compared_are_left_out():
    slow = RECORD.confirmations[-1]
    runs = tuple(
        replace(r, history=tuple(replace(e, train_seconds=99.0) for e in r.history))
        if r == slow
        else r
        for r in RECORD.confirmations
    )
    (cost, *_) = compare(replace(RECORD, confirmations=runs)).verdict.tie_breakers
    assert " s for adamw (reached" not in cost


def test_tuned_parameters_are_counted_without_fixed_ones():
    assert compare(RECORD).verdict.tie_breakers[-1] == (
        "The search tuned 4 parameters of adamw and 5 parameters of sgd."
    )


def test_unfinished_study_says_so_first():
    sentences = compare(replace(RECORD, finished=False)).verdict.sentences
    assert sentences[0] == "The study is not finished; these numbers will change."


def test_notes_are_printed_with_the_verdict():
    runs = tuple(replace(run, seed=run.seed + (run.arm == "sgd")) for run in WON.confirmations)
    sentences = compare(replace(WON, confirmations=runs)).verdict.sentences
    assert any("(W07): The arms were confirmed on different seeds" in text for text in sentences)


def test_names_with_braces_are_printed_as_they_are():
    arms = tuple(replace(arm, name=f"{{{arm.name}}}") for arm in WON.arms)
    rename = {
        key: tuple(replace(run, arm=f"{{{run.arm}}}") for run in getattr(WON, key))
        for key in ("trials", "confirmations")
    }
    headline = compare(replace(WON, arms=arms, **rename)).verdict.headline
    assert headline.startswith(
        "The configuration found for {sgd} beats the one found for {adam} on"
    )


@pytest.mark.parametrize(
    ("value", "half_width", "expected"),
    [
        (0.93456, 0.0021, "0.9346"),
        (0.93456, 0.021, "0.935"),
        (12.3456, 3.2, "12.3"),
        (1234.56, 320.0, "1235"),
        (0.1, math.inf, "0.1"),
        (0.123456, math.nan, "0.1235"),
        (math.nan, 0.1, "unknown"),
        (math.inf, 0.1, "infinite"),
    ],
)
def test_numbers_are_rounded_to_two_digits_of_the_half_width(value, half_width, expected):
    assert number(value, half_width) == expected


@pytest.mark.parametrize(
    ("function", "argument", "expected"),
    [
        (two_digits, 0.00469, "0.0047"),
        (two_digits, 0.0, "0"),
        (interval, (0.00123, 0.00456), "[0.0012, 0.0046]"),
        (p_value, 0.0469, "p = 0.047"),
        (p_value, 0.0002, "p < 0.001"),
        (join, [], ""),
        (join, ["a", "b", "c"], "a, b and c"),
    ],
)
def test_words_for_numbers_and_names(function, argument, expected):
    assert function(argument) == expected


@pytest.mark.parametrize(
    ("num_diverged", "end"),
    [
        (0, "No difference was shown (Fisher)."),
        (12, "A difference was shown between sgd and adam (Fisher, Holm p < 0.001)."),
    ],
)
def test_a_tie_breaker_says_whether_divergence_differs(num_diverged, end):
    record = example_record(
        num_arms=2, pruner="none", sampler="random", trials_per_arm=15, test_scores=EQUAL
    )
    wanted = {t.number for t in record.trials if (t.arm, t.phase) == ("adam", "random")}
    few = sorted(wanted)[:num_diverged]
    trials = tuple(
        replace(
            t,
            outcome="diverged" if t.number in few else "complete",
            score=0.1 if t.number in few else 0.9,
        )
        for t in record.trials
    )
    texts = compare(replace(record, trials=trials)).verdict.tie_breakers
    (divergence,) = [text for text in texts if " diverged for " in text]
    assert divergence.endswith(end)
