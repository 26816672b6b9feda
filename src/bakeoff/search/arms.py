"""Arms: who is next, with what. Each arm thinks alone and all get the same budget.

An arm's sampler sees only the arm's own trials, so it cannot starve an arm that started badly. The
next trial goes to the arm with the largest part of its budget left.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from bakeoff.components.objectives import further_objectives
from bakeoff.components.pruners import PRUNERS, PrunerSettings
from bakeoff.ranges import Params
from bakeoff.records import (
    ArmRecord,
    Decision,
    Direction,
    EpochResult,
    Phase,
    Promotion,
    Standing,
    Standings,
    StudyConfig,
    TrialPlan,
    TrialRecord,
    WarmStarts,
)
from bakeoff.registry import resolve
from bakeoff.search.cohorts import Cohorts, cohort_key
from bakeoff.search.deadline import Deadline
from bakeoff.search.ledger import Ledger
from bakeoff.search.proposals import ArmSampler
from bakeoff.search.pruners import PrunedCohorts
from bakeoff.search.pruning_audit import PruningAudit, is_audited
from bakeoff.seeding import derive_seed
from bakeoff.space import build_trial_config, default_params


class Search:
    """The search of a study: deals trials to arms, holds back the ones that fall behind."""

    def __init__(
        self,
        config: StudyConfig,
        arms: Sequence[ArmRecord],
        direction: Direction,
        deadline: Deadline | None = None,
        warm_starts: WarmStarts | None = None,
    ) -> None:
        self._config = config
        self._sign = 1 if direction == "maximize" else -1
        self._further = further_objectives(config)
        self._arms = {arm.name: arm for arm in arms}
        self._samplers = {arm.name: ArmSampler(arm, config) for arm in arms}
        self._final: dict[str, dict[int, Standings]] = {arm.name: {} for arm in arms}
        """Standings of trials that have ended, by arm and number."""
        self._defaults_left = [arm.name for arm in arms] if config.search.defaults else []
        self.ledger = Ledger(list(self._arms), config.search.budget, config.training.epochs)
        self._plans: dict[int, TrialPlan] = {}
        """Of trials that are charged and have not ended, by number."""
        self._audit = PruningAudit(config.objective)
        self._pruner = PRUNERS[config.search.pruner]
        self._cohorts = self._build_cohorts(direction)
        self._notes: list[str] = []
        self._deadline = deadline
        self._warm_starts = warm_starts or {}

    def _build_cohorts(self, direction: Direction) -> Cohorts:
        search, objective = self._config.search, self._config.objective
        if self._pruner.pauses:
            build = cast("Callable[..., Cohorts]", resolve(str(self._pruner.build)))
            return build(objective, self._sign, self._draws, self._audit.is_off, self._affords)
        settings = PrunerSettings(
            startup_trials=search.pruner_startup_trials,
            epochs=self._config.training.epochs,
            params=search.pruner_params,
            looks_back=search.lag is not None,
        )
        return PrunedCohorts(search.pruner, objective, direction, settings, self._audit.is_off)

    @property
    def num_left(self) -> int:
        """Trials not yet handed out; about, where the budget is not in trials."""
        if self.is_closed:
            return 0
        return len(self._defaults_left) + sum(map(self.ledger.num_left, self._arms))

    @property
    def has_next(self) -> bool:
        """Whether there is a trial to hand out now."""
        if self._defaults_left and not self.is_closed:
            return True
        return any(map(self._draws, self._arms))

    def close(self) -> None:
        """Draw no more trials; those begun may end."""
        self.ledger.is_closed = True

    @property
    def is_closed(self) -> bool:
        """Whether the search ended, or is about to end, before its budget."""
        return self.ledger.is_closed

    def promote(self) -> Promotion | None:
        """The paused trial that continues now, or None; asked before a new one is begun."""
        self._watch_the_clock()
        promotion = None if self._is_time_up() else self._cohorts.promote()
        if promotion is not None:
            self._goes_on(promotion.number)
        return promotion

    def _goes_on(self, number: int) -> None:
        stop = self._next_stop(self._plans[number], self.ledger.epoch_of(number))
        self.ledger.reserve(number, stop)

    def _is_time_up(self) -> bool:
        return self._deadline is not None and self._deadline.has_come()

    def _watch_the_clock(self) -> None:
        """Close the search once what was begun will take the time that is left."""
        if self._deadline is None or self.is_closed:
            return
        if self._deadline.is_near(self._cohorts.owed_epochs(self._config.training.epochs)):
            dealt, most = sum(self.ledger.dealt.values()), self.ledger.budget.trials
            whole = "" if most is None else f" of {most * len(self._arms)}"
            self._note(f"the search was ended by its timeout after {dealt}{whole} trials")
            self.close()

    def _draws(self, arm: str) -> bool:
        """Whether the arm will begin another trial, as far as is known now."""
        budget = self.ledger.budget
        if budget.epochs is None and budget.seconds is None:
            return self.ledger.draws(arm, 0)  # what it owes is no matter
        return self.ledger.draws(arm, self._cohorts.owed_epochs(self._config.training.epochs, arm))

    def _affords(self, number: int) -> bool:
        """Whether the arm can pay for a trial until it is asked again."""
        plan = self._plans[number]
        return self.ledger.affords(number, self._next_stop(plan, self.ledger.epoch_of(number)))

    def _next_stop(self, plan: TrialPlan, epoch: int) -> int:
        """Where a trial that goes on after `epoch` may pause next."""
        end = self._config.training.epochs
        if not self._pruner.pauses:
            return end  # it stops for good or not at all: all of it is reserved
        return next((one for one in plan.decision_epochs if one > epoch), end)

    def next(self) -> TrialPlan | None:
        """The next trial to run, or None when every budget is handed out or the time is up."""
        if self._defaults_left and not self.is_closed:
            arm = self._arms[self._defaults_left.pop(0)]
            return TrialPlan(
                arm=arm.name,
                params=default_params(arm, self._config.model),
                seed=derive_seed(self._config.seed, "default"),
                phase="default",
            )
        name = next(filter(self._draws, self.ledger.in_turn()), None)
        if name is None:
            return None
        index = self.ledger.dealt_to(name)
        params, phase = self._propose(name, index)
        self.ledger.deal(name)
        return self._plan(name, index, params, phase)

    def _propose(self, arm: str, index: int) -> tuple[Params, Phase]:
        """The warm starts first, then what the sampler proposes."""
        given = self._warm_starts.get(arm, ())
        if index < len(given):
            return given[index], "user"
        in_rungs = {number: (one,) for number, one in self._cohorts.standings(arm).items()}
        return self._samplers[arm].propose(index, in_rungs | self._final[arm])

    def _plan(self, arm: str, index: int, params: Params, phase: Phase) -> TrialPlan:
        seed = derive_seed(self._config.seed, "training", index)
        trial_config = build_trial_config(self._config, params, seed)
        search = self._config.search
        return TrialPlan(
            arm=arm,
            params=params,
            seed=seed,
            phase=phase,
            decision_epochs=self._cohorts.decision_epochs(trial_config),
            audited=is_audited(index, search.budget.trials, search.audit),
        )

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become trial `number`."""
        if plan.phase != "default":
            self._plans[number] = plan
            self.ledger.begin(number, plan.arm, self._next_stop(plan, 0))
            self._samplers[plan.arm].started(number, plan.params, plan.phase)
            key = cohort_key(plan.arm, plan.params)
            self._cohorts.start(key, number, audited=plan.audited)

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Take up a stored trial, in the order of the numbers; its plan, should it still run."""
        if record.phase == "default":
            self._defaults_left.remove(record.arm)
            return TrialPlan(
                arm=record.arm, params=record.params, seed=record.seed or 0, phase="default"
            )
        index = self.ledger.dealt_to(record.arm)
        self.ledger.deal(record.arm)
        plan = self._plan(record.arm, index, record.params, record.phase)
        plan = replace(plan, audited=record.audited)
        self.started(record.number, plan)
        for result in record.history:
            self._report(plan, record.number, result)
        if record.is_paused:
            self.ledger.release(record.number)
            self._cohorts.take_up(cohort_key(plan.arm, plan.params), record.number)
        return plan

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Whether the trial goes on after this epoch."""
        self._report(plan, number, result)
        if self._deadline is not None:
            self._deadline.note(result)
        if result.status != "running":
            return "continue"
        if self._is_time_up():
            return "time_up"
        if plan.phase != "default" and self.ledger.is_spent(plan.arm):
            return "budget_used"
        if result.epoch not in plan.decision_epochs:
            return "continue"
        return self._decide(number, plan)

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Learn the seconds, which the storage keeps of ended and paused trials only."""
        if plan.phase != "default":
            self.ledger.charge(number, result)

    def _decide(self, number: int, plan: TrialPlan) -> Decision:
        decision = self._cohorts.decide(cohort_key(plan.arm, plan.params), number)
        if decision == "pause":
            self.ledger.release(number)
        elif decision != "stop":
            self._goes_on(number)
        return decision

    def _report(self, plan: TrialPlan, number: int, result: EpochResult) -> None:
        if plan.phase != "default":
            self.ledger.charge(number, result)
            key = cohort_key(plan.arm, plan.params)
            self._cohorts.report(key, number, plan.decision_epochs, result)

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Book a trial that has ended."""
        if plan.phase == "default":
            return
        key = cohort_key(plan.arm, plan.params)
        self._cohorts.finish(key, record, plan.decision_epochs)
        if plan.audited:
            self._note(self._audit.finish(key, record, plan.decision_epochs))
        standing = self._standing(record)
        if standing is not None:
            self._final[record.arm][record.number] = standing
        self.ledger.end(record)
        del self._plans[record.number]

    def _note(self, text: str | None) -> None:
        if text is not None:
            self._notes.append(text)

    def take_notes(self) -> tuple[str, ...]:
        """What should be told and stored since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def _standing(self, record: TrialRecord) -> Standings | None:
        """Complete before pruned before diverged; None says nothing to the sampler.

        A diverged trial is the worst there is in every objective, so that the sampler learns to
        stay away. Under halving a pruned trial keeps the standing it had in its rung.
        """
        if record.outcome == "diverged":
            return (Standing(tier=2),) * (1 + len(self._further))
        if record.score is None:
            return None
        value = -self._sign * record.score
        if record.outcome == "complete":
            further = [
                -one.sign * record.further_scores.get(one.name, math.nan) for one in self._further
            ]
            known = all(map(math.isfinite, further))
            return (
                tuple(Standing(tier=0, loss=worth) for worth in (value, *further))
                if known
                else None
            )
        is_ranked = self._pruner.pauses or self._further
        return None if is_ranked else (Standing(1, -float(record.epochs_run), value),)
