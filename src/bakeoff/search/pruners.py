"""Pruning with Optuna's pruners, each of which sees only trials that may fairly be compared.

Every cohort is an in-memory Optuna study of its own.
"""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import cast

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, PatientPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from bakeoff.components.pruners import FIRST_DECISION, PRUNERS, PrunerSettings, PrunerSpec
from bakeoff.records import Decision, Direction, EpochResult, Standings, TrialConfig, TrialRecord
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
    """An in-memory storage that can hide trials."""

    visible: Container[int] | None = None
    """Numbers of the trials that are shown; None shows all."""

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The visible trials in these states."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        shown = self.visible
        return trials if shown is None else [one for one in trials if one.number in shown]


class Cohort:
    """The trials of one arm and one schedule, and the pruner that compares them.

    Args:
        pruner: The name of a pruner of Optuna.
        direction: The direction of the objective.
        settings: What the pruner is built from.
        name: With the order of the trials, decides their brackets under hyperband.
    """

    def __init__(
        self, pruner: str, direction: Direction, settings: PrunerSettings, name: str = "cohort"
    ) -> None:
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
        """For each trial, the numbers (in this Optuna study) of the trials that had ended when it
        began, and its own."""
        self._trials: dict[int, optuna.Trial] = {}
        self._reported: dict[int, int] = {}
        """Last reported epoch of each trial."""
        self._judged: dict[int, tuple[int, bool]] = {}
        """The epoch at which each trial was last judged, and the answer."""

    def start(self, number: int) -> None:
        """A new trial joins."""
        self._trials[number] = trial = self._study.ask()
        self._known[number] = frozenset({*self._ended, trial.number})
        self._reported[number] = 0

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note a trial's objective after `epoch`; an epoch that is reported again is ignored."""
        if epoch > self._reported[number]:
            self._reported[number] = epoch
            self._trials[number].report(value, epoch)

    def should_prune(self, number: int) -> bool:
        """Whether the trial is behind its cohort at its last reported epoch.

        Optuna is asked only once per epoch, because hyperband takes a second question for one at
        the next rung.
        """
        epoch = self._reported[number]
        if epoch == 0:
            return False
        if self._judged.get(number, (0, False))[0] < epoch:
            self._storage.visible = self._known[number] if self._looks_back else None
            self._judged[number] = epoch, bool(self._trials[number].should_prune())
            self._storage.visible = None
        return self._judged[number][1]

    def pending_epochs(self, epochs: int) -> int:
        """Epochs that its running trials have left."""
        return sum(epochs - self._reported[number] for number in self._trials)

    def finish(self, number: int, value: float | None, *, pruned: bool) -> None:
        """The trial has ended: pruned, with a final value, or without a result (None)."""
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
    """A pruner of Optuna in every cohort of a study. A stopped trial never continues.

    Args:
        pruner: The name of a pruner of Optuna.
        objective: The metric that is compared.
        direction: The direction of the objective.
        settings: What the pruner is built from.
        is_off: Whether pruning is switched off for a cohort.
    """

    def __init__(
        self,
        pruner: str,
        objective: str,
        direction: Direction,
        settings: PrunerSettings,
        is_off: Callable[[CohortKey], bool] = lambda _: False,
    ) -> None:
        self._pruner = PRUNERS[pruner]
        self._objective = objective
        self._direction: Direction = direction
        self._settings = settings
        self._is_off = is_off
        self._audited: set[int] = set()
        self._began_off: set[int] = set()
        """Trials whose cohort had switched pruning off when they began."""
        self._cohorts: dict[CohortKey, Cohort] = {}

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """See `Cohorts`; every epoch after warm-up, except the first and the last."""
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
            self._began_off.add(number)

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """See `Cohorts`; NaN is not reported."""
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
        is_off = number in self._began_off if self._settings.looks_back else self._is_off(key)
        return "exempt" if number in self._audited or is_off else "stop"

    def restore_paused(self, key: CohortKey, number: int) -> None:
        """See `Cohorts`; only another pruner can have paused a trial."""
        raise ValueError(
            f"trial {number} of {key} is paused, but this pruner does not pause trials"
        )

    def promote(self) -> None:
        """See `Cohorts`; no trial is ever paused."""

    def pending_epochs(self, epochs: int, arm: str | None = None) -> float:
        """See `Cohorts`; assumes that no trial is pruned."""
        return sum(
            cohort.pending_epochs(epochs)
            for key, cohort in self._cohorts.items()
            if arm in (None, key[0])
        )

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:  # noqa: ARG002
        """See `Cohorts`; other trials are not compared with a diverged one."""
        value = record.score if record.outcome == "complete" else None
        self._cohorts[key].finish(record.number, value, pruned=record.outcome == "pruned")

    def ranks(
        self,
        arm: str,  # noqa: ARG002
        ended: Mapping[int, Standings],
        *,
        audited: bool = False,  # noqa: ARG002
    ) -> dict[int, Standings]:
        """See `Cohorts`; ranks are known only when trials have ended."""
        return dict(ended)
