"""Cohort pruning: Optuna's pruners, each seeing only trials that may fairly be compared.

Every cohort is an in-memory Optuna study of its own.
"""

import math
from collections.abc import Callable, Container, Sequence
from typing import cast

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, PatientPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from bakeoff.components.pruners import FIRST_DECISION, PRUNERS, PrunerSettings, PrunerSpec
from bakeoff.records import (
    Decision,
    Direction,
    EpochResult,
    Standing,
    TrialConfig,
    TrialRecord,
)
from bakeoff.registry import resolve
from bakeoff.search.cohorts import CohortKey
from bakeoff.search.experimental import experimental_accepted


def build_patient(*, startup_trials: int, patience: int, min_delta: float) -> BasePruner:
    """The median pruner, for trials that have stopped improving."""
    with experimental_accepted():
        return PatientPruner(
            MedianPruner(n_startup_trials=startup_trials), patience=patience, min_delta=min_delta
        )


def build_pruner(spec: PrunerSpec, settings: PrunerSettings) -> BasePruner:
    """The Optuna pruner that an entry names."""
    if spec.build is None:
        return NopPruner()
    build = cast("Callable[..., BasePruner]", resolve(spec.build))
    return build(**spec.arguments(settings))


class VisibleTrials(InMemoryStorage):
    """An in-memory storage that shows some of its trials."""

    visible: Container[int] | None = None
    """Numbers of the trials that are shown; None shows all."""

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The visible ones of those asked for."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        shown = self.visible
        return trials if shown is None else [one for one in trials if one.number in shown]


class Cohort:
    """The trials of one arm and one schedule, and the pruner that compares them."""

    def __init__(
        self, pruner: str, direction: Direction, settings: PrunerSettings, name: str = "cohort"
    ) -> None:
        """Start without trials.

        Args:
            pruner: Name of one of Optuna's.
            direction: Of the objective.
            settings: Of the pruner.
            name: Decides, with the order of the trials, their brackets under hyperband.

        """
        self._storage = VisibleTrials()
        self._study = optuna.create_study(
            study_name=name,
            storage=self._storage,
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=build_pruner(PRUNERS[pruner], settings),
        )
        self._looks_back = settings.looks_back
        self._ended: set[int] = set()
        self._known: dict[int, frozenset[int]] = {}
        """Those that had ended when each trial began, and itself, by their numbers in the study."""
        self._trials: dict[int, optuna.Trial] = {}
        self._noted: dict[int, int] = {}
        """Last epoch of each trial that was reported."""
        self._judged: dict[int, tuple[int, bool]] = {}
        """The epoch at which each trial was last judged, and the answer."""

    def start(self, number: int) -> None:
        """A new trial joins."""
        self._trials[number] = trial = self._study.ask()
        self._known[number] = frozenset({*self._ended, trial.number})
        self._noted[number] = 0

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note a trial's objective after `epoch`; an epoch that is told again changes nothing."""
        if epoch > self._noted[number]:
            self._noted[number] = epoch
            self._trials[number].report(value, epoch)

    def should_prune(self, number: int) -> bool:
        """Whether the trial, as last reported, falls behind its cohort; never before it reports.

        Optuna is asked once at an epoch, because hyperband takes a second question for one at the
        next rung.
        """
        epoch = self._noted[number]
        if epoch == 0:
            return False
        if self._judged.get(number, (0, False))[0] < epoch:
            self._storage.visible = self._known[number] if self._looks_back else None
            self._judged[number] = epoch, bool(self._trials[number].should_prune())
            self._storage.visible = None
        return self._judged[number][1]

    def owed_epochs(self, epochs: int) -> int:
        """Epochs that its running trials have left."""
        return sum(epochs - self._noted[number] for number in self._trials)

    def finish(self, number: int, value: float | None, *, pruned: bool) -> None:
        """The trial has ended: with a final value, pruned, or (None) without a result."""
        trial = self._trials.pop(number)
        self._judged.pop(number, None)
        self._known.pop(number, None)
        self._ended.add(trial.number)
        if pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        elif value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)


class PrunedCohorts:
    """One of Optuna's pruners in every cohort of a study: a trial is stopped for good."""

    def __init__(
        self,
        pruner: str,
        objective: str,
        direction: Direction,
        settings: PrunerSettings,
        is_off: Callable[[CohortKey], bool] = lambda _: False,
    ) -> None:
        """Start without trials.

        Args:
            pruner: Name of one of Optuna's.
            objective: The metric that is compared.
            direction: Of the objective.
            settings: Of the pruner.
            is_off: Whether a cohort's trials are no longer pruned.
        """
        self._pruner = PRUNERS[pruner]
        self._is_off = is_off
        self._audited: set[int] = set()
        self._off: set[int] = set()
        """Trials whose cohort had switched pruning off when they began."""
        self._direction: Direction = direction
        self._settings = settings
        self._objective = objective
        self._cohorts: dict[CohortKey, Cohort] = {}

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """See `Cohorts`; every epoch after warm-up, but for the first and the last."""
        if self._pruner.build is None:
            return ()
        epochs = config.training.epochs
        warmup = float(config.scheduler_params.get("warmup_fraction", 0.0)) * epochs
        return tuple(epoch for epoch in range(FIRST_DECISION, epochs) if epoch > warmup)

    def start(self, key: CohortKey, number: int, *, audited: bool = False) -> None:
        """See `Cohorts`."""
        if audited:
            self._audited.add(number)
        if key not in self._cohorts:
            self._cohorts[key] = Cohort(
                self._pruner.name, self._direction, self._settings, "/".join(key)
            )
        self._cohorts[key].start(number)
        if self._is_off(key):
            self._off.add(number)

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """See `Cohorts`; a value that is not a number is no report."""
        value = result.metrics.get(self._objective, math.nan)
        if math.isnan(value):
            return
        self._cohorts[key].report(number, result.epoch, value)
        if self._pruner.remembers and result.epoch in rungs:
            self._cohorts[key].should_prune(number)

    def decide(self, key: CohortKey, number: int) -> Decision:
        """See `Cohorts`."""
        if not self._cohorts[key].should_prune(number):
            return "continue"
        is_off = number in self._off if self._settings.looks_back else self._is_off(key)
        return "exempt" if number in self._audited or is_off else "stop"

    def take_up(self, key: CohortKey, number: int) -> None:
        """See `Cohorts`; a study whose trials pause has another pruner."""
        raise ValueError(f"trial {number} of {key} is paused, but this pruner pauses none")

    def promote(self) -> None:
        """See `Cohorts`; nothing is ever paused."""

    def owed_epochs(self, epochs: int, arm: str | None = None) -> float:
        """See `Cohorts`; as if none were pruned."""
        return sum(
            cohort.owed_epochs(epochs)
            for key, cohort in self._cohorts.items()
            if arm in (None, key[0])
        )

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:  # noqa: ARG002
        """See `Cohorts`; a diverged trial sets no pace for others."""
        is_measure = record.outcome == "complete"
        self._cohorts[key].finish(
            record.number,
            record.score if is_measure else None,
            pruned=record.outcome == "pruned",
        )

    def standings(self, arm: str) -> dict[int, Standing]:  # noqa: ARG002
        """See `Cohorts`; the order is known only when trials have ended."""
        return {}
