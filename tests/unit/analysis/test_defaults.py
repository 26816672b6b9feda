"""Library defaults that did better than what the search found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.defaults import default_sentences
from bakeoff.analysis.findings import find
from bakeoff.records import Comparison, DefaultResult, StudyRecord
from record_examples import (
    as_error_rate,
    example_record,
    repeated,
    unconfirmed,
    with_test_score,
)


def with_default(record, arm, score, outcome="complete"):
    """The default configuration of `arm` with another score."""
    return replace(
        record,
        trials=tuple(
            replace(trial, score=score, outcome=outcome)
            if (trial.arm, trial.phase) == (arm, "default")
            else trial
            for trial in record.trials
        ),
    )


def test_a_default_that_is_clearly_ahead_is_mentioned_with_the_verdict():
    record = with_default(example_record(num_arms=2), "adam", 0.97)
    (sentence,) = default_sentences(find(record))
    adam = next(arm for arm in compare(record).arms if arm.arm == "adam")
    assert (
        "with its library defaults, adam had a validation accuracy of 0.97 in its one run"
        in sentence
    )
    assert (
        f"{adam.confirmed.validation_mean:.4g} on average over 8 fresh seeds as tuned" in sentence
    )
    assert sentence in compare(record).verdict.sentences
    expected = compare(example_record(num_arms=2)).verdict.headline
    assert compare(record).verdict.headline == expected


def test_before_confirmation_it_is_compared_with_the_search():
    record = with_default(unconfirmed(example_record(num_arms=2)), "sgd", 0.97)
    (sentence,) = default_sentences(find(record))
    assert "in the top one of 12 search trials" in sentence


@pytest.mark.parametrize(
    ("score", "outcome"),
    [(0.5, "complete"), (0.9305, "complete"), (None, "failed"), (0.97, "diverged")],
    ids=["behind", "within delta", "failed", "diverged"],
)
def test_no_sentence_on_a_default_that_is_not_clearly_ahead(score, outcome):
    record = with_default(example_record(num_arms=2), "sgd", score, outcome)
    assert list(default_sentences(find(record))) == []


def test_the_direction_of_the_metric_does_not_matter():
    record = as_error_rate(with_default(example_record(num_arms=2), "adam", 0.97))
    (sentence,) = default_sentences(find(record))
    assert "error of 0.03 in its one run" in sentence


TUNED = [0.90, 0.91, 0.90, 0.92, 0.91, 0.90, 0.91, 0.90]


def with_defaults(record: StudyRecord, scores: Mapping[str, Sequence[float]]) -> StudyRecord:
    """The study with the library defaults of these arms trained on its confirmation seeds."""
    runs = list(record.confirmations)
    for arm, own in scores.items():
        confirmed = [r for r in record.confirmations if (r.arm, r.purpose) == (arm, "confirm")]
        runs += [
            replace(
                with_test_score(run, score), number=len(record.confirmations) + place,
                purpose="default", phase="default", configuration=None, score=score,
            )
            for place, (run, score) in enumerate(zip(confirmed, own, strict=False))
        ]  # fmt: skip
    return replace(record, confirmations=tuple(runs))


def confirmed_study(**scores: Sequence[float]) -> Comparison:
    record = example_record(
        num_arms=2, test_scores={"sgd": TUNED, "adam": [score - 0.02 for score in TUNED]}
    )
    return compare(with_defaults(replace(record, delta=0.001), scores))


def result_of(comparison: Comparison, defaults_of: str, found_by: str) -> DefaultResult:
    wanted = (defaults_of, found_by)
    return next(r for r in comparison.defaults if (r.defaults_of, r.found_by) == wanted)


def test_defaults_that_beat_the_leader_are_in_the_headline() -> None:
    comparison = confirmed_study(adam=[score + 0.03 for score in TUNED])
    verdict = comparison.verdict
    assert verdict.headline.endswith("The library defaults of adam beat what the search found.")
    assert result_of(comparison, "adam", "sgd").defaults_win
    assert any(
        text.startswith("The library defaults of adam beat the configuration found for sgd")
        for text in verdict.weakened_by
    )


def test_defaults_that_are_not_shown_worse_than_the_leader_are_in_the_answer() -> None:
    spread = [score + (-1) ** place * 0.01 for place, score in enumerate(TUNED)]
    verdict = confirmed_study(sgd=spread).verdict
    assert "library defaults" not in verdict.headline
    assert any(
        "between the library defaults of sgd and the configuration found for sgd" in text
        for text in verdict.weakened_by
    )


def test_defaults_that_lose_weaken_nothing() -> None:
    comparison = confirmed_study(sgd=[score - 0.1 for score in TUNED])
    assert not any("library defaults" in text for text in comparison.verdict.weakened_by)
    (own,) = comparison.defaults
    assert (own.status, own.num_pairs) == ("clearly_better", 8)
    assert own.sentence.startswith(
        "The configuration found for sgd beats the library defaults of sgd on test accuracy"
    )


def test_defaults_stay_outside_the_correction_for_pairs() -> None:
    """With eight seeds and two arms, a line of defaults has the p value of a test of its own."""
    without = confirmed_study()
    given = confirmed_study(sgd=[score - 0.1 for score in TUNED])
    assert [pair.p_holm for pair in given.pairs] == [pair.p_holm for pair in without.pairs]
    assert given.defaults[0].p == 2 / 2**8


def test_the_summary_of_an_arm_has_its_confirmed_defaults() -> None:
    scores = [score - 0.1 for score in TUNED]
    comparison = confirmed_study(sgd=scores)
    summary = next(arm for arm in comparison.arms if arm.arm == "sgd")
    assert summary.default_confirmed is not None
    assert sorted(summary.default_confirmed.test_scores) == sorted(scores)
    assert summary.confirmed is not None
    assert summary.default_confirmed.seeds == summary.confirmed.seeds


def test_over_searches_defaults_count_once_for_each_repeat() -> None:
    parts = [
        with_defaults(
            example_record(
                num_arms=2, trials_per_arm=20, seed=repeat,
                test_scores={"sgd": [0.95] * 2, "adam": [0.9] * 2},
            ),
            {"sgd": [0.97, 0.99]},
        )
        for repeat in range(6)
    ]  # fmt: skip
    comparison = compare(repeated(parts))
    own = result_of(comparison, "sgd", "sgd")
    assert (comparison.level, own.num_pairs, own.p) == ("L2", 6, 2 / 2**6)
    assert own.mean == pytest.approx(-0.03)
    assert own.sentence.startswith("The library defaults of sgd beat tuned sgd")
