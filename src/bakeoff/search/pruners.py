"""Cohort pruning: Optuna's pruners, each seeing only trials that may fairly be compared.

Every cohort is an in-memory Optuna study of its own.
"""

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    ThresholdPruner,
)
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from bakeoff.ranges import Params
from bakeoff.records import (
    Decision,
    Direction,
    EpochResult,
    Standing,
    TrialConfig,
    TrialRecord,
)
from bakeoff.registry import Registry
from bakeoff.search.cohorts import CohortKey
from bakeoff.search.experimental import experimental_accepted
from bakeoff.search.halving import FIRST_RUNG, rung_epochs


@dataclass(frozen=True, kw_only=True)
class PrunerSettings:
    """What a pruner is built from."""

    startup_trials: int
    """Complete trials that a cohort needs first."""
    epochs: int
    params: Params = field(default_factory=dict)
    """Its own settings by name."""
    looks_back: bool = False
    """Whether a trial is compared only with those that had ended when it began, so that its end
    depends on no order of events."""


@dataclass(frozen=True, kw_only=True)
class PrunerSpec:
    """A pruner that a study file may name."""

    name: str
    description: str
    build: Callable[[PrunerSettings], BasePruner] | None
    """None for our own halving."""
    remembers: bool = False
    """Whether it notes what it saw at each decision, so that it must see all of them again after
    a restart."""


def _build_median(settings: PrunerSettings) -> BasePruner:
    return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=0)


def _build_percentile(settings: PrunerSettings) -> BasePruner:
    return PercentilePruner(
        float(settings.params["percentile"]), n_startup_trials=settings.startup_trials
    )


def _build_hyperband(settings: PrunerSettings) -> BasePruner:
    return HyperbandPruner(
        min_resource=FIRST_RUNG,
        max_resource=max(FIRST_RUNG, settings.epochs),
        reduction_factor=int(settings.params["reduction"]),
    )


def _build_patient(settings: PrunerSettings) -> BasePruner:
    with experimental_accepted():
        return PatientPruner(
            _build_median(settings),
            patience=int(settings.params["patience"]),
            min_delta=float(settings.params["min_delta"]),
        )


def _build_threshold(settings: PrunerSettings) -> BasePruner:
    bounds = {name: float(value) for name, value in settings.params.items()}
    return ThresholdPruner(lower=bounds.get("lower"), upper=bounds.get("upper"))


PRUNERS = Registry(
    "pruner",
    (
        PrunerSpec(
            name="none", description="every trial runs to the end", build=lambda _: NopPruner()
        ),
        PrunerSpec(
            name="halving",
            description="pause a trial at 1/27, 1/9 and 1/3 of its schedule, until it is in its"
            " cohort's best quarter",
            build=None,
        ),
        PrunerSpec(
            name="median",
            description="stop a trial whose best value is below its cohort's median at that epoch",
            build=_build_median,
        ),
        PrunerSpec(
            name="percentile",
            description="stop a trial whose best value is not in its cohort's best `percentile` %"
            " (default 25) at that epoch",
            build=_build_percentile,
        ),
        PrunerSpec(
            name="hyperband",
            description="successive halving by `reduction` (default 3) without promotion, in"
            " brackets that begin later and later",
            build=_build_hyperband,
            remembers=True,
        ),
        PrunerSpec(
            name="patient",
            description="as median, once a trial has not improved by `min_delta` (default 0) for"
            " `patience` epochs (default 3)",
            build=_build_patient,
        ),
        PrunerSpec(
            name="threshold",
            description="stop a trial that is below `lower` or above `upper`; trials stay"
            " independent of each other",
            build=_build_threshold,
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

        Raises:
            ValueError: The pruner is none of Optuna's.
        """
        build = PRUNERS[pruner].build
        if build is None:
            raise ValueError(f"pruner {pruner!r} is none of Optuna's")
        self._storage = VisibleTrials()
        self._study = optuna.create_study(
            study_name=name,
            storage=self._storage,
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=build(settings),
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
        return "spare" if number in self._audited or is_off else "stop"

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
