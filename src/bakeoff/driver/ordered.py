"""A search that decides the same with any number of workers of any speed.

Runs are reported to the search in the order in which they were scheduled, not in the order in
which their events arrive. There is a fixed number of slots. A new run takes a slot, and so does a
paused run that continues. The slot is released when the run has reached its next decision or its
end and every run scheduled before it has been reported:

    schedule until all slots are taken; wait for the run scheduled first; report it; repeat

What the search knows when it schedules a run therefore depends on the study alone. Workers may
train the scheduled runs in any order. After a kill the same sequence is repeated with the stored
results, and continues where these end.
"""

import math
from collections import deque
from dataclasses import dataclass, field, replace

from bakeoff.records import Decision, EpochResult, Promotion, TrialPlan, TrialRecord
from bakeoff.search.arms import Search


@dataclass
class _Scheduled:
    """A scheduled run: what its worker has sent, and what has been reported to the search."""

    plan: TrialPlan
    goal: int | None
    """Epoch up to which it may train before the search decides on it; None means to its end."""
    received: dict[int, EpochResult] = field(default_factory=dict)
    """Results by epoch that have not been reported yet."""
    reported: int = 0
    """Last epoch that has been reported."""
    ended: TrialRecord | None = None
    """How it ended, until this is reported."""
    paused_at: int | None = None
    """Epoch after which it is paused."""
    promotion: Promotion | None = None
    """Its promotion from `promoted_at`, until the driver takes it."""
    promoted_at: int = 0

    @property
    def is_at_goal(self) -> bool:
        """Whether the search has to decide on it at its goal. False if it ended at that epoch."""
        result = None if self.goal is None else self.received.get(self.goal)
        return result is not None and result.status == "running"

    def take_received(self) -> list[EpochResult]:
        """Results to report now, each once: up to the goal if it was reached, otherwise all."""
        last = self.goal if self.goal is not None and self.is_at_goal else math.inf
        taken = [self.received.pop(epoch) for epoch in sorted(self.received) if epoch <= last]
        self.reported = taken[-1].epoch if taken else self.reported
        return taken

    def must_pause(self, result: EpochResult) -> bool:
        """Whether it may not continue after this epoch.

        After a restart it may be ahead of its goal, until its promotions have been repeated.
        """
        is_rung = result.epoch in self.plan.decision_epochs and result.status == "running"
        return is_rung and self.goal is not None and result.epoch >= self.goal

    def receive(self, result: EpochResult) -> None:
        """Note an epoch. An epoch that has been reported before changes nothing."""
        if result.epoch > self.reported:
            self.received.setdefault(result.epoch, result)


class Ordered:
    """The source of runs around a search that decides in order; see `bakeoff.driver.Source`."""

    def __init__(self, search: Search, *, lag: int, pauses: bool, num_settled: int = 0) -> None:
        """Begin without runs.

        Args:
            search: Makes the decisions.
            lag: Number of slots.
            pauses: Whether runs pause at their decision epochs until they have been reported. If
                not, a decision may only depend on the run itself and on the runs that had been
                reported when it was scheduled.
            num_settled: Number of stored runs, from the first one, that had all been reported when
                the study was last extended.
        """
        self._search = search
        self._lag = lag
        self._pauses = pauses
        self._num_settled = num_settled
        self._slots: deque[int] = deque()
        """Numbers of the runs that are scheduled and not reported, in the order of scheduling."""
        self._runs: dict[int, _Scheduled] = {}
        self._next: TrialPlan | None = None
        """A run that is scheduled and has not been started."""

    @property
    def num_left(self) -> int:
        """Number of runs that have not been started yet."""
        return self._search.num_left + (self._next is not None)

    def promote(self) -> Promotion | None:
        """The paused run that continues now, or None."""
        self._schedule()
        for run in self._runs.values():
            promotion = run.promotion
            if promotion is not None and run.paused_at == run.promoted_at:
                run.promotion = run.paused_at = None
                return promotion
        return None

    def next(self) -> TrialPlan | None:
        """The next run, or None if no run can start now."""
        self._schedule()
        plan, self._next = self._next, None
        return plan

    def started(self, number: int, plan: TrialPlan) -> None:
        """Note that `plan` was started as run `number`."""
        self._search.started(number, plan)
        self._take_slot(number, plan)

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Restore a stored run at the point at which it was scheduled."""
        if self._num_settled:
            self._num_settled -= 1
            return self._search.restore(record)
        self._release_slots()
        while not self._search.has_next and self._report_first():
            self._release_slots()
        if not self._pauses:  # its epochs may be reported at once: they decide on no other run
            plan = self._search.restore(record)
            self._take_slot(record.number, plan)
            return plan
        plan = self._search.restore(replace(record, history=(), is_paused=False))
        run = self._take_slot(record.number, plan)
        for result in record.history:
            run.receive(result)
        run.paused_at = record.epochs_run if record.is_paused else None
        return plan

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Pause the run at its goal. Without pauses, return the decision of the search."""
        if not self._pauses or number not in self._runs:
            return self._search.decide(number, plan, result)
        run = self._runs[number]
        run.receive(result)
        if self._search.is_time_up and result.status == "running":
            return "time_up"
        if run.must_pause(result):
            run.paused_at = result.epoch
            return "pause"
        promotion = run.promotion
        if promotion is None or result.epoch != run.promoted_at:
            return "continue"
        run.promotion = None
        return "exempt" if promotion.is_exempt else "continue"

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Pass the epoch on, unless epochs are reported in order anyway."""
        if not self._pauses:
            self._search.update_seconds(number, plan, result)

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Note how a run ended. This is reported to the search when the run's turn comes."""
        run = self._runs.get(record.number)
        if run is None:
            self._search.finish(plan, record)
            return
        run.ended, run.paused_at = record, None
        for result in record.history if self._pauses else ():
            run.receive(result)
        if not self._slots:
            self._report_end(record.number)  # it was paused, and cannot be promoted any more

    def take_notes(self) -> tuple[str, ...]:
        """Texts to show and store that are new since the last call."""
        return self._search.take_notes()

    def _take_slot(self, number: int, plan: TrialPlan) -> _Scheduled:
        goal = min(plan.decision_epochs, default=None) if self._pauses else None
        self._runs[number] = _Scheduled(plan, goal)
        self._slots.append(number)
        return self._runs[number]

    def _schedule(self) -> None:
        """Repeat the sequence until a run is scheduled or a result is missing."""
        while self._next is None and self._release_slots():
            self._next = self._search.next()
            if self._next is None and not self._report_first():
                self._report_pruned()
                return

    def _release_slots(self) -> bool:
        """Report runs and promote paused ones until a slot is free; False if none can be freed."""
        while True:
            if len(self._slots) >= self._lag:
                if not self._report_first():
                    return False
            elif (promotion := self._search.promote()) is not None:
                self._continue(promotion)
            else:
                return True

    def _report_first(self) -> bool:
        """Report the run that was scheduled first; False if its result has not arrived."""
        run = self._runs[self._slots[0]] if self._slots else None
        if run is None or (run.ended is None and not run.is_at_goal):
            return False
        number, is_at_goal = self._slots.popleft(), run.is_at_goal
        decisions = [self._search.decide(number, run.plan, one) for one in run.take_received()]
        if not is_at_goal:
            self._report_end(number)
        elif decisions[-1] in ("continue", "exempt"):
            self._continue(Promotion(number, is_exempt=decisions[-1] == "exempt"))
        return True

    def _continue(self, promotion: Promotion) -> None:
        """Give a paused run a slot and let it train to its next goal."""
        run = self._runs[promotion.number]
        run.promotion, run.promoted_at = promotion, run.goal or 0
        later = [epoch for epoch in run.plan.decision_epochs if epoch > run.promoted_at]
        run.goal = min(later, default=None)
        self._slots.append(promotion.number)

    def _report_end(self, number: int) -> None:
        run = self._runs.pop(number)
        if run.ended is not None:
            self._search.finish(run.plan, run.ended)

    def _report_pruned(self) -> None:
        """Report runs that a killed driver had pruned, once nothing can promote them any more."""
        for number in [] if self._slots else sorted(self._runs):
            if self._runs[number].ended is not None:
                self._report_end(number)
