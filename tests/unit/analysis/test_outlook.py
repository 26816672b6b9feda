"""What it would take to show a difference between two arms."""

from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import find
from bakeoff.analysis.outlook import outlook_sentences, step_to_verdict
from bakeoff.analysis.power import seeds_to_decide
from bakeoff.records import StudyRecord
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import repeats_needed
from record_examples import all_outcomes, example_record, repeated

SD = 0.002


def record_of(gap: float, num_seeds: int = 8) -> StudyRecord:
    """Two arms whose mean difference is exactly `gap`, with a known spread."""
    spread = np.resize([1.0, -1.0], num_seeds) * SD
    scores = {"sgd": (0.9 + gap + spread).tolist(), "adam": [0.9] * num_seeds}
    record = example_record(num_arms=2, trials_per_arm=5, test_scores=scores)
    return replace(record, delta=1e-6)  # so that every difference matters


def sentences(record: StudyRecord) -> list[str]:
    return list(outlook_sentences(find(record)))


def test_seeds_and_time_are_those_of_the_estimate() -> None:
    record = record_of(gap=0.0012)
    runs = [run for run in record.confirmations if run.purpose == "confirm"]
    sgd, adam = (np.array([r.test_metrics["accuracy"] for r in runs if r.arm == arm])
                 for arm in ("sgd", "adam"))  # fmt: skip
    differences = sgd - adam
    needed = seeds_to_decide(float(differences.mean()), float(differences.std(ddof=1)), 2)
    assert needed is not None
    assert needed > 8
    seconds = sum(
        np.median([r.train_seconds + r.evaluate_seconds for r in runs if r.arm == arm])
        for arm in ("sgd", "adam")
    )
    (sentence,) = sentences(record)
    assert f"about {needed} seeds for each, {needed - 8} more than now" in sentence
    assert (
        f"(about {format_estimate((needed - 8) * seconds)} at the speed of the runs so far"
        in sentence
    )


def test_too_few_seeds_ask_for_the_missing_ones() -> None:
    (sentence,) = sentences(record_of(gap=0.0012, num_seeds=4))
    assert sentence.startswith("A verdict on sgd and adam needs 2 more seeds for each (about ")


@pytest.mark.parametrize("gap", [0.02, 0.0])
def test_no_sentence_where_it_is_decided_or_there_is_no_difference(gap: float) -> None:
    assert sentences(record_of(gap=gap)) == []


def test_a_hopeless_difference_is_called_so() -> None:
    (sentence,) = sentences(record_of(gap=1e-7))
    assert sentence.startswith(
        "No affordable number of seeds would separate the configurations found for sgd and adam"
    )


def test_no_sentence_without_confirmation_or_with_a_shared_sampler() -> None:
    record = record_of(gap=0.0012)
    assert sentences(replace(record, confirmations=())) == []
    assert sentences(replace(record, shared_sampler=True)) == []


OPEN = example_record(num_arms=3, num_seeds=3)
CONTINUE = "To get a verdict, continue with `study run FILE`: it confirms what it has found."


@pytest.mark.parametrize(
    ("record", "step"),
    [
        (OPEN, 'set seeds = "auto" in [confirm] of the study file (9 for this many arms)'),
        (replace(OPEN, confirmations=()), "continue with `study run FILE --extend`."),
        (replace(example_record(), confirmations=(), finished=False), CONTINUE),
        (replace(example_record(), trials=(), confirmations=(), finished=False), CONTINUE),
        (replace(OPEN, foreign=True, shared_sampler=True), "`study init` begins one."),
    ],
    ids=["few seeds", "no seeds", "running", "not begun", "foreign"],
)
def test_without_a_verdict_the_next_step_towards_one_is_given(
    record: StudyRecord, step: str
) -> None:
    verdict = compare(record).verdict
    assert step in verdict.next_step
    assert verdict.next_step in verdict.sentences


@pytest.mark.parametrize(
    "record",
    [
        example_record(),
        example_record(num_arms=1, num_seeds=0),
        all_outcomes(OPEN, "diverged"),
        replace(OPEN, shared_sampler=True),
    ],
    ids=["decided", "one arm", "all diverged", "own but shared"],
)
def test_no_step_is_given_where_more_runs_would_not_help(record: StudyRecord) -> None:
    assert step_to_verdict(find(record)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (4.25, "4.2 s"),
        (99, "99 s"),
        (150, "2 min"),
        (40.0, "40 s"),
        (600.0, "10 min"),
        (7199.0, "2.0 h"),
        (12_600.0, "3.5 h"),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_estimate(seconds) == text


def test_after_one_search_the_step_to_the_arms_gives_searches_and_time() -> None:
    """Nine more searches of four arms: each takes what the first one took, with 3 seeds of 10."""
    record = example_record(trials_per_arm=20, num_seeds=10, shortlist_seeds=3)
    runs = (*record.trials, *record.confirmations)
    total = sum(run.train_seconds + run.evaluate_seconds for run in runs)
    seeds = sum(
        run.train_seconds + run.evaluate_seconds for run in runs if run.purpose == "confirm"
    )
    wanted = repeats_needed(4)
    step = compare(record).verdict.next_step
    assert f"set repeats = {wanted} in [search]" in step
    expected = format_estimate((wanted - 1) * (total - 0.7 * seeds))
    assert f"({wanted - 1} more, about {expected} one after the other)" in step


def test_a_search_of_too_few_trials_cannot_be_repeated() -> None:
    step = compare(example_record(trials_per_arm=12)).verdict.next_step
    assert "begin a study with trials_per_arm = 20 and repeats = 10" in step


def test_enough_searches_need_no_further_step() -> None:
    parts = [
        example_record(
            num_arms=2, trials_per_arm=20, num_seeds=2, seed=seed, arm_effects=(0.0, -0.02)
        )
        for seed in range(6)
    ]
    assert compare(repeated(parts)).verdict.next_step == ""


@pytest.mark.parametrize(
    ("finished", "repeats", "step"),
    [
        (False, 7, "To get a verdict, continue with `study run FILE`."),
        (True, 3, "To get a verdict, set repeats = 7 in [search] of the study file and continue"),
    ],
)
def test_a_study_with_too_few_searches_says_how_to_get_more(
    *, finished: bool, repeats: int, step: str
) -> None:
    parts = [
        example_record(num_arms=2, trials_per_arm=20, num_seeds=2, seed=seed) for seed in range(3)
    ]
    record = replace(repeated(parts), finished=finished, repeats=repeats)
    assert compare(record).verdict.next_step.startswith(step)
