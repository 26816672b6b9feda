"""A search with workers that advance in any order and train nothing."""

import math

from bakeoff.records import EpochResult, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.studyfile import resolve_study
from study_examples import study_document

EPOCHS = 18


class Simulation:
    """Workers that advance in any order, asked and told as the driver does."""

    def __init__(self, search, curve, train_seconds=0.0):
        self.search = search
        self.seconds_of = lambda _: train_seconds
        self.curve = curve
        self.plans, self.epochs, self.records = {}, {}, {}
        self.running, self.paused, self.exempt = [], set(), set()

    def fill(self):
        promotion = self.search.promote()
        if promotion is not None:
            self.paused.remove(promotion.number)
            self.running.append(promotion.number)
            if promotion.is_exempt:
                self.exempt.add(promotion.number)
            return True
        plan = self.search.next()
        if plan is None:
            return False
        number = len(self.plans)
        self.search.started(number, plan)
        self.plans[number], self.epochs[number] = plan, 0
        self.running.append(number)
        return True

    def advance(self, worker):
        number = self.running[worker % len(self.running)]
        self.epochs[number] += 1
        epoch = self.epochs[number]
        value = self.curve(self.plans[number], number, epoch)
        status = "diverged" if math.isnan(value) else "finished" if epoch == EPOCHS else "running"
        result = EpochResult(
            epoch=epoch,
            metrics={"accuracy": value},
            status=status,
            train_seconds=self.seconds_of(self.plans[number]),
        )
        decision = self.search.decide(number, self.plans[number], result)
        if status != "running":
            assert decision == "continue"
            self.end(number, {"diverged": "diverged", "finished": "complete"}[status])
        elif decision == "pause":
            assert epoch in self.plans[number].decision_epochs
            self.running.remove(number)
            self.paused.add(number)
        elif decision == "exempt":
            self.exempt.add(number)
        elif decision in ("stop", "time_up", "budget_used"):
            self.end(number, "pruned")

    def end(self, number, outcome):
        assert number not in self.records
        self.records[number] = self.record(number, outcome)
        if number in self.running:
            self.running.remove(number)
        self.search.finish(self.plans[number], self.records[number])

    def record(self, number, outcome):
        plan = self.plans[number]
        history = [
            EpochResult(
                epoch=epoch,
                metrics={"accuracy": self.curve(plan, number, epoch)},
                train_seconds=self.seconds_of(plan),
            )
            for epoch in range(1, self.epochs[number] + 1)
        ]
        score = {"complete": history[-1].metrics["accuracy"] if history else 0, "diverged": 0.1}
        return TrialRecord(
            number=number, arm=plan.arm, params=plan.params, outcome=outcome,
            score=score.get(outcome, 0.2), seed=plan.seed, phase=plan.phase,
            history=tuple(history), epochs_planned=EPOCHS, is_paused=number in self.paused,
            audited=plan.audited,
        )  # fmt: skip

    def run(self, num_workers, turns):
        turn = iter(turns)
        while True:
            while len(self.running) < num_workers and self.fill():
                pass
            if not self.running:
                break
            self.advance(next(turn, 0))
        for number in sorted(self.paused):
            self.end(number, "pruned")


def search_of(trials_per_arm=6, deadline=None, **search):
    """A search of two arms in random draws, with halving unless told otherwise."""
    document = study_document(
        training={"epochs": EPOCHS},
        search={"pruner": "halving", "defaults": False, "sampler": "random",
                "trials_per_arm": trials_per_arm, **search},
    )  # fmt: skip
    config = resolve_study(document)
    return Search(config, build_arms(config), "maximize", deadline)
