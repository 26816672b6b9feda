"""Decides which arm runs the next trial, with which hyperparameters, and which trials continue.

All arms have the same budget. An arm's sampler sees only the arm's own trials, so an arm that
starts badly still gets its full budget. The next trial goes to the arm that has used the smallest
share of its budget.
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
from bakeoff.search.repeats import config_of_repeat, describe_repeat
from bakeoff.seeding import derive_seed
from bakeoff.space import build_trial_config, default_params


class Search:
    """The search of a study: assigns trials to arms and pauses or stops the ones that fall behind.

    Args:
        config: The study.
        arms: The arms with their spaces.
        direction: The direction of the objective.
        deadline: When the search must end; None if only its budget ends it.
        warm_starts: Configurations that an arm tries first.
        repeat: Which of the study's independent searches it is, from 0.
        looks_back: Whether Optuna's pruners compare a trial only with those reported before it
            began, as they always do in a repeatable search.
    """

    def __init__(
        self,
        config: StudyConfig,
        arms: Sequence[ArmRecord],
        direction: Direction,
        deadline: Deadline | None = None,
        warm_starts: WarmStarts | None = None,
        repeat: int = 0,
        *,
        looks_back: bool = False,
    ) -> None:
        self._config = config = config_of_repeat(config, repeat)
        self._repeat = repeat
        self._sign = 1 if direction == "maximize" else -1
        self._further = further_objectives(config)
        self._arms = {arm.name: arm for arm in arms}
        self._samplers = {arm.name: ArmSampler(arm, config) for arm in arms}
        self._final: dict[str, dict[int, Standings]] = {arm.name: {} for arm in arms}
        """Ranks of the trials that have ended, by arm and number."""
        has_defaults = config.search.defaults and repeat == 0
        self._defaults_left = [arm.name for arm in arms] if has_defaults else []
        self.ledger = Ledger(list(self._arms), config.search.budget, config.training.epochs)
        self._plans: dict[int, TrialPlan] = {}
        """Plans of the charged trials that have not ended, by number."""
        self._audit = PruningAudit(config.objective)
        self._pruner = PRUNERS[config.search.pruner]
        self._cohorts = self._build_cohorts(direction, looks_back=looks_back)
        self._notes: list[str] = []
        self._deadline = deadline
        self._warm_starts = warm_starts or {}

    def _build_cohorts(self, direction: Direction, *, looks_back: bool) -> Cohorts:
        search, objective = self._config.search, self._config.objective
        settings = PrunerSettings(
            startup_trials=search.pruner_startup_trials,
            epochs=self._config.training.epochs,
            params=search.pruner_params,
            looks_back=looks_back or search.lag is not None,
            num_runs=search.budget.num_whole_runs(self._config.training.epochs),
        )
        if self._pruner.pauses:
            build = cast("Callable[..., Cohorts]", resolve(str(self._pruner.build)))
            return build(
                objective, self._sign, self._draws, self._audit.is_off, self._affords, settings
            )
        return PrunedCohorts(search.pruner, objective, direction, settings, self._audit.is_off)

    @property
    def num_left(self) -> int:
        """Trials that have not begun; an estimate if the budget is not in trials."""
        if self.is_closed:
            return 0
        return len(self._defaults_left) + sum(map(self.ledger.num_left, self._arms))

    @property
    def has_next(self) -> bool:
        """Whether `next` returns a trial now."""
        if self._defaults_left and not self.is_closed:
            return True
        return any(map(self._draws, self._arms))

    def close(self) -> None:
        """Begin no more trials; unfinished trials may end."""
        self.ledger.is_closed = True

    @property
    def is_closed(self) -> bool:
        """Whether the search begins no more trials, although budget may be left."""
        return self.ledger.is_closed

    def promote(self) -> Promotion | None:
        """The paused trial that continues now, or None. Call it before `next`."""
        self._close_near_deadline()
        promotion = None if self.is_time_up else self._cohorts.promote()
        if promotion is not None:
            self._reserve_to_next_stop(promotion.number)
        return promotion

    def next(self) -> TrialPlan | None:
        """The next trial to run, or None when every budget is used up or the time is up."""
        if self._defaults_left and not self.is_closed:
            arm = self._arms[self._defaults_left.pop(0)]
            return TrialPlan(
                arm=arm.name,
                params=default_params(arm, self._config.of_arm(arm.name).model),
                seed=derive_seed(self._config.seed, "default"),
                phase="default",
                repeat=self._repeat,
            )
        name = next(filter(self._draws, self.ledger.neediest_first()), None)
        if name is None:
            return None
        index = self.ledger.assigned(name)
        params, phase = self._propose(name, index)
        self.ledger.assign(name)
        return self._plan(name, index, params, phase)

    def _propose(self, arm: str, index: int) -> tuple[Params, Phase]:
        """A warm start if one is left, otherwise a proposal of the sampler."""
        given = self._warm_starts.get(arm, ())
        if index < len(given):
            return given[index], "user"
        sampler, ranks = self._samplers[arm], dict[int, Standings]()
        if sampler.learns_for(index):
            ranks = self._cohorts.ranks(
                arm, self._final[arm], audited=is_audited(index, self._config.search.audit)
            )
        return sampler.propose(index, ranks)

    def _plan(self, arm: str, index: int, params: Params, phase: Phase) -> TrialPlan:
        seed = derive_seed(self._config.seed, "training", index)
        return TrialPlan(
            arm=arm,
            params=params,
            seed=seed,
            phase=phase,
            decision_epochs=self._cohorts.decision_epochs(
                build_trial_config(self._config.of_arm(arm), params, seed)
            ),
            audited=is_audited(index, self._config.search.audit),
            repeat=self._repeat,
        )

    def _reserve_to_next_stop(self, number: int) -> None:
        self.ledger.reserve(number, self._next_stop(number))

    def _next_stop(self, number: int) -> int:
        """The epoch at which a running trial may pause next."""
        end = self._config.training.epochs
        if not self._pruner.pauses:
            return end  # it either stops or trains to the end, so all of it is reserved
        epoch = self.ledger.epoch_of(number)
        return next((one for one in self._plans[number].decision_epochs if one > epoch), end)

    def _draws(self, arm: str) -> bool:
        """Whether the arm will begin another trial, as far as is known now."""
        budget = self.ledger.budget
        if budget.epochs is None and budget.seconds is None:
            return self.ledger.draws(arm, 0)  # pending epochs do not matter
        pending = self._cohorts.pending_epochs(self._config.training.epochs, arm)
        return self.ledger.draws(arm, pending)

    def _affords(self, number: int) -> bool:
        """Whether the arm can pay for a trial until the trial's next decision."""
        return self.ledger.affords(number, self._next_stop(number))

    @property
    def is_time_up(self) -> bool:
        """Whether its trials must end now, so that the confirmation has its time."""
        return self._deadline is not None and self._deadline.is_over()

    def _close_near_deadline(self) -> None:
        """Close the search once the unfinished trials will take all the time that is left."""
        if self._deadline is None or self.is_closed:
            return
        if self._deadline.is_near(self._cohorts.pending_epochs(self._config.training.epochs)):
            begun, most = sum(map(self.ledger.assigned, self._arms)), self.ledger.budget.trials
            whole = "" if most is None else f" of {most * len(self._arms)}"
            which = describe_repeat(self._config, self._repeat)
            self._notes.append(
                f"the search{which} was ended by its timeout after {begun}{whole} trials"
            )
            self.close()

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become trial `number`."""
        if plan.phase != "default":
            self._plans[number] = plan
            self.ledger.begin(number, plan.arm)
            self._reserve_to_next_stop(number)
            self._samplers[plan.arm].started(number, plan.params, plan.phase)
            key = cohort_key(plan.arm, plan.params)
            self._cohorts.start(key, number, audited=plan.audited)

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Restore a stored trial and return its plan. Call it in the order of the numbers."""
        if record.phase == "default":
            self._defaults_left.remove(record.arm)
            return TrialPlan(
                arm=record.arm,
                params=record.params,
                seed=record.seed or 0,
                phase="default",
                repeat=self._repeat,
            )
        index = self.ledger.assigned(record.arm)
        self.ledger.assign(record.arm)
        plan = self._plan(record.arm, index, record.params, record.phase)
        plan = replace(plan, audited=record.audited)
        self.started(record.number, plan)
        for result in record.history:
            self._report(plan, record.number, result)
        if record.is_paused:
            self.ledger.release(record.number)
            self._cohorts.restore_paused(cohort_key(plan.arm, plan.params), record.number)
        return plan

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Whether the trial continues after this epoch."""
        self._report(plan, number, result)
        if self._deadline is not None:
            self._deadline.note(result)
        if result.status != "running":
            return "continue"
        if self.is_time_up:
            return "time_up"
        if plan.phase != "default" and self.ledger.is_used_up(plan.arm):
            return "budget_used"
        if result.epoch not in plan.decision_epochs:
            return "continue"
        decision = self._cohorts.decide(cohort_key(plan.arm, plan.params), number)
        if decision == "pause":
            self.ledger.release(number)
        elif decision != "stop":
            self._reserve_to_next_stop(number)
        return decision

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Charge the seconds of an epoch again; only ended and paused trials have them stored."""
        if plan.phase != "default":
            self.ledger.charge(number, result)

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
            note = self._audit.finish(key, record, plan.decision_epochs)
            self._notes += [] if note is None else [note]
        standing = self._standing(record)
        if standing is not None:
            self._final[record.arm][record.number] = standing
        self.ledger.end(record)
        del self._plans[record.number]

    def take_notes(self) -> tuple[str, ...]:
        """Notes since the last call, to be shown and stored."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def _standing(self, record: TrialRecord) -> Standings | None:
        """The rank of an ended trial for the sampler; None leaves the trial out.

        A diverged trial is the worst in every objective, so that the sampler learns to avoid it. A
        trial that was paused when it was pruned keeps its rank in its rung.
        """
        if record.outcome == "diverged":
            return (Standing(tier=2),) * (1 + len(self._further))
        if record.score is None:
            return None
        loss = -self._sign * record.score
        if record.outcome == "complete":
            further = [
                -one.sign * record.further_scores.get(one.name, math.nan) for one in self._further
            ]
            if not all(map(math.isfinite, further)):
                return None
            return tuple(Standing(tier=0, loss=one) for one in (loss, *further))
        if self._pruner.pauses or self._further:
            return None
        return (Standing(tier=1, progress=-float(record.epochs_run), loss=loss),)
