"""Cohort pruning: Optuna's pruners, each seeing only trials that may fairly be compared.

A cohort is an arm and a schedule: a cosine run looks worse than a constant one until its learning
rate has come down, so the two are never compared halfway. Every cohort is an in-memory Optuna
study of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import TrialState

from bakeoff.ranges import Params
from bakeoff.records import Direction, TrialConfig
from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class PrunerSpec:
    """A pruner that a study file may name."""

    name: str
    description: str
    build: Callable[[int], BasePruner]
    """From the number of complete trials a cohort needs first."""


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
    ),
)


def decision_epochs(pruner: str, config: TrialConfig) -> tuple[int, ...]:
    """The epochs after which a trial may be stopped.

    Never after the first evaluation, never before warm-up has ended, and not after the last epoch,
    when nothing is left to save.
    """
    if pruner == "none":
        return ()
    epochs = config.training.epochs
    warmup = float(config.scheduler_params.get("warmup_fraction", 0.0))
    return tuple(epoch for epoch in range(2, epochs) if epoch > warmup * epochs)


class Cohort:
    """The trials of one arm and one schedule, and the pruner that compares them."""

    def __init__(self, pruner: str, direction: Direction, startup_trials: int) -> None:
        self._study = optuna.create_study(
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=PRUNERS[pruner].build(startup_trials),
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
        """Whether the trial, as last reported, falls behind its cohort."""
        return bool(self._trials[number].should_prune())

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


def cohort_key(arm: str, params: Params) -> tuple[str, str]:
    """Arm and schedule: what must be equal for two trials to be compared early."""
    return arm, str(params["scheduler"])
