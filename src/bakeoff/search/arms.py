"""Arms: who is next, with what. Each arm thinks alone and all get the same budget.

One in-memory Optuna study per arm proposes configurations and sees only its own arm, so a sampler
cannot starve an arm that started badly. The next trial goes to the arm with the largest part of
its budget left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState

from bakeoff.ranges import Params
from bakeoff.records import (
    ArmRecord,
    Direction,
    EpochResult,
    Phase,
    Purpose,
    StudyConfig,
    TrialRecord,
)
from bakeoff.search.pruners import Cohort, cohort_key, decision_epochs
from bakeoff.search.samplers import SAMPLERS
from bakeoff.seeding import derive_seed
from bakeoff.space import build_trial_config, default_params, suggest


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """A run that somebody decided on: what to train, for whom, with which seed."""

    arm: str
    params: Params
    seed: int
    phase: Phase
    purpose: Purpose = "search"
    configuration: int | None = None
    """The search trial whose configuration a confirmation run repeats."""
    decision_epochs: tuple[int, ...] = ()
    """Epochs after which the run waits to hear whether it goes on."""


@dataclass(frozen=True, kw_only=True)
class Charges:
    """What an arm has been charged so far: every trial, whatever became of it."""

    trials: int = 0
    epochs: int = 0
    seconds: float = 0.0


@dataclass
class Ledger:
    """The budget of every arm in trials, and what has been charged against it."""

    budget: int
    charges: dict[str, Charges] = field(default_factory=dict)
    dealt: dict[str, int] = field(default_factory=dict)
    """Trials handed out, running ones included."""

    @classmethod
    def open(cls, arms: Sequence[str], budget: int) -> "Ledger":
        """A ledger in which nothing has been charged."""
        return cls(
            budget=budget, charges=dict.fromkeys(arms, Charges()), dealt=dict.fromkeys(arms, 0)
        )

    def next_arm(self) -> str | None:
        """The arm with the largest deficit, first in order on ties; None if all are spent."""
        arm = max(self.dealt, key=lambda name: self.budget - self.dealt[name])
        return arm if self.dealt[arm] < self.budget else None

    def charge(self, arm: str, record: TrialRecord) -> None:
        """Book a finished trial."""
        before = self.charges[arm]
        self.charges[arm] = Charges(
            trials=before.trials + 1,
            epochs=before.epochs + record.epochs_run,
            seconds=before.seconds + record.train_seconds + record.evaluate_seconds,
        )


class ArmSampler:
    """One arm's Optuna study, in memory: it proposes, and learns from its own trials only."""

    def __init__(self, arm: ArmRecord, config: StudyConfig, direction: Direction) -> None:
        self._arm = arm
        self._config = config
        self._study = optuna.create_study(direction=direction)
        self._trials: dict[int, optuna.Trial] = {}

    def propose(self, index: int) -> tuple[Params, Phase]:
        """The configuration of the arm's trial `index` (from 0), and how it was drawn."""
        search = self._config.search
        is_random = index < search.startup_trials or not SAMPLERS[search.sampler].is_model_based
        seed = derive_seed(self._config.seed, "sampler", self._arm.name, index)
        self._study.sampler = SAMPLERS["random" if is_random else search.sampler].build(seed)
        trial = self._study.ask()
        self._trials[index] = trial
        return suggest(trial, self._arm), "random" if is_random else "model"

    def restore(self, index: int, params: Params) -> None:
        """Note a trial that an earlier session proposed; indices come in order."""
        self._study.enqueue_trial(
            {name: value for name, value in params.items() if name in self._searched()}
        )
        trial = self._study.ask()
        suggest(trial, self._arm)
        self._trials[index] = trial

    def _searched(self) -> frozenset[str]:
        return frozenset(self._arm.space)

    def finish(self, index: int, record: TrialRecord) -> None:
        """Learn how the trial ended.

        A diverged trial counts as complete with an untrained model's score, so that the sampler
        learns to stay away; a pruned one is known by its best value so far.
        """
        trial = self._trials.pop(index)
        if record.outcome == "pruned" and record.score is not None:
            trial.report(record.score, record.epochs_run)
            self._study.tell(trial, state=TrialState.PRUNED)
        elif record.outcome in ("complete", "diverged") and record.score is not None:
            self._study.tell(trial, record.score)
        else:
            self._study.tell(trial, state=TrialState.FAIL)


class Search:
    """The search of a study: deals trials to arms, stops the ones that fall behind."""

    def __init__(
        self, config: StudyConfig, arms: Sequence[ArmRecord], direction: Direction
    ) -> None:
        self._config = config
        self._direction = direction
        self._arms = {arm.name: arm for arm in arms}
        self._samplers = {arm.name: ArmSampler(arm, config, direction) for arm in arms}
        self._cohorts: dict[tuple[str, str], Cohort] = {}
        self._indices: dict[int, int] = {}
        self._defaults_left = [arm.name for arm in arms] if config.search.defaults else []
        self.ledger = Ledger.open([arm.name for arm in arms], config.search.trials_per_arm)

    @property
    def num_left(self) -> int:
        """Trials not yet handed out."""
        spent = sum(self.ledger.dealt.values())
        return len(self._defaults_left) + self.ledger.budget * len(self._arms) - spent

    def next(self) -> TrialPlan | None:
        """The next trial to run, or None when every budget is handed out."""
        if self._defaults_left:
            arm = self._arms[self._defaults_left.pop(0)]
            return TrialPlan(
                arm=arm.name,
                params=default_params(arm, self._config.model),
                seed=derive_seed(self._config.seed, "default"),
                phase="default",
            )
        name = self.ledger.next_arm()
        if name is None:
            return None
        index = self.ledger.dealt[name]
        params, phase = self._samplers[name].propose(index)
        self.ledger.dealt[name] += 1
        return self._plan(name, index, params, phase)

    def _plan(self, arm: str, index: int, params: Params, phase: Phase) -> TrialPlan:
        seed = derive_seed(self._config.seed, "training", index)
        trial_config = build_trial_config(self._config, params, seed)
        return TrialPlan(
            arm=arm,
            params=params,
            seed=seed,
            phase=phase,
            decision_epochs=decision_epochs(self._config.search.pruner, trial_config),
        )

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become trial `number`."""
        if plan.phase != "default":
            self._indices[number] = self.ledger.dealt[plan.arm] - 1

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Take up a stored trial, in the order of the numbers; its plan, should it still run."""
        if record.phase == "default":
            self._defaults_left.remove(record.arm)
            return TrialPlan(
                arm=record.arm, params=record.params, seed=record.seed or 0, phase="default"
            )
        index = self.ledger.dealt[record.arm]
        self.ledger.dealt[record.arm] += 1
        self._indices[record.number] = index
        self._samplers[record.arm].restore(index, record.params)
        plan = self._plan(record.arm, index, record.params, record.phase)
        for result in record.history:
            self._note(plan, record.number, result)
        return plan

    def goes_on(self, number: int, plan: TrialPlan, result: EpochResult) -> bool:
        """Whether the trial may continue after this epoch."""
        self._note(plan, number, result)
        if result.epoch not in plan.decision_epochs:
            return True
        return not self._cohort(plan).should_prune(number)

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Book a trial that has ended."""
        if plan.phase == "default":
            return
        is_measure = record.outcome == "complete"  # a diverged run sets no pace for others
        self._cohort(plan).finish(
            record.number,
            record.score if is_measure else None,
            pruned=record.outcome == "pruned",
        )
        self._samplers[record.arm].finish(self._indices.pop(record.number), record)
        self.ledger.charge(record.arm, record)

    def _note(self, plan: TrialPlan, number: int, result: EpochResult) -> None:
        value = result.metrics.get(self._config.objective)
        if plan.phase != "default" and value is not None and value == value:  # noqa: PLR0124
            self._cohort(plan).report(number, result.epoch, value)

    def _cohort(self, plan: TrialPlan) -> Cohort:
        key = cohort_key(plan.arm, plan.params)
        if key not in self._cohorts:
            search = self._config.search
            self._cohorts[key] = Cohort(
                search.pruner, self._direction, search.pruner_startup_trials
            )
        return self._cohorts[key]
