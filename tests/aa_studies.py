"""Studies of identical arms: searched and confirmed by the real classes, with simulated training.

A run's score is a smooth function of its hyperparameters plus noise that depends on its seed, so
the true mean of every configuration is known. All arms have the same function and the same ranges,
and each draws its own configurations: no arm is better than another, although the configurations
found for them differ.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bakeoff.ranges import Params
from bakeoff.records import (
    ArmRecord,
    EpochResult,
    MetricInfo,
    StudyConfig,
    StudyRecord,
    TrialPlan,
    TrialRecord,
)
from bakeoff.search.arms import Search
from bakeoff.search.confirm import Confirmation
from bakeoff.seeding import derive_seed
from bakeoff.studyfile import resolve_study
from study_examples import study_document

OPTIMIZERS = ("adam", "adamw", "nadam", "radam")
SEED_SD = 0.004
"""Standard deviation of a score over training seeds."""
METRIC = MetricInfo(name="score", direction="maximize", low=-math.inf, high=math.inf)
FIXED = {"weight_decay": 1e-4, "beta1": 0.9}


def aa_config(num_arms: int, num_seeds: int, *, sampler: str = "random") -> StudyConfig:
    """A study of identical arms with 20 trials each, whose runs have one epoch."""
    return resolve_study(
        study_document(
            model={"model": "mlp", "width": 16, "depth": 1, "dropout": {"low": 0.0, "high": 0.5}},
            training={"epochs": 1},
            search={
                "optimizers": list(OPTIMIZERS[:num_arms]), "schedulers": ["constant"],
                "sampler": sampler, "pruner": "halving", "trials_per_arm": 20, "defaults": False,
                "startup_trials": 5,
            },
            space={
                **dict.fromkeys(OPTIMIZERS[:num_arms], FIXED),
                "constant": {"warmup_fraction": 0.0},
            },
            confirm={"seeds": num_seeds, "shortlist": 3, "shortlist_seeds": 3},
        )
    )  # fmt: skip


def true_mean(params: Params) -> float:
    """The mean score of a configuration over seeds."""
    rate = next(float(value) for name, value in params.items() if name.endswith("learning_rate"))
    distance = math.log10(rate) + 3
    dropout = float(params["model.dropout"])
    return 0.97 - 0.02 * distance**2 - 0.25 * (dropout - 0.2) ** 2


def score_of(params: Params, seed: int, arm: str, part: str) -> float:
    """The score of a run; validation and test noise are independent of each other."""
    noise = np.random.default_rng((seed, derive_seed(arm, part))).normal()
    return true_mean(params) + SEED_SD * float(noise)


@dataclass(frozen=True)
class Searched:
    """One repeat of all arms."""

    trials: tuple[TrialRecord, ...]
    confirmations: tuple[TrialRecord, ...]

    def with_seeds(self, number: int) -> "Searched":
        """The same repeat, confirmed on its first seeds only."""
        seeds = dict.fromkeys(run.seed for run in self.confirmations if run.purpose == "confirm")
        kept = set(list(seeds)[:number])
        return replace(
            self,
            confirmations=tuple(
                run for run in self.confirmations if run.purpose != "confirm" or run.seed in kept
            ),
        )

    def scores(self, number: int) -> list[float]:
        """The mean test score of each arm's configuration over its first seeds."""
        runs = [run for run in self.with_seeds(number).confirmations if run.purpose == "confirm"]
        arms = dict.fromkeys(run.arm for run in self.trials)
        return [
            float(np.mean([run.test_metrics[METRIC.name] for run in runs if run.arm == arm]))
            for arm in arms
        ]


def with_gap(searched: Searched, arm: str, gap: float) -> Searched:
    """The same repeat with `gap` added to every score of one arm, whose choices stay the same."""

    def moved(run: TrialRecord) -> TrialRecord:
        if run.arm != arm or run.score is None:
            return run
        tested = {name: value + gap for name, value in run.test_metrics.items()}
        return replace(run, score=run.score + gap, test_metrics=tested)

    return Searched(tuple(map(moved, searched.trials)), tuple(map(moved, searched.confirmations)))


def drawn_studies(
    repeats: Sequence[Searched], number: int, num_studies: int
) -> Iterator[list[Searched]]:
    """Studies of `number` repeats: the first one is each study's own, the others are drawn.

    A study's repeats are independent of each other, and so are its arms. Drawing them from a pool
    lets a thousand studies share the searches of a thousand repeats instead of ten thousand.
    """
    rng = np.random.default_rng(0)
    for first in range(num_studies):
        own = first % len(repeats)
        others = [place for place in range(len(repeats)) if place != own]
        drawn = rng.choice(others, number - 1, replace=False)
        yield [repeats[place] for place in (own, *drawn)]


def run_repeat(
    config: StudyConfig, arms: Sequence[ArmRecord], repeat: int, num_seeds: int
) -> Searched:
    """Search all arms once, compare the shortlists and confirm the chosen configurations."""
    own = replace(config, confirm=replace(config.confirm, seeds=num_seeds, repeat_seeds=num_seeds))
    search = Search(own, arms, "maximize", repeat=repeat)
    trials = _drive(search, "search", repeat)
    confirmation = Confirmation(own, arms, trials, METRIC, repeat=repeat)
    return Searched(tuple(trials), tuple(_drive(confirmation, "confirm", repeat)))


def _drive(source: Search | Confirmation, kind: str, repeat: int) -> list[TrialRecord]:
    """Run everything that a source of runs asks for, one run at a time."""
    records: list[TrialRecord] = []
    while (plan := source.next()) is not None:
        number = len(records)
        source.started(number, plan)
        record = _train(plan, number, repeat)
        if kind == "search":
            source.decide(number, plan, record.history[-1])
        source.finish(plan, record)
        records.append(record)
    return records


def _train(plan: TrialPlan, number: int, repeat: int) -> TrialRecord:
    score = score_of(plan.params, plan.seed, plan.arm, "validation")
    tested = plan.purpose == "confirm"
    return TrialRecord(
        number=number, arm=plan.arm, params=plan.params, outcome="complete", score=score,
        seed=plan.seed, phase=plan.phase, purpose=plan.purpose, configuration=plan.configuration,
        history=(EpochResult(epoch=1, metrics={METRIC.name: score}, status="finished"),),
        epochs_planned=1, repeat=repeat,
        test_metrics={METRIC.name: score_of(plan.params, plan.seed, plan.arm, "test")}
        if tested else {},
    )  # fmt: skip


def study_of(
    config: StudyConfig, arms: Sequence[ArmRecord], repeats: Sequence[Searched], delta: float
) -> StudyRecord:
    """The record of a study with these repeats of the first arms, numbered in their order."""
    names = {arm.name for arm in arms}
    trials: list[TrialRecord] = []
    confirmations: list[TrialRecord] = []
    for repeat, own in enumerate(repeats):
        first, after = len(trials), len(confirmations)
        numbers = {t.number: first + place for place, t in enumerate(own.trials)}
        trials += [
            replace(t, number=numbers[t.number], repeat=repeat)
            for t in own.trials
            if t.arm in names
        ]
        confirmations += [
            replace(
                run, number=after + run.number, repeat=repeat,
                configuration=numbers[run.configuration or 0],
            )
            for run in own.confirmations
            if run.arm in names
        ]  # fmt: skip
    return StudyRecord(
        name="aa", question="Which of these identical arms is better?", objective=METRIC,
        score_rule="last_epoch", epochs=1, arms=tuple(arms), trials=tuple(trials),
        confirmations=tuple(confirmations), trials_per_arm=20, sampler=config.search.sampler,
        pruner=config.search.pruner, confirm=config.confirm, delta=delta, finished=True,
        repeats=len(repeats),
    )  # fmt: skip
