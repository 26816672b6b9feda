"""Cohort pruning: Optuna's pruners, each seeing only trials that may fairly be compared.

Every cohort is an in-memory Optuna study of its own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import TrialState

from bakeoff.records import Direction, EpochResult, TrialConfig, TrialRecord
from bakeoff.registry import Registry
from bakeoff.search.cohorts import CohortKey, Decision, Standing
from bakeoff.search.halving import rung_epochs


@dataclass(frozen=True, kw_only=True)
class PrunerSpec:
    """A pruner that a study file may name."""

    name: str
    description: str
    build: Callable[[int], BasePruner] | None
    """From the number of complete trials a cohort needs first; None for our own halving."""


def _build_median(startup_trials: int) -> BasePruner:
    return MedianPruner(n_startup_trials=startup_trials, n_warmup_steps=0)


PRUNERS = Registry(
    "pruner",
    (
        PrunerSpec(
            name="none", description="every trial runs to the end", build=lambda _: NopPruner()
        ),
        PrunerSpec(
            name="median",
            description="stop a trial whose best value is below its cohort's median at that epoch",
            build=_build_median,
        ),
        PrunerSpec(
            name="halving",
            description="pause a trial at 1/27, 1/9 and 1/3 of its schedule, until it is in its"
            " cohort's best quarter",
            build=None,
        ),
    ),
)


def decision_epochs(pruner: str, config: TrialConfig) -> tuple[int, ...]:
    """The epochs after which a trial may be stopped.

    Never after the first evaluation, never before warm-up has ended, and not after the last epoch,
    when nothing is left to save.
    """
    if pruner == "none":
        return ()
    if pruner == "halving":
        return rung_epochs(config)
    epochs = config.training.epochs
    warmup = float(config.scheduler_params.get("warmup_fraction", 0.0))
    return tuple(epoch for epoch in range(2, epochs) if epoch > warmup * epochs)


class Cohort:
    """The trials of one arm and one schedule, and the pruner that compares them."""

    def __init__(self, pruner: str, direction: Direction, startup_trials: int) -> None:
        """Start without trials.

        Args:
            pruner: Name of one of Optuna's.
            direction: Of the objective.
            startup_trials: Complete trials needed before one may be stopped.

        Raises:
            ValueError: The pruner is none of Optuna's.
        """
        build = PRUNERS[pruner].build
        if build is None:
            raise ValueError(f"pruner {pruner!r} is none of Optuna's")
        self._study = optuna.create_study(
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=build(startup_trials),
        )
        self._trials: dict[int, optuna.Trial] = {}
        self._noted: set[tuple[int, int]] = set()

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note a trial's objective after `epoch`; a value already noted stays as it is."""
        if number not in self._trials:
            self._trials[number] = self._study.ask()
        if (number, epoch) not in self._noted:
            self._noted.add((number, epoch))
            self._trials[number].report(value, epoch)

    def should_prune(self, number: int) -> bool:
        """Whether the trial, as last reported, falls behind its cohort; never before it reports."""
        return number in self._trials and bool(self._trials[number].should_prune())

    def finish(self, number: int, value: float | None, *, pruned: bool) -> None:
        """The trial has ended: with a final value, pruned, or (None) without a result."""
        trial = self._trials.pop(number, None)
        if trial is None:
            return  # it never reported, so nobody is compared with it
        if pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        elif value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)


class PrunedCohorts:
    """One of Optuna's pruners in every cohort of a study: a trial is stopped for good."""

    def __init__(
        self, pruner: str, objective: str, direction: Direction, startup_trials: int
    ) -> None:
        self._pruner = pruner
        self._direction: Direction = direction
        self._startup_trials = startup_trials
        self._objective = objective
        self._cohorts: dict[CohortKey, Cohort] = {}

    def _cohort(self, key: CohortKey) -> Cohort:
        if key not in self._cohorts:
            self._cohorts[key] = Cohort(self._pruner, self._direction, self._startup_trials)
        return self._cohorts[key]

    def start(self, key: CohortKey, number: int) -> None:
        """See `Cohorts`; a trial counts from its first report."""

    def report(
        self,
        key: CohortKey,
        number: int,
        rungs: Sequence[int],  # noqa: ARG002 - Optuna's pruners compare at every epoch
        result: EpochResult,
    ) -> None:
        """See `Cohorts`; a value that is not a number is no report."""
        value = result.metrics.get(self._objective, math.nan)
        if not math.isnan(value):
            self._cohort(key).report(number, result.epoch, value)

    def decide(self, key: CohortKey, number: int) -> Decision:
        """See `Cohorts`."""
        return "stop" if self._cohort(key).should_prune(number) else "continue"

    def take_up(self, key: CohortKey, number: int) -> None:
        """See `Cohorts`; a study whose trials pause has another pruner."""
        raise ValueError(f"trial {number} of {key} is paused, but this pruner pauses none")

    def promote(self) -> int | None:
        """See `Cohorts`; nothing is ever paused."""
        return None

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:  # noqa: ARG002
        """See `Cohorts`; a diverged trial sets no pace for others."""
        is_measure = record.outcome == "complete"
        self._cohort(key).finish(
            record.number,
            record.score if is_measure else None,
            pruned=record.outcome == "pruned",
        )

    def standings(self, arm: str) -> dict[int, Standing]:  # noqa: ARG002
        """See `Cohorts`; the order is known only when trials have ended."""
        return {}
