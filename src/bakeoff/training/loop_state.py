"""The state of a run that a loop of the user's own trains: its epochs, and what is tracked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from bakeoff.components.metrics import metric_info
from bakeoff.errors import CheckpointError, UsageError
from bakeoff.records import EpochResult, MetricInfo, TrialConfig, as_plain
from bakeoff.training.averaging import switch_to_evaluation, switch_to_training
from bakeoff.training.progress import Progress
from bakeoff.training.randomness import capture_generators, restore_generators
from bakeoff.training.ranks import ALONE, Ranks
from bakeoff.training.snapshot import compare_environment, describe_environment
from bakeoff.training.tracked import Tracked, is_trackable, load_into, state_of

DECISIVE = ("loss", "train_loss")
"""Metrics that mean divergence, besides the objective, where they are not finite."""


class LoopState(Progress):
    """What changes while a loop of the user's own trains.

    Args:
        config: The run.
        device: Where it trains.
        keeps_best: Whether the state of the best epoch is kept, to be tested or exported.
        ranks: The processes that train the run together.
    """

    def __init__(
        self,
        config: TrialConfig,
        device: torch.device,
        *,
        keeps_best: bool,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config = config
        self.device = device
        self.ranks = ranks
        self.generators_of_ranks: Sequence[Mapping[str, Any]] = ()
        """See `TrainingState`."""
        self.history = []
        self.epochs_without_improvement = 0
        self.tracked: dict[str, Tracked] = {}
        """Whatever is saved, by name."""
        self.scored: list[str] = []
        """Names of what belongs to an epoch's score: everything but optimizers and schedules."""
        self.optimizers: list[torch.optim.Optimizer] = []
        self.best: dict[str, Any] = {}
        """State of what is scored, after the best epoch."""
        self.num_steps = 0
        """Steps of the optimizers in this process, as a sign of life."""
        self.epoch_steps = 0
        self.learning_rate = float("nan")
        """The learning rate of the first optimizer at its last step."""
        self.seconds_since_save = 0.0
        self.totals = None
        """Nothing is saved within an epoch, which `Checkpoints` asks for."""
        self.has_begun = False
        """Whether the epoch in training was begun, so that the generators are as they should be."""
        self._keeps_best = keeps_best and config.score_rule == "best_epoch"
        self._payload: Mapping[str, Any] | None = None
        self._is_final = False
        self._has_started = False
        self._clock = perf_counter()

    @property
    def objective(self) -> MetricInfo:
        """The metric that decides the run's score."""
        return metric_info(self.config.objective, self.config)

    def track(self, name: str, thing: object) -> None:
        """Save the state of `thing` from now on; a resumed run sets it when its epoch begins.

        Raises:
            UsageError: `thing` has no state that can be saved, the name is taken, or the first
                epoch has begun.
        """
        if any(one is thing for one in self.tracked.values()):
            return
        if self._has_started:
            raise UsageError(f"run.track({name}=...): track it before the first epoch begins")
        if name in self.tracked:
            raise UsageError(f"run.track({name}=...): something else is tracked by this name")
        if not is_trackable(thing):
            raise UsageError(
                f"run.track({name}=...): expected an object with state_dict and load_state_dict,"
                f" found {type(thing).__name__}"
            )
        self.tracked[name] = thing
        if not isinstance(thing, (torch.optim.Optimizer, LRScheduler)):
            self.scored.append(name)

    def begin_epoch(self) -> None:
        """Make everything what it was, if the run was resumed.

        Until here the loop has seen what it sees in a new run, so that it has prepared the same: a
        schedule has the base rates of a new optimizer, and a copy of the weights the first ones.

        Raises:
            CheckpointError: What the loop tracks is not what the checkpoint holds.
        """
        self._restore()
        for one in self.optimizers:  # a yield within `run.evaluating()` was saved as evaluated
            switch_to_training(one)
        self.has_begun = self._has_started = True
        self.epoch_steps = 0
        self._clock = perf_counter()

    def _restore(self) -> None:
        """Set what is tracked to what the checkpoint holds, if the run was resumed.

        A run that is over needs no optimizer or schedule, which a framework makes when it trains.
        """
        if self._payload is None:
            return
        payload, self._payload = self._payload, None
        stored = payload["tracked"]
        if self.is_over:
            needed = {*payload["scored"], *self.tracked}
            stored = {name: one for name, one in stored.items() if name in needed}
        if stored.keys() != self.tracked.keys():
            raise CheckpointError(
                f"the checkpoint holds {', '.join(stored) or 'nothing'}, and the loop tracked"
                f" {', '.join(self.tracked) or 'nothing'} before its first epoch; track the same"
                " every time, and before the first epoch"
            )
        for name, thing in self.tracked.items():
            load_into(name, thing, stored[name])
        # Last, because anything before may draw random numbers.
        generators = [payload["generators"], *payload.get("generators_of_ranks", ())]
        restore_generators(generators[self.ranks.rank], self.device)

    def record(self, metrics: Mapping[str, float]) -> EpochResult:
        """Add an epoch to the history, and keep what is scored if it is the best one."""
        seconds = perf_counter() - self._clock
        result = EpochResult(
            epoch=self.epoch + 1,
            metrics={name: value for name, value in metrics.items() if name != "train_loss"},
            train_loss=metrics.get("train_loss", float("nan")),
            learning_rate=self.learning_rate,
            steps=self.epoch_steps,
            train_seconds=seconds,
        )
        if self.count_improvement(result) and self._keeps_best:
            self.best = self._copy_of_scored()
        decisive = (metrics.get(name, 0.0) for name in (self.objective.name, *DECISIVE))
        status = self.status_after(result, has_diverged=not all(map(isfinite, decisive)))
        result = replace(result, status=status)
        self.history.append(result)
        if self.is_over:
            for one in self.optimizers:  # the last checkpoint holds the weights that are tested
                switch_to_evaluation(one)
        self.seconds_since_save += seconds
        self.has_begun = False
        return result

    def _copy_of_scored(self) -> dict[str, Any]:
        """A copy of what is scored, at the weights that are evaluated."""
        modes = [one.param_groups[0].get("train_mode", True) for one in self.optimizers]
        for one in self.optimizers:
            switch_to_evaluation(one)
        found = {name: state_of(name, self.tracked[name], copies=True) for name in self.scored}
        for one, is_training in zip(self.optimizers, modes, strict=True):
            if is_training:
                switch_to_training(one)
        return found

    def scored_state(self) -> dict[str, Any]:
        """The state that the run's score belongs to, of everything but optimizers and schedules."""
        return self.best or self._copy_of_scored()

    def finalise(self) -> None:
        """Once the run is over, leave the state that its score belongs to.

        Raises:
            CheckpointError: As `begin_epoch`.
        """
        if self._is_final or not self.is_over:
            return
        self._restore()
        self._is_final = True
        for name, stored in self.best.items():
            load_into(name, self.tracked[name], stored)

    def snapshot(self) -> dict[str, Any]:
        """Everything that changes during training; `torch.load(weights_only=True)` can read it."""
        return {
            "tracked": {name: state_of(name, one) for name, one in self.tracked.items()},
            "scored": self.scored,
            "history": [as_plain(result) for result in self.history],
            "best": self.best,
            "epochs_without_improvement": self.epochs_without_improvement,
            "environment": describe_environment(self.device),
            "generators": capture_generators(self.device),
            "generators_of_ranks": self.generators_of_ranks,
        }

    def resume(self, payload: Mapping[str, Any]) -> None:
        """Continue from a snapshot; what the loop tracks is set when its first epoch begins."""
        self.history = [EpochResult(**result) for result in payload["history"]]
        self.learning_rate = self.history[-1].learning_rate
        self.best = payload["best"]
        self.epochs_without_improvement = payload["epochs_without_improvement"]
        self._payload = payload
        compare_environment(payload["environment"], self.device)

    def note_save(self) -> None:
        """A checkpoint holds the run as it is now."""
        self.seconds_since_save = 0.0
