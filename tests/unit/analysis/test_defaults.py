"""Library defaults that did better than what the search found."""

from dataclasses import replace

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.defaults import default_sentences
from bakeoff.analysis.findings import find
from record_examples import as_error_rate, example_record, unconfirmed


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
