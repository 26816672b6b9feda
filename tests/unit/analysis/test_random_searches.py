"""Searches drawn again from random trials: known answers, error rate and power."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.random_searches import compare_random_searches, random_search_sentences
from bakeoff.analysis.tuning import expected_best_of_k
from record_examples import example_record

A = np.array([0.3, 0.71, 0.7, 0.9, 0.2])
B = np.array([0.1, 0.4, 0.8, 0.25])


def test_the_difference_is_that_of_the_expected_best() -> None:
    found = compare_random_searches(A, B, 2, 0.95)
    assert found.mean == pytest.approx(expected_best_of_k(A, 2) - expected_best_of_k(B, 2))


def test_the_p_value_is_that_of_all_exchanges_of_trials() -> None:
    pooled = np.concatenate((A, B))
    observed = abs(expected_best_of_k(A, 2) - expected_best_of_k(B, 2))
    every = [
        abs(
            expected_best_of_k(pooled[list(own)], 2)
            - expected_best_of_k(np.delete(pooled, list(own)), 2)
        )
        for own in combinations(range(9), 5)
    ]
    exact = np.mean([one >= observed - 1e-12 for one in every])
    assert compare_random_searches(A, B, 2, 0.95).p == pytest.approx(exact, abs=0.02)


def random_study(gap: float, trials: int = 50, num_arms: int = 2, seed: int = 0):
    record = example_record(
        num_arms=num_arms, trials_per_arm=trials, sampler="random", pruner="none", num_seeds=0,
        seed=seed, arm_effects=(gap, 0.0, 0.0, 0.0),
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    return replace(
        record,
        trials=tuple(
            replace(t, score=float(rng.normal()) * 0.01 + 0.5 + gap * (t.arm == "sgd"))
            if t.phase != "default" and t.outcome == "complete"
            else t
            for t in record.trials
        ),
    )


def test_a_clear_difference_between_random_searches_is_stated_of_the_arms() -> None:
    record = random_study(0.05)
    (sentence,) = random_search_sentences(record)
    assert sentence.startswith("sgd beats adam in random searches of 10 trials: the expected best")
    assert "level L2 on validation" in sentence
    assert sentence in compare(record).effort


@pytest.mark.parametrize(
    "record",
    [
        replace(random_study(0.05), sampler="tpe", trials=tuple(
            replace(t, phase="model") if t.number % 2 else t for t in random_study(0.05).trials
        )),
        random_study(0.05, trials=19),
        example_record(num_arms=2, trials_per_arm=50, sampler="random", num_seeds=0),
    ],
    ids=["a sampler that learns", "too few trials", "pruned"],
)  # fmt: skip
def test_no_statement_where_trials_cannot_be_drawn_again(record) -> None:
    assert random_search_sentences(record) == ()


@pytest.mark.slow
def test_identical_arms_are_seldom_told_apart_and_a_gap_of_the_searches_is_found() -> None:
    """Skewed scores, 50 trials, k = 10; the gap is two deviations of the best of ten."""
    rng = np.random.default_rng(1)
    spread = np.std(np.max(1 - rng.exponential(0.1, (20_000, 10)), axis=1))

    def found(gap: float, number: int) -> float:
        claims = []
        for _ in range(number):
            a, b = 1 - rng.exponential(0.1, 50), 1 - rng.exponential(0.1, 50)
            one = compare_random_searches(a + gap, b, 10, 0.95)
            claims.append(one.p < 0.05 and (one.ci[0] > 0 or one.ci[1] < 0))
        return float(np.mean(claims))

    assert found(0.0, 300) <= 0.08
    assert found(2 * spread, 60) >= 0.8
