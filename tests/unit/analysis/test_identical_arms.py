"""The gate against winners between identical arms, by level; every figure is of the seeds here.

All arms have one response function and one search space, and draw their configurations on their
own. `python tests/unit/analysis/test_identical_arms.py` prints the table that the decision on levels
quotes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import optuna
import pytest

from aa_studies import (
    Searched,
    aa_config,
    drawn_studies,
    run_repeat,
    score_of,
    study_of,
    true_mean,
    with_gap,
)
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Findings, decide
from bakeoff.analysis.flags import raised_flags
from bakeoff.analysis.headline import headline
from bakeoff.records import ArmRecord, StudyConfig, StudyRecord
from bakeoff.records.significance import auto_seeds, repeats_needed
from bakeoff.space import build_arms
from claims import CLAIMS
from driven_study import drive
from study_examples import SimulatedEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

optuna.logging.set_verbosity(optuna.logging.ERROR)

NUM_STUDIES = 1_000
NUM_POWER = 200
NUM_STORED = 50
MOST_WRONG = 67
"""Of 1,000 at an error rate of 5 %: the 99 % quantile of the binomial distribution."""
MOST_ARMS = 4
REPEAT_SEEDS = 3
"""Confirmation seeds of a repeated search, which is what a study file gives by default."""
DELTA = 0.004
"""One standard deviation over seeds."""


@dataclass(frozen=True)
class Pool:
    """Repeats of four identical arms, each from the real search and confirmation."""

    config: StudyConfig
    arms: tuple[ArmRecord, ...]
    repeats: tuple[Searched, ...]

    def scores(self) -> np.ndarray:
        """The score of every search, [repeats, arms]: the mean over the seeds of a repeat."""
        return np.array([own.scores(REPEAT_SEEDS) for own in self.repeats])


@lru_cache(maxsize=3)
def pool_of(sampler: str = "random", number: int = NUM_STUDIES, num_arms: int = MOST_ARMS) -> Pool:
    num_seeds = max(auto_seeds(2), auto_seeds(num_arms))
    config = aa_config(num_arms, num_seeds, sampler=sampler)
    arms = build_arms(config)
    repeats = tuple(run_repeat(config, arms, repeat, num_seeds) for repeat in range(number))
    return Pool(config, tuple(arms), repeats)


def searched_once(num_arms: int, pool: Pool) -> Iterator[StudyRecord]:
    """One study for every repeat, confirmed on as many seeds as `auto` takes."""
    for own in pool.repeats:
        first = own.with_seeds(auto_seeds(num_arms))
        yield study_of(pool.config, pool.arms[:num_arms], [first], DELTA)


def searched_often(
    num_arms: int, pool: Pool, number: int = NUM_STUDIES, gap: float = 0.0
) -> Iterator[StudyRecord]:
    """Studies with as many repeats as the arms need; `gap` is added to all scores of one arm."""
    arms = pool.arms[:num_arms]
    repeats = [own.with_seeds(REPEAT_SEEDS) for own in pool.repeats]
    if gap:
        repeats = [with_gap(own, arms[0].name, gap) for own in repeats]
    for drawn in drawn_studies(repeats, repeats_needed(num_arms), number):
        yield study_of(pool.config, arms, drawn, DELTA)


def names_a_winner(findings: Findings) -> bool:
    return any(pair.winner for pair in findings.pairs)


def false_claims(findings: Findings) -> list[str]:
    """What is claimed of two configurations and is wrong for their true means."""
    truth = {arm.arm: true_mean(arm.chosen_params) for arm in findings.arms}
    wrong = []
    for pair in findings.pairs:
        gap = truth[pair.result.a] - truth[pair.result.b]
        ahead = gap if pair.result.mean > 0 else -gap
        status = pair.result.status
        if (
            (pair.winner and ahead <= 0)
            or (status == "clearly_better" and ahead < findings.delta)
            or (status == "practically_equal" and abs(gap) > findings.delta)
        ):
            wrong.append(f"{pair.names}: {status}, and the gap is {gap:.5f}")
    return wrong


class Outcome(NamedTuple):
    """What the gate counts of one study."""

    level: str
    names_a_winner: bool
    false_claims: tuple[str, ...]


def outcome(record: StudyRecord) -> Outcome:
    findings = decide(record)
    return Outcome(findings.level, names_a_winner(findings), tuple(false_claims(findings)))


@lru_cache(maxsize=4)
def outcomes(num_arms: int, *, repeated: bool) -> tuple[Outcome, ...]:
    studies = searched_often if repeated else searched_once
    return tuple(map(outcome, studies(num_arms, pool_of())))


def share(found: Iterable[object]) -> float:
    return float(np.mean([bool(one) for one in found]))


def found_shares(num_arms: int, pool: Pool, gap: float) -> float:
    """How often the better arm is found ahead of another one, over all pairs with it."""
    best = pool.arms[0].name
    found = [
        pair.winner == best
        for record in searched_often(num_arms, pool, NUM_POWER, gap)
        for pair in decide(record).pairs
        if best in pair.names
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("num_arms", [2, 4])
def test_of_identical_arms_few_studies_find_one_better_when_searches_are_repeated(num_arms) -> None:
    found = outcomes(num_arms, repeated=True)
    assert len(found) == NUM_STUDIES
    assert {one.level for one in found} == {"L2"}
    assert sum(one.names_a_winner for one in found) <= MOST_WRONG


@pytest.mark.parametrize("num_arms", [2, 4])
def test_an_arm_that_is_better_by_two_deviations_between_searches_is_found(num_arms) -> None:
    pool = pool_of()
    gap = 2 * float(pool.scores().std())
    assert found_shares(num_arms, pool, gap) >= 0.8


@pytest.mark.parametrize("num_arms", [2, 4])
def test_claims_about_the_configurations_of_one_search_are_seldom_wrong(num_arms) -> None:
    assert share(one.false_claims for one in outcomes(num_arms, repeated=False)) <= 0.05


@pytest.mark.parametrize("num_arms", [2, 4])
def test_the_same_claims_made_of_arms_would_fail_this_gate(num_arms) -> None:
    """What a report said before: the winner between two configurations is the better optimizer."""
    assert share(one.names_a_winner for one in outcomes(num_arms, repeated=False)) > 0.1


def test_after_one_search_the_words_are_about_configurations() -> None:
    for record in searched_once(4, pool_of("random", 50)):
        findings = decide(record)
        text = headline(findings, raised_flags(findings))
        assert "configuration" in text
        assert not any(text.startswith(f"{arm.name} ") for arm in record.arms)
        assert bool(CLAIMS.search(text)) == names_a_winner(findings)


def test_the_whole_comparison_decides_as_the_gate_does() -> None:
    pool = pool_of("random", 50)
    studies = [*list(searched_once(4, pool))[:2], next(searched_often(2, pool, 1))]
    for record in studies:
        comparison, found = compare(record), decide(record)
        assert comparison.level == found.level
        assert [pair.status for pair in comparison.pairs] == [p.result.status for p in found.pairs]
        assert comparison.verdict.headline == headline(found, raised_flags(found))


def test_the_search_that_learns_finds_no_better_arm_either() -> None:
    """TPE, which takes too long for a thousand studies."""
    studies = searched_often(2, pool_of("tpe", 60, 2), 300)
    assert share(outcome(record).names_a_winner for record in studies) <= 0.09


def test_studies_stored_in_sqlite_claim_as_seldom(tmp_path) -> None:
    """The driver, the storage and the record that reports read, for 50 studies of two arms."""
    config = aa_config(2, auto_seeds(2))
    engine = SimulatedEngine(
        curve=lambda run, epoch: score_of(
            {"adam.learning_rate": run.optimizer_params["learning_rate"], **dropout_of(run)},
            run.seed, run.optimizer, "validation",
        )
    )  # fmt: skip
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    records = [
        drive(replace(config, name=f"aa-{seed}", seed=seed), engine, url, tmp_path)
        for seed in range(NUM_STORED)
    ]
    assert all(len(record.trials) == 40 for record in records)
    found = [decide(replace(record, delta=DELTA)) for record in records]
    assert sum(bool(false_claims(one)) for one in found) <= 7
    assert sum(map(names_a_winner, found)) >= 3


def dropout_of(run) -> dict[str, float]:
    return {"model.dropout": run.model_params["dropout"]}


def figures(num_arms: int) -> tuple[float, ...]:
    """Shares of studies: a winner at L2, the gap found, wrong claims at L1, old wording."""
    pool = pool_of()
    often, once = (outcomes(num_arms, repeated=repeated) for repeated in (True, False))
    return (
        share(one.names_a_winner for one in often),
        found_shares(num_arms, pool, 2 * float(pool.scores().std())),
        share(one.false_claims for one in once),
        share(one.names_a_winner for one in once),
    )


if __name__ == "__main__":
    print("arms  repeats  seeds  L2 winner  2 SD found  L1 wrong  L1 winner of arms")
    for arms in (2, 4):
        row = "  ".join(f"{value:.3f}" for value in figures(arms))
        print(arms, repeats_needed(arms), auto_seeds(arms), row, flush=True)
