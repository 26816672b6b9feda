"""bakeoff's own search on a table: only the training is replaced."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from lookup_table import LookupTable, UnusedRows

from bakeoff.ranges import FloatRange
from bakeoff.records import ArmRecord, EpochResult, StudyConfig, TrialPlan, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.studyfile import resolve_study

ARM = "adam"


def study_config(table: LookupTable, seed: int, search: dict[str, Any]) -> StudyConfig:
    """A study with the default sampler and pruner, and as many trials as the table has rows."""
    if not {"trials_per_arm", "epochs_per_arm"} & search.keys():
        search = {**search, "trials_per_arm": len(table.values)}
    return resolve_study(
        {
            "study": {"name": "replay", "seed": seed, "objective": "loss"},
            "data": {"dataset": "digits"},
            "model": {"model": "mlp"},
            "training": {"epochs": table.num_evaluations},
            "search": {
                "optimizers": [ARM],
                "schedulers": ["constant"],
                "defaults": False,
                **search,
            },
        }
    )


def table_arm(table: LookupTable) -> ArmRecord:
    """The table's parameters as an arm, each searched in the logarithm between its extremes."""
    ranges = {
        f"{ARM}.{name}": FloatRange(low=low, high=high, log=True)
        for name, low, high in zip(table.parameters, *table.bounds, strict=True)
    }
    return ArmRecord(name=ARM, space={"optimizer": ARM, "scheduler": "constant", **ranges})


class Replay:
    """A search and its slots. In every round each slot trains its trial for one evaluation.

    Args:
        table: What answers.
        seed: Of the study.
        search: The section `[search]` of the study file, where it differs from the default.
        in_flight: Trials that train at the same time.
        most: Evaluations after which the search is given up.
    """

    def __init__(
        self,
        table: LookupTable,
        seed: int,
        search: dict[str, Any],
        in_flight: int = 1,
        most: float = math.inf,
    ) -> None:
        config = study_config(table, seed, search)
        self._table = table
        self._unused = UnusedRows(table)
        self._search = Search(config, [table_arm(table)], "minimize")
        self._names = [f"{ARM}.{name}" for name in table.parameters]
        self._in_flight, self._most = in_flight, most
        self._plans: dict[int, TrialPlan] = {}
        self._rows: dict[int, int] = {}
        self._history: dict[int, list[EpochResult]] = {}
        self._running: list[int] = []
        self.complete: dict[int, float] = {}
        """Best loss of each row that was trained to its end."""
        self.cost = 0

    def run(self, target: float = -math.inf) -> bool:
        """Search until a loss is at or below the target; whether one was."""
        while self.cost < self._most:
            while len(self._running) < self._in_flight and self._fill():
                pass
            if not self._running:
                return False
            for number in tuple(self._running):
                if self._train(number) <= target:
                    return True
        return False

    def _fill(self) -> bool:
        promotion = self._search.promote()
        if promotion is not None:
            self._running.append(promotion.number)
            return True
        plan = self._search.next() if len(self._unused) else None
        if plan is None:
            return False
        number = len(self._plans)
        row = self._unused.take_nearest(np.array([plan.params[name] for name in self._names]))
        values = dict(zip(self._names, self._table.values[row].tolist(), strict=True))
        self._plans[number] = replace(plan, params={**plan.params, **values})
        self._rows[number], self._history[number] = row, []
        self._search.started(number, self._plans[number])
        self._running.append(number)
        return True

    def _train(self, number: int) -> float:
        """One evaluation of a trial; its loss."""
        history, plan = self._history[number], self._plans[number]
        loss = float(self._table.losses[self._rows[number], len(history)])
        self.cost += 1
        is_last = len(history) + 1 == self._table.num_evaluations
        status = "diverged" if math.isnan(loss) else "finished" if is_last else "running"
        result = EpochResult(epoch=len(history) + 1, metrics={"loss": loss}, status=status)
        history.append(result)
        decision = self._search.decide(number, plan, result)
        if status != "running":
            self._end(number, "diverged" if status == "diverged" else "complete")
        elif decision == "pause":
            self._running.remove(number)
        elif decision not in ("continue", "exempt"):
            self._end(number, "pruned")
        return loss

    def _end(self, number: int, outcome: str) -> None:
        self._running.remove(number)
        history, plan = self._history[number], self._plans[number]
        losses = [one.metrics["loss"] for one in history]
        score = None if outcome == "diverged" else min(losses)
        if outcome == "complete":
            self.complete[self._rows[number]] = min(losses)
        record = TrialRecord(
            number=number, arm=ARM, params=plan.params, outcome=outcome, score=score,
            history=tuple(history), epochs_planned=self._table.num_evaluations,
            audited=plan.audited, phase=plan.phase, seed=plan.seed,
        )  # fmt: skip
        self._search.finish(plan, record)


def replay(
    table: LookupTable, seed: int, search: dict[str, Any], in_flight: int = 1
) -> tuple[int, bool]:
    """Search until success.

    Returns:
        Evaluations consumed, and whether the search succeeded before it ran out of configurations.
    """
    one = Replay(table, seed, search, in_flight)
    has_succeeded = one.run(table.target)
    return one.cost, has_succeeded


def choose(table: LookupTable, seed: int, search: dict[str, Any]) -> tuple[float, int]:
    """Search until the budget is used up, and choose the best complete run.

    Returns:
        The share of the table's configurations that end better than the chosen one, and the
        evaluations consumed.
    """
    one = Replay(table, seed, search)
    one.run()
    return table.share_better(one.complete), one.cost
