"""A search that decides the same whatever the number of workers and whoever is faster.

Runs are told to the search in the order in which they were dealt, never in that of their events.
So many places are open at one time; a place is taken by a new run, or by a paused one that goes on,
and is given free only once everything dealt before it has been told:

    deal until all places are taken; wait for the run dealt first; tell it; deal again

What the search knows when it deals is therefore a function of the study alone: the runs dealt at
least so many places earlier. Workers train whatever has been dealt, in any order. After a kill the
same sequence is gone through again with the stored results, and goes on where they end.
"""

import math
from collections import deque
from dataclasses import dataclass, field, replace

from bakeoff.records import Decision, EpochResult, Promotion, TrialPlan, TrialRecord
from bakeoff.search.arms import Search


@dataclass
class _Dealt:
    """A run that was dealt, with what its worker has said and how far the search was told."""

    plan: TrialPlan
    goal: int | None
    """Epoch up to which it may train before the search has decided; None is to its end."""
    heard: dict[int, EpochResult] = field(default_factory=dict)
    """By epoch, not yet told."""
    told: int = 0
    """Last epoch that the search knows."""
    ended: TrialRecord | None = None
    """How it ended, until the search is told."""
    waits_at: int | None = None
    """Epoch after which it is paused."""
    promotion: Promotion | None = None
    """It may go on from `promoted_at`, and its worker has not heard of it yet."""
    promoted_at: int = 0

    @property
    def has_arrived(self) -> bool:
        """Whether there is something to tell: it ended, or reached its goal."""
        return self.ended is not None or self.is_at_goal

    @property
    def is_at_goal(self) -> bool:
        """Whether it is to be decided on at its goal; not if it ended with that very epoch."""
        result = None if self.goal is None else self.heard.get(self.goal)
        return result is not None and result.status == "running"

    def take_heard(self) -> list[EpochResult]:
        """Epochs to tell now: those up to the goal if it was reached, else all; each once."""
        last = self.goal if self.goal is not None and self.is_at_goal else math.inf
        taken = [self.heard.pop(epoch) for epoch in sorted(self.heard) if epoch <= last]
        self.told = taken[-1].epoch if taken else self.told
        return taken

    def must_wait(self, result: EpochResult) -> bool:
        """Whether it may not go on after this epoch.

        After a restart it may be further than its goal, until what was let on is let on again.
        """
        is_rung = result.epoch in self.plan.decision_epochs and result.status == "running"
        return is_rung and self.goal is not None and result.epoch >= self.goal

    def hear(self, result: EpochResult) -> None:
        """Note an epoch; one that was told before changes nothing."""
        if result.epoch > self.told:
            self.heard.setdefault(result.epoch, result)


class Ordered:
    """The search as the driver meets it in repeatable mode; see `bakeoff.driver.roles.Source`."""

    def __init__(self, search: Search, *, lag: int, pauses: bool, num_settled: int = 0) -> None:
        """Begin without runs.

        Args:
            search: What decides.
            lag: Places that are open at one time.
            pauses: Whether runs wait at their decision epochs until the search was told; if not,
                its decisions depend on nothing but the run and those told before it was dealt.
            num_settled: Stored runs, from the first one, that had all been told when the study was
                last extended.
        """
        self._search = search
        self._lag = lag
        self._pauses = pauses
        self._num_settled = num_settled
        self._places: deque[int] = deque()
        """Numbers of the runs that have been dealt and not told, in the order they were dealt."""
        self._dealt: dict[int, _Dealt] = {}
        self._ready: TrialPlan | None = None
        """Dealt, but not begun."""

    @property
    def num_left(self) -> int:
        """Runs not yet handed out."""
        return self._search.num_left + (self._ready is not None)

    def promote(self) -> Promotion | None:
        """The paused run that continues now, or None."""
        self._deal()
        for run in self._dealt.values():
            promotion = run.promotion
            if promotion is not None and run.waits_at == run.promoted_at:
                run.promotion = run.waits_at = None
                return promotion
        return None

    def next(self) -> TrialPlan | None:
        """The next run, or None when none can start now."""
        self._deal()
        plan, self._ready = self._ready, None
        return plan

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become run `number`."""
        self._search.started(number, plan)
        self._take_place(number, plan)

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Take up a stored run, at the place where it was dealt."""
        if self._num_settled:
            self._num_settled -= 1
            return self._search.restore(record)
        self._advance()
        while not self._search.has_next and self._tell_first():
            self._advance()
        if not self._pauses:  # its epochs may be told at once: no other run is decided by them
            plan = self._search.restore(record)
            self._take_place(record.number, plan)
            return plan
        plan = self._search.restore(replace(record, history=(), is_paused=False))
        run = self._take_place(record.number, plan)
        for result in record.history:
            run.hear(result)
        run.waits_at = record.epochs_run if record.is_paused else None
        return plan

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Hold the run at its goal; without pauses, what the search decides."""
        if not self._pauses or number not in self._dealt:
            return self._search.decide(number, plan, result)
        run = self._dealt[number]
        run.hear(result)
        if run.must_wait(result):
            run.waits_at = result.epoch
            return "pause"
        promotion, is_here = run.promotion, result.epoch == run.promoted_at
        if promotion is None or not is_here:
            return "continue"
        run.promotion = None
        return "exempt" if promotion.is_exempt else "continue"

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Nothing new, where the search is told at its turn."""
        if not self._pauses:
            self._search.update_seconds(number, plan, result)

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Note how a run ended; the search is told at its turn."""
        run = self._dealt.get(record.number)
        if run is None:
            self._search.finish(plan, record)
            return
        run.ended, run.waits_at = record, None
        for result in record.history if self._pauses else ():
            run.hear(result)
        if record.number not in self._places and not self._places:
            self._tell_end(record.number)  # it was paused, and nothing can promote it any more

    def take_notes(self) -> tuple[str, ...]:
        """What should be told and stored since the last call."""
        return self._search.take_notes()

    # ------------------------------------------------------------ the sequence

    def _take_place(self, number: int, plan: TrialPlan) -> _Dealt:
        goal = min(plan.decision_epochs, default=None) if self._pauses else None
        self._dealt[number] = _Dealt(plan, goal)
        self._places.append(number)
        return self._dealt[number]

    def _deal(self) -> None:
        """Go as far as the results known by now allow: to a plan, or to a run that is not there."""
        while self._ready is None and self._advance():
            self._ready = self._search.next()
            if self._ready is None and not self._tell_first():
                self._tell_pruned()
                return

    def _advance(self) -> bool:
        """Tell runs and let paused ones go on until a new one may be dealt; whether it may."""
        while True:
            if len(self._places) >= self._lag:
                if not self._tell_first():
                    return False
            elif (promotion := self._search.promote()) is not None:
                self._let_on(promotion)
            else:
                return True

    def _tell_first(self) -> bool:
        """Tell the search of the run that was dealt first; whether it was there."""
        if not self._places or not self._dealt[self._places[0]].has_arrived:
            return False
        number = self._places.popleft()
        run = self._dealt[number]
        is_at_goal = run.is_at_goal
        decisions = [self._search.decide(number, run.plan, result) for result in run.take_heard()]
        if not is_at_goal:
            self._tell_end(number)
        elif decisions[-1] != "pause":
            self._let_on(Promotion(number, is_exempt=decisions[-1] == "exempt"))
        return True

    def _let_on(self, promotion: Promotion) -> None:
        """A paused run takes a place and may train to its next goal."""
        run = self._dealt[promotion.number]
        run.promotion, run.promoted_at = promotion, run.goal or 0
        later = [epoch for epoch in run.plan.decision_epochs if epoch > run.promoted_at]
        run.goal = min(later, default=None)
        self._places.append(promotion.number)

    def _tell_end(self, number: int) -> None:
        run = self._dealt.pop(number)
        if run.ended is not None:
            self._search.finish(run.plan, run.ended)

    def _tell_pruned(self) -> None:
        """Runs that a killed driver had pruned already, once nothing can promote them any more."""
        if not self._places:
            for number in sorted(self._dealt):
                if self._dealt[number].ended is not None:
                    self._tell_end(number)
