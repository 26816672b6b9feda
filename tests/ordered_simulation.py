"""Simulates the driver in repeatable mode, with events in any order and kills at any time."""

import math
from dataclasses import replace

from bakeoff.components.pruners import PRUNERS
from bakeoff.driver import Ordered
from bakeoff.records import EpochResult, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.space import build_arms

CHANCE = 0.1


class OrderedSimulation:
    """Workers that advance in any order, and a driver that can be killed between any two steps.

    Args:
        config: A repeatable study.
        curve: Plan and epoch -> accuracy; NaN has diverged.
    """

    def __init__(self, config, curve):
        self.config, self.curve = config, curve
        self.stored = {}
        """The record of every trial in storage, by number."""
        self.settled = 0
        self.waits = 0
        """How often a worker was free and had nothing to do while others were busy."""
        self.restart()

    def restart(self):
        """Start a driver that knows only what is stored. Workers start their runs again."""
        config = self.config
        self.search = Search(config, build_arms(config), "maximize")
        self.source = Ordered(
            self.search, lag=config.search.lag, pauses=PRUNERS[config.search.pruner].pauses,
            num_settled=self.settled,
        )  # fmt: skip
        self.plans, self.epochs, self.running, self.queued = {}, {}, [], []
        self.pausing, self.promoted = set(), set()
        """Runs whose workers have not finished pausing, and those of them that are promoted."""
        for number, record in sorted(self.stored.items()):
            plan = self.plans[number] = self.source.restore(record)
            if record.outcome != "running":
                self.source.finish(plan, record)
            elif not record.is_paused:
                self.queued.append(number)

    def fill(self):
        if self.queued:
            self.submit(self.queued.pop(0))
        elif (promotion := self.source.promote()) is not None:
            number = promotion.number
            if promotion.is_exempt and self.stored[number].spared_at is None:
                self.store(number, spared_at=self.stored[number].epochs_run)
            if number in self.pausing:
                self.promoted.add(number)
            else:
                self.store(number, is_paused=False)
                self.queued.append(number)
        elif (plan := self.source.next()) is not None:
            number = len(self.stored)
            self.stored[number] = TrialRecord(
                number=number, arm=plan.arm, params=plan.params, outcome="running", score=None,
                seed=plan.seed, phase=plan.phase, audited=plan.audited,
                epochs_planned=self.config.training.epochs, decision_epochs=plan.decision_epochs,
            )  # fmt: skip
            self.plans[number] = plan
            self.source.started(number, plan)
            self.submit(number)
        else:
            return False
        return True

    def submit(self, number):
        self.epochs[number] = 0  # a worker sends the epochs of its checkpoint again
        self.running.append(number)

    def advance(self, number):
        """Handle the next event of a worker: one epoch, or that it has paused."""
        if number in self.pausing:
            self.release(number)
            return
        self.epochs[number] += 1
        epoch, plan, known = self.epochs[number], self.plans[number], self.stored[number].history
        value = self.curve(plan, epoch)
        is_last = epoch == self.config.training.epochs
        status = "diverged" if math.isnan(value) else "finished" if is_last else "running"
        result = EpochResult(epoch=epoch, metrics={"accuracy": value}, status=status)
        if epoch > len(known) and status == "running":
            self.store(number, history=(*known, result))
        if epoch < len(known):
            self.source.update_seconds(number, plan, result)
            decision = "continue"
        else:
            decision = self.source.decide(number, plan, result)
        if status != "running":
            outcome = "complete" if status == "finished" else "diverged"
            self.store(number, history=(*self.stored[number].history, result))
            self.end(number, outcome)
        elif decision == "pause":
            self.pausing.add(number)
        elif decision == "stop":
            self.end(number, "pruned")
        elif decision == "exempt" and self.stored[number].spared_at is None:
            self.store(number, spared_at=epoch)

    def release(self, number):
        self.pausing.remove(number)
        self.running.remove(number)
        if number in self.promoted:
            self.promoted.remove(number)
            self.queued.append(number)
        else:
            self.store(number, is_paused=True)

    def store(self, number, **changes):
        self.stored[number] = replace(self.stored[number], **changes)

    def end(self, number, outcome):
        values = [one.metrics["accuracy"] for one in self.stored[number].history]
        score = CHANCE if outcome == "diverged" else max(values)
        self.store(number, outcome=outcome, score=score, is_paused=False)
        if number in self.running:
            self.running.remove(number)
        self.source.finish(self.plans[number], self.stored[number])

    def run(self, num_workers, turns=(), kills=(), *, extensions=None):
        """Run to the end.

        Args:
            num_workers: At once.
            turns: Which of the running ones advances next, over and over; the first without any.
            kills: Steps at which the driver is killed.
            extensions: By step, the settings with which the study continues after a kill there.
        """
        step = 0
        while True:
            while len(self.running) < num_workers and self.fill():
                pass
            if not self.running:
                break
            self.waits += num_workers - len(self.running)
            turn = turns[step % len(turns)] if turns else 0
            self.advance(self.running[turn % len(self.running)])
            step += 1
            self.config = (extensions or {}).get(step, self.config)
            if step in kills or step in (extensions or {}):
                self.restart()
        for number in [one for one, record in sorted(self.stored.items()) if record.is_paused]:
            self.end(number, "pruned")
        return self.table()

    def table(self):
        """Everything that must not depend on the order of events."""
        return [
            (record.number, record.arm, record.params, record.phase, record.outcome, record.score,
             record.seed, record.audited, record.spared_at,
             [one.metrics["accuracy"] for one in record.history if not _is_nan(one)])
            for _, record in sorted(self.stored.items())
        ]  # fmt: skip


def _is_nan(result):
    return math.isnan(result.metrics["accuracy"])
