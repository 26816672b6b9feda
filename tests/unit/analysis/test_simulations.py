"""Known answer N: how often the rules are wrong, and how often they find what is there.

Every figure that the comments quote is of the seeds here.
"""

import warnings
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from scipy import stats

from bakeoff.analysis.confirmation import ConfirmedRuns
from bakeoff.analysis.pairs import compare_pairs, leading_group
from bakeoff.analysis.statistics import holm, sign_flip_p
from bakeoff.analysis.tuning import (
    expected_best_interval,
    expected_best_of_k,
    probability_best_interval,
)
from bakeoff.records import TrialRecord

pytestmark = pytest.mark.slow

ARMS = ("a", "b", "c", "d")
NUM_SEEDS = 10
DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(2, size=shape),
    "skewed": lambda rng, shape: -rng.exponential(size=shape),
}


def leaders(scores: np.ndarray, delta: float = 0.1) -> tuple[str, ...]:
    """The leading group of four arms with these test scores [M, K]."""
    runs = {
        arm: ConfirmedRuns(
            arm=arm,
            configuration=0,
            runs=tuple(
                TrialRecord(number=n, arm=arm, params={}, outcome="complete", score=None, seed=n)
                for n in range(NUM_SEEDS)
            ),
            test=own,
            diverged=np.zeros(NUM_SEEDS, dtype=bool),
        )
        for arm, own in zip(ARMS, scores, strict=True)
    }
    pairs = compare_pairs(ARMS, runs, sign=1, delta=delta, blocked=False)
    return leading_group(ARMS, runs, pairs, needed=9)


@pytest.mark.parametrize("name", DRAWS)
def test_equal_arms_give_any_claim_in_at_most_five_percent_of_reports(name):
    rng = np.random.default_rng(0)
    found = [len(leaders(DRAWS[name](rng, (4, NUM_SEEDS)))) < len(ARMS) for _ in range(1_000)]
    assert np.mean(found) <= 0.05


@pytest.mark.parametrize(("shift", "least", "most"), [(2.0, 0.7, 0.95), (1.5, 0.35, 0.6)])
def test_an_arm_that_is_better_by_so_many_deviations_is_found_so_often(shift, least, most):
    """Against any of the three equal arms."""
    rng = np.random.default_rng(0)
    ahead = np.array([[shift], [0.0], [0.0], [0.0]])
    found = ["b" not in leaders(rng.normal(size=(4, NUM_SEEDS)) + ahead) for _ in range(500)]
    assert least <= np.mean(found) <= most


def test_only_holm_over_all_pairs_keeps_the_error_of_a_leader_chosen_from_the_same_scores():
    rng = np.random.default_rng(0)
    wrong = np.zeros(3)
    for _ in range(2_000):
        scores = rng.normal(size=(4, NUM_SEEDS))
        leader = int(np.argmax(scores.mean(axis=1)))
        p = {(i, j): sign_flip_p(scores[i] - scores[j]) for i in range(4) for j in range(i)}
        of_leader = [pair for pair in p if leader in pair]
        corrected = dict(zip(p, holm(np.array(list(p.values()))), strict=True))
        wrong += [
            min(p[pair] for pair in of_leader) < 0.05,
            holm(np.array([p[pair] for pair in of_leader])).min() < 0.05,
            min(corrected[pair] for pair in of_leader) < 0.05,
        ]
    uncorrected, leader_only, all_pairs = wrong / 2_000
    assert 0.15 <= uncorrected <= 0.25
    assert 0.05 < leader_only < uncorrected
    assert all_pairs <= 0.05


# ---------------------------------------------------------------- search scores


def skewed_scores(rng: np.random.Generator, num: int) -> np.ndarray:
    """Scores, 15 % of them from diverged trials."""
    return np.where(rng.random(num) < 0.15, 0.1, 1 - rng.exponential(0.1, num))


def coverage(num: int, k: int, repeats: int = 200) -> float:
    rng = np.random.default_rng(k)
    truth = expected_best_of_k(skewed_scores(np.random.default_rng(99), 200_000), k)
    found = (expected_best_interval(skewed_scores(rng, num), k) for _ in range(repeats))
    return float(np.mean([low <= truth <= high for low, high in found]))


def test_the_bootstrap_covers_to_a_fifth_of_the_trials_and_not_beyond():
    """The reason for the rule that no statement is made for k above n / 5."""
    assert min(coverage(50, k) for k in (1, 2, 5, 10)) >= 0.88
    assert coverage(50, 25) <= 0.88
    assert coverage(50, 50) <= 0.7


def test_the_interval_of_the_probability_to_be_better_covers_it():
    """Scores x and x ** 2: the first is better with probability 2 / 3 at every k."""
    rng = np.random.default_rng(0)
    found = [
        probability_best_interval(rng.uniform(size=50) ** 0.5, rng.uniform(size=50), 5)
        for _ in range(300)
    ]
    assert np.mean([low <= 2 / 3 <= high for low, high in found]) >= 0.9


def toy_search(sampler: optuna.samplers.BaseSampler) -> np.ndarray:
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.optimize(
        lambda trial: 1 - sum((trial.suggest_float(name, 0, 1) - 0.7) ** 2 for name in "xyz"), 50
    )
    return np.array([trial.value for trial in study.trials])


def test_trials_of_a_sampler_that_learns_promise_too_much_of_few_trials():
    """The reason why such trials are not part of a tuning curve."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learned = [
            expected_best_of_k(toy_search(optuna.samplers.TPESampler(seed=seed)), 3)
            for seed in range(15)
        ]
    drawn = [
        expected_best_of_k(toy_search(optuna.samplers.RandomSampler(seed=seed)), 3)
        for seed in range(15)
    ]
    rng = np.random.default_rng(0)
    truth = float(np.mean(1 - ((rng.random((20_000, 3, 3)) - 0.7) ** 2).sum(axis=2).min(axis=1)))
    assert np.mean(drawn) == pytest.approx(truth, abs=3 * stats.sem(drawn))
    assert np.mean(learned) > truth + 0.03
