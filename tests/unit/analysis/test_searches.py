"""Repeated searches: which count, what arms are compared on, and what may then be said."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import find
from bakeoff.records import Comparison, StudyRecord
from record_examples import example_record, repeated, with_test_score

AHEAD = {"sgd": (0.94, 0.93, 0.95, 0.94, 0.93, 0.95), "adam": (0.90,) * 6}
"""The score of every search; each configuration has it on all of its seeds."""


def study(scores: Mapping[str, Sequence[float]] = AHEAD, **changes: object) -> StudyRecord:
    """Two arms, each searched as often as there are scores, 20 trials and 2 seeds a search."""
    number = max(map(len, scores.values()))
    parts = [
        example_record(
            num_arms=2,
            trials_per_arm=20,
            pruner="none",
            seed=repeat,
            test_scores={arm: [own[repeat]] * 2 for arm, own in scores.items()},
        )
        for repeat in range(number)
    ]
    return replace(repeated(parts), **changes)


def summary(comparison: Comparison, arm: str):
    return next(one for one in comparison.arms if one.arm == arm)


def test_six_searches_of_each_arm_speak_of_the_arms() -> None:
    comparison = compare(study(delta=0.005))
    assert (comparison.level, comparison.unit) == ("L2", "search")
    (pair,) = comparison.pairs
    assert pair.num_pairs == 6
    assert pair.p == 2 / 2**6
    assert pair.mean == pytest.approx(0.04)
    assert comparison.verdict.headline.startswith("sgd beats adam on test accuracy by 0.04")
    assert "the configuration" not in comparison.verdict.headline
    assert "6 paired searches" in pair.sentence


def test_a_search_counts_as_one_score_whatever_its_seeds() -> None:
    """Twelve seeds of six searches are no twelve units: the p value is that of six."""
    scores = {"sgd": (0.91, 0.93, 0.92, 0.90, 0.89, 0.94), "adam": (0.90,) * 6}
    comparison = compare(study(scores))
    over = summary(comparison, "sgd").over_searches
    assert over is not None
    assert over.scores == pytest.approx(scores["sgd"])
    assert over.mean == pytest.approx(sum(scores["sgd"]) / 6)
    assert comparison.pairs[0].num_units == (6, 6) or comparison.pairs[0].num_pairs == 6


def test_five_searches_are_too_few_and_the_report_says_so() -> None:
    comparison = compare(study({arm: own[:5] for arm, own in AHEAD.items()}))
    assert comparison.level == "L0"
    assert comparison.repeats_counted == 5
    assert comparison.min_repeats == 6
    assert comparison.verdict.headline == (
        "No verdict yet: every arm needs 6 searches with at least 20 trials and 2 confirmation"
        " seeds, and there are 5."
    )


@pytest.mark.parametrize(
    "why", ["it has 19 of at least 20 trials", "it has 1 of at least 2 confirmation seeds"]
)
def test_a_repeat_that_is_too_small_does_not_count_and_the_report_says_why(why) -> None:
    record = study()
    first = next(
        run
        for run in (*record.trials, *record.confirmations)
        if run.arm == "adam"
        and run.repeat == 3
        and run.phase != "default"
        and (run.purpose == "search" if "trials" in why else run.purpose == "confirm")
    )
    record = replace(
        record,
        trials=tuple(t for t in record.trials if t is not first),
        confirmations=tuple(t for t in record.confirmations if t is not first),
    )
    comparison = compare(record)
    assert [one.why_not for one in summary(comparison, "adam").searches].count(why) == 1
    assert comparison.repeats_counted == 5
    assert comparison.level == "L0"
    assert any(f"without these searches: search 4 of adam ({why})." in text
               for text in comparison.verdict.sentences)  # fmt: skip


def test_the_recommended_configuration_has_the_best_validation_mean() -> None:
    record = study()
    best = max(range(6), key=lambda repeat: 7 * repeat % 6)
    runs = tuple(
        replace(run, score=0.9 + 0.01 * (7 * run.repeat % 6)) if run.purpose == "confirm" else run
        for run in record.confirmations
    )
    for arm in compare(replace(record, confirmations=runs)).arms:
        chosen = next(one for one in arm.searches if one.repeat == best)
        assert (arm.chosen_trial, arm.chosen_params) == (chosen.chosen_trial, chosen.chosen_params)
        assert arm.confirmed == chosen.confirmed


def test_an_arm_is_not_better_for_the_seeds_of_one_lucky_search() -> None:
    """Forty-eight seeds in one repeat would be significant; six searches are not."""
    scores = {"sgd": (0.96, 0.90, 0.91, 0.90, 0.89, 0.90), "adam": (0.90,) * 6}
    comparison = compare(study(scores))
    assert comparison.pairs[0].status in ("no_difference_shown", "practically_equal")


def test_searches_without_common_seeds_are_compared_as_two_samples() -> None:
    record = study()
    runs = tuple(
        replace(run, seed=run.seed + 1) if run.arm == "adam" and run.seed is not None else run
        for run in record.confirmations
    )
    comparison = compare(replace(record, confirmations=runs))
    (pair,) = comparison.pairs
    assert comparison.level == "L2"
    assert pair.num_pairs == 0
    assert pair.p == pytest.approx(2 / math.comb(12, 6))


def test_a_search_that_found_nothing_is_an_outcome_and_not_left_out() -> None:
    record = study({arm: (*own, own[0]) for arm, own in AHEAD.items()})
    lost = {run.number for run in record.trials if (run.arm, run.repeat) == ("sgd", 2)}
    record = replace(
        record,
        trials=tuple(
            replace(t, outcome="diverged", score=0.1)
            if t.number in lost and t.phase != "default"
            else t
            for t in record.trials
        ),
        confirmations=tuple(
            run for run in record.confirmations if (run.arm, run.repeat) != ("sgd", 2)
        ),
    )
    comparison = compare(record)
    over = summary(comparison, "sgd").over_searches
    assert over is not None
    assert len(over.scores) == 7
    assert over.scores[2] == 0.0
    assert comparison.pairs[0].status == "no_difference_shown"


def test_below_the_needed_searches_the_first_repeat_is_compared() -> None:
    """An extended study keeps its answer until enough searches count."""
    alone = example_record(num_arms=2, trials_per_arm=20, pruner="none", arm_effects=(0.0, -0.02))
    more = example_record(num_arms=2, trials_per_arm=20, pruner="none", seed=1)
    extended = compare(repeated([alone, more]))
    assert extended.level == "L1"
    assert extended.pairs[0].mean == compare(alone).pairs[0].mean
    assert extended.verdict.headline == compare(alone).verdict.headline


def test_findings_of_a_study_without_repeats_have_one_search_per_arm() -> None:
    findings = find(example_record(num_arms=2, trials_per_arm=20))
    assert findings.units is findings.runs
    assert [len(own) for own in findings.searches.values()] == [1, 1]
    assert all(arm.over_searches is None for arm in findings.arms)


def test_diverged_seeds_of_a_search_make_it_a_failed_unit() -> None:
    record = study()
    runs = tuple(
        with_test_score(run, math.nan)
        if (run.arm, run.repeat, run.purpose) == ("adam", 1, "confirm")
        else run
        for run in record.confirmations
    )
    units = find(replace(record, confirmations=runs)).units
    assert units["adam"].diverged.tolist() == [False, True, False, False, False, False]
    assert not units["sgd"].diverged.any()
