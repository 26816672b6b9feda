"""Forecasts what a search costs by running it with simulated scores."""

import random
from dataclasses import dataclass, replace
from math import inf

import optuna

from bakeoff.records import Budget, EpochResult, StudyConfig, TrialPlan, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.space import build_arms

MOST_TRIALS = 100
MOST_RUNS = 30
"""Simulated per arm, the second in epochs of whole runs. A longer search is scaled up from them."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The cost of a whole search, without the runs of the library defaults."""

    trials: int
    epochs: int
    most_paused: int
    """The largest number of trials that wait with their checkpoints at the same time."""
    resumed: int = 0
    """How often a paused trial continues."""


def forecast(config: StudyConfig, seconds_per_epoch: float = 1.0) -> Forecast:
    """The cost of the search if its draws are random and no run diverges.

    A trial has the same random score at every epoch, so the ranking of trials does not change.

    Args:
        config: The study.
        seconds_per_epoch: Seconds of one worker; used if the budget is in seconds.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    budget, share = _simulated(config, seconds_per_epoch)
    search_config = replace(
        config.search,
        trials_per_arm=budget.trials,
        epochs_per_arm=budget.epochs,
        seconds_per_arm=None,
        sampler="random",
        defaults=False,
    )
    rehearsal = _Rehearsal(replace(config, search=search_config))
    rehearsal.run()
    return Forecast(
        trials=round(len(rehearsal.epochs) * share),
        epochs=round(sum(rehearsal.epochs.values()) * share),
        most_paused=round(rehearsal.most_paused * share),
        resumed=round(rehearsal.resumed * share),
    )


def _simulated(config: StudyConfig, seconds_per_epoch: float) -> tuple[Budget, float]:
    """A budget that is quickly simulated, and the factor from it to the study's budget."""
    whole, run_epochs = config.search.budget, config.training.epochs
    most_epochs = most_epochs_of(whole, seconds_per_epoch)
    sizes = [
        inf if whole.trials is None else whole.trials / MOST_TRIALS,
        inf if most_epochs is None else most_epochs / (MOST_RUNS * run_epochs),
    ]
    share = max(1.0, min(sizes))
    return Budget(
        trials=None if whole.trials is None else max(1, round(whole.trials / share)),
        epochs=None if most_epochs is None else max(run_epochs, round(most_epochs / share)),
    ), share


def most_epochs_of(budget: Budget, seconds_per_epoch: float) -> int | None:
    """The epochs that an arm's budget in epochs or seconds allows; None if it has neither."""
    limits = [
        budget.epochs,
        None if budget.seconds is None else round(budget.seconds / seconds_per_epoch),
    ]
    return min((limit for limit in limits if limit is not None), default=None)


class _Rehearsal:
    """One worker that does not train; a trial has the same score at every epoch."""

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._search = Search(config, build_arms(config), "maximize")
        self._random = random.Random(config.seed)  # noqa: S311 - simulated scores, not a secret
        self._plans: dict[int, TrialPlan] = {}
        self._scores: dict[int, float] = {}
        self._paused: set[int] = set()
        self.epochs: dict[int, int] = {}
        self.most_paused = 0
        self.resumed = 0

    def run(self) -> None:
        """Run the whole search."""
        while (number := self._next()) is not None:
            self._train(number)
            self.most_paused = max(self.most_paused, len(self._paused))

    def _next(self) -> int | None:
        promotion = self._search.promote()
        if promotion is not None:
            self._paused.remove(promotion.number)
            self.resumed += 1
            return promotion.number
        plan = self._search.next()
        if plan is None:
            return None
        number = len(self._plans)
        self._search.started(number, plan)
        self._plans[number] = plan
        self._scores[number], self.epochs[number] = self._random.random(), 0
        return number

    def _train(self, number: int) -> None:
        """Train until the trial pauses, is stopped, or ends."""
        plan = self._plans[number]
        for epoch in range(self.epochs[number] + 1, self._config.training.epochs + 1):
            self.epochs[number] = epoch
            metrics = {self._config.objective: self._scores[number]}
            result = EpochResult(epoch=epoch, metrics=metrics)
            decision = self._search.decide(number, plan, result)
            if decision == "pause":
                self._paused.add(number)
                return
            if decision == "stop":
                break
        self._search.finish(plan, self._record(number, is_pruned=decision == "stop"))

    def _record(self, number: int, *, is_pruned: bool) -> TrialRecord:
        plan, metrics = self._plans[number], {self._config.objective: self._scores[number]}
        return TrialRecord(
            number=number,
            arm=plan.arm,
            params=plan.params,
            outcome="pruned" if is_pruned else "complete",
            score=self._scores[number],
            history=tuple(
                EpochResult(epoch=epoch, metrics=metrics)
                for epoch in range(1, self.epochs[number] + 1)
            ),
        )
