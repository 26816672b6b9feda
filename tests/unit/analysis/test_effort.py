import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.effort import favoured_stretches
from bakeoff.analysis.wording import SCOPE
from record_examples import as_error_rate, example_record, shuffled

RANDOM = {"sampler": "random", "pruner": "none", "trials_per_arm": 50}
BOUNDS = (0.0, 1.0)


def uniform(num, low, high, seed):
    return np.random.default_rng(seed).uniform(low, high, num)


def test_disjoint_arms_are_strong_evidence_at_every_budget():
    found = favoured_stretches(uniform(60, 0.7, 0.9, 0), uniform(60, 0.1, 0.3, 1), 12, BOUNDS)
    # at the largest budgets no trial bounds either curve from above
    assert (found[0].first, found[0].a_leads) == (1, True)
    assert found[0].last == 12


def test_equal_arms_are_not_separated():
    scores = uniform(50, 0.0, 1.0, 0)
    assert favoured_stretches(scores, scores, 10, BOUNDS) == ()


def test_crossing_curves_favour_one_arm_below_and_the_other_above():
    # one arm is always decent, the other rarely excellent
    steady = uniform(400, 0.60, 0.62, 0)
    gamble = np.where(np.arange(400) % 8 == 0, 0.9, 0.1) + uniform(400, 0.0, 0.01, 1)
    below, *_, above = favoured_stretches(steady, gamble, 80, BOUNDS)
    assert (below.first, below.a_leads, above.a_leads) == (1, True, False)
    # the best of k gambles is excellent with probability 1 - (7/8)**k, one half at k = 5.2
    assert below.last <= 5 < above.first


@pytest.mark.parametrize("largest", [0, 1, 2])
def test_fewer_than_three_budgets_say_nothing(largest):
    assert (
        favoured_stretches(uniform(9, 0.8, 0.9, 0), uniform(9, 0.1, 0.2, 1), largest, BOUNDS) == ()
    )


@pytest.mark.slow
def test_equal_arms_are_rarely_separated():
    pairs = (np.random.default_rng(seed).uniform(size=(2, 50)) for seed in range(400))
    found = [favoured_stretches(a, b, 10, BOUNDS) for a, b in pairs]
    strengths = [stretch.strength for stretches in found for stretch in stretches]
    assert strengths.count("strong") <= 4
    assert sum(map(bool, found)) <= 0.35 * 400


def test_sentences_name_the_scope_and_every_pair_once():
    sentences = compare(example_record(**RANDOM)).effort
    of_curves = [text for text in sentences if text.startswith("With up to 10 random trials")]
    assert (len(of_curves), len(sentences)) == (6, 2 * 6)  # and one on searches of 10 trials
    assert {True} == {sentence.endswith(f"{SCOPE}.") for sentence in sentences}


def test_sentences_depend_neither_on_order_nor_direction():
    record = example_record(**RANDOM)
    expected = compare(record).effort
    assert expected == compare(shuffled(record)).effort
    flipped = compare(as_error_rate(record)).effort
    assert [text.replace("accuracy", "error") for text in expected] == list(flipped)


@pytest.mark.parametrize(
    "settings",
    [{**RANDOM, "pruner": "halving"}, {**RANDOM, "trials_per_arm": 14}, {"startup_trials": 5}],
    ids=["pruned", "few trials", "model-based"],
)
def test_no_sentence_where_random_trials_do_not_support_one(settings):
    assert compare(example_record(**settings)).effort == ()
