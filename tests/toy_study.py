"""A toy model of training runs: scores without training, from seeded draws.

The score falls off quadratically in the logarithm of the learning rate, rises over the epochs, and
is lost when the learning rate is far too high. `record_examples` makes studies of such runs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from bakeoff.ranges import Choice, FloatRange, IntRange, Params, ParamValue
from bakeoff.records import (
    ConfirmConfig,
    EpochResult,
    EpochStatus,
    Outcome,
    Phase,
    Purpose,
    TrialRecord,
)
from bakeoff.seeding import derive_seed

CHANCE = 0.1
LEVEL = 0.93
SCHEDULERS = ("constant", "cosine", "one_cycle")
SCHEDULER_GAIN = {"constant": -0.006, "cosine": 0.0, "one_cycle": -0.001}
MIN_COMPLETE_TO_PRUNE = 3


@dataclass(frozen=True)
class ToyOptimizer:
    """Where an optimizer's learning rate is best in the toy model, and how it is searched."""

    name: str
    best_learning_rate: float
    default_learning_rate: float
    low: float
    high: float
    seconds_per_epoch: float


TOY_OPTIMIZERS = tuple(
    ToyOptimizer(*row)
    for row in (
        ("sgd", 1e-1, 1e-3, 1e-3, 1e0, 2.0),
        ("adam", 1e-3, 1e-3, 1e-5, 1e-1, 2.3),
        ("adamw", 2e-3, 1e-3, 1e-5, 1e-1, 2.4),
        ("rmsprop", 5e-4, 1e-2, 1e-5, 1e-1, 2.2),
        ("nadam", 1.5e-3, 2e-3, 1e-5, 1e-1, 2.5),
        ("radam", 1e-3, 1e-3, 1e-5, 1e-1, 2.5),
    )
)


def space_of(optimizer: ToyOptimizer) -> Mapping[str, FloatRange | IntRange | Choice | str]:
    """The search space of one arm, in the order it is sampled."""
    name = optimizer.name
    space: dict[str, FloatRange | IntRange | Choice | str] = {
        "optimizer": name,
        f"{name}.learning_rate": FloatRange(low=optimizer.low, high=optimizer.high, log=True),
        f"{name}.weight_decay": FloatRange(low=1e-6, high=1e-2, log=True),
    }
    if name in {"sgd", "rmsprop"}:
        space[f"{name}.momentum"] = FloatRange(low=0.0, high=0.99, natural_low=True)
    space["scheduler"] = Choice(choices=SCHEDULERS)
    space["one_cycle.warmup_fraction"] = FloatRange(low=0.1, high=0.4)
    return space


@dataclass(frozen=True, kw_only=True)
class ToyStudy:
    """Draws runs from a model in which the score falls off quadratically in log learning rate."""

    seed: int
    epochs: int
    seed_sd: float
    pruner: str
    sampler: str
    startup_trials: int
    rng: np.random.Generator

    def search(
        self,
        optimizers: Sequence[ToyOptimizer],
        effects: Mapping[str, float],
        trials_per_arm: int,
        *,
        defaults: bool,
    ) -> tuple[TrialRecord, ...]:
        """Trials dealt to the arms in turn, the defaults first."""
        numbers = count()
        trials = [
            self._default_trial(next(numbers), optimizer, effects[optimizer.name])
            for optimizer in optimizers
            if defaults
        ]
        for index in range(trials_per_arm):
            for optimizer in optimizers:
                own = [trial for trial in trials if trial.arm == optimizer.name]
                trials.append(
                    self._search_trial(next(numbers), index, optimizer, effects, finished=own)
                )
        return tuple(trials)

    def confirm(
        self,
        optimizers: Sequence[ToyOptimizer],
        effects: Mapping[str, float],
        trials: Sequence[TrialRecord],
        confirm: ConfirmConfig,
    ) -> tuple[TrialRecord, ...]:
        """Shortlist runs of each arm's best configurations, then confirmation runs of one."""
        runs: list[TrialRecord] = []
        for optimizer in optimizers if confirm.seeds else ():
            found = [
                trial for trial in trials
                if (trial.arm, trial.outcome) == (optimizer.name, "complete")
                and trial.phase != "default"
            ]  # fmt: skip
            best = sorted(found, key=lambda trial: -(trial.score or 0.0))[: confirm.shortlist]
            if best:
                runs += self._confirm_arm(optimizer, best, confirm, effects[optimizer.name])
        return tuple(replace(run, number=number) for number, run in enumerate(runs))

    def _confirm_arm(
        self,
        optimizer: ToyOptimizer,
        best: Sequence[TrialRecord],
        confirm: ConfirmConfig,
        effect: float,
    ) -> list[TrialRecord]:
        def repeat(found: TrialRecord, purpose: Purpose, index: int) -> TrialRecord:
            seed = derive_seed(self.seed, purpose, index)
            run = self._run(optimizer, found.params, effect, seed=seed, phase=found.phase)
            return replace(run, purpose=purpose, configuration=found.number)

        def shortlist_mean(found: TrialRecord) -> float:
            own = [run.score or 0.0 for run in shortlist if run.configuration == found.number]
            return float(np.mean(own or [found.score or 0.0]))

        seeds = range(confirm.shortlist_seeds)
        shortlist = [repeat(found, "shortlist", index) for found in best for index in seeds]
        chosen = max(best, key=shortlist_mean)
        confirmed = [repeat(chosen, "confirm", index) for index in range(confirm.seeds)]
        return shortlist + [self._with_test(run) for run in confirmed]

    def _default_trial(self, number: int, optimizer: ToyOptimizer, effect: float) -> TrialRecord:
        params: dict[str, ParamValue] = {
            "optimizer": optimizer.name,
            f"{optimizer.name}.learning_rate": optimizer.default_learning_rate,
            "scheduler": "constant",
        }
        seed = derive_seed(self.seed, "training", 0)
        run = self._run(optimizer, params, effect, seed=seed, phase="default")
        return replace(run, number=number)

    def _search_trial(
        self,
        number: int,
        index: int,
        optimizer: ToyOptimizer,
        effects: Mapping[str, float],
        *,
        finished: Sequence[TrialRecord],
    ) -> TrialRecord:
        is_random = self.sampler == "random" or index < self.startup_trials
        params = self._suggest(optimizer, is_random=is_random)
        seed = derive_seed(self.seed, "training", index)
        phase: Phase = "random" if is_random else "model"
        run = self._run(optimizer, params, effects[optimizer.name], seed=seed, phase=phase)
        trial = replace(run, number=number)
        return trial if self.pruner == "none" else _prune(trial, finished, self.epochs)

    def _suggest(self, optimizer: ToyOptimizer, *, is_random: bool) -> Params:
        best = math.log10(optimizer.best_learning_rate)
        low, high = math.log10(optimizer.low), math.log10(optimizer.high)
        drawn = self.rng.uniform(low, high) if is_random else self.rng.normal(best, 0.4)
        params: dict[str, ParamValue] = {
            "optimizer": optimizer.name,
            f"{optimizer.name}.learning_rate": float(10 ** np.clip(drawn, low, high)),
            f"{optimizer.name}.weight_decay": float(10 ** self.rng.uniform(-5.5, -2.5)),
        }
        if optimizer.name in {"sgd", "rmsprop"}:
            params[f"{optimizer.name}.momentum"] = float(self.rng.uniform(0.1, 0.9))
        params["scheduler"] = str(self.rng.choice(SCHEDULERS))
        if params["scheduler"] == "one_cycle":
            params["one_cycle.warmup_fraction"] = float(self.rng.uniform(0.15, 0.35))
        return params

    def _run(
        self, optimizer: ToyOptimizer, params: Params, effect: float, *, seed: int, phase: Phase
    ) -> TrialRecord:
        learning_rate = float(params[f"{optimizer.name}.learning_rate"])
        distance = math.log10(learning_rate / optimizer.best_learning_rate)
        diverged = distance > 0.9 and optimizer.name != "adamw"
        final = LEVEL + effect + SCHEDULER_GAIN[str(params["scheduler"])]
        final = max(CHANCE, final - 0.03 * distance**2 + self._noise(seed))
        history = self._history(final, learning_rate, optimizer, diverged=diverged)
        outcome: Outcome = "diverged" if diverged else "complete"
        return TrialRecord(
            number=0,
            arm=optimizer.name,
            params=params,
            outcome=outcome,
            score=CHANCE if diverged else history[-1].metrics["accuracy"],
            seed=seed,
            phase=phase,
            history=history,
            epochs_planned=self.epochs,
            stop_reason="loss is not finite" if diverged else "",
        )

    def _noise(self, seed: int) -> float:
        """Half of the variance belongs to the seed, so that pairing removes it."""
        shared = np.random.default_rng(seed).normal(0.0, self.seed_sd)
        return float(shared + self.rng.normal(0.0, self.seed_sd)) / math.sqrt(2)

    def _history(
        self, final: float, learning_rate: float, optimizer: ToyOptimizer, *, diverged: bool
    ) -> tuple[EpochResult, ...]:
        last = 2 if diverged else self.epochs
        results = []
        for epoch in range(1, last + 1):
            remaining = math.exp(-2.5 * epoch / self.epochs) - math.exp(-2.5)
            accuracy = final - (final - CHANCE) * 0.5 * remaining
            broken = diverged and epoch == last
            results.append(
                EpochResult(
                    epoch=epoch,
                    metrics=metrics_of(math.nan if broken else accuracy),
                    train_loss=math.nan if broken else 1.9 * (1.0 - accuracy),
                    learning_rate=learning_rate,
                    grad_norm=math.inf if broken else 1.5 * (1.0 - accuracy),
                    steps=422,
                    train_seconds=optimizer.seconds_per_epoch * self.rng.uniform(0.95, 1.05),
                    evaluate_seconds=0.3,
                    status=_status(broken=broken, finished=epoch == self.epochs),
                )
            )
        return tuple(results)

    def _with_test(self, run: TrialRecord) -> TrialRecord:
        if run.outcome == "diverged":
            return replace(run, test_metrics=metrics_of(CHANCE))
        offset = self.rng.normal(-0.003, self.seed_sd / 4)
        return replace(run, test_metrics=metrics_of(float(run.score or CHANCE) + offset))


def metrics_of(accuracy: float) -> dict[str, float]:
    """Every metric of a run with this accuracy."""
    return {"accuracy": accuracy, "loss": 2.3 * (1.0 - accuracy), "macro_f1": accuracy - 0.002}


def _status(*, broken: bool, finished: bool) -> EpochStatus:
    if broken:
        return "diverged"
    return "finished" if finished else "running"


def _prune(trial: TrialRecord, finished: Sequence[TrialRecord], epochs: int) -> TrialRecord:
    """Stop after half the schedule where that is below the median of the arm's complete trials."""
    half = epochs // 2
    complete = [other for other in finished if other.outcome == "complete"]
    if trial.outcome != "complete" or len(complete) < MIN_COMPLETE_TO_PRUNE:
        return trial
    rung = [other.values("accuracy")[half - 1] for other in complete]
    if trial.values("accuracy")[half - 1] >= float(np.median(rung)):
        return trial
    history = trial.history[:half]
    return replace(
        trial,
        outcome="pruned",
        history=history,
        score=max(result.metrics["accuracy"] for result in history),
        stop_reason=f"below the median at epoch {half} of {epochs}",
    )
