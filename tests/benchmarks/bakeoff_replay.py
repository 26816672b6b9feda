"""bakeoff's own driver and search on a table: only the training is replaced."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lookup_table import LookupTable, UnusedRows

from bakeoff.components.metrics import find_metric
from bakeoff.driver import Driver, StopRequest
from bakeoff.engines.protocol import Epoch, Event, Finished, Job, Paused, Reply
from bakeoff.ranges import FloatRange
from bakeoff.records import ArmRecord, EpochResult, StudyConfig, TrialPlan
from bakeoff.search.arms import Search
from bakeoff.storage import StudyFacts
from bakeoff.studyfile import resolve_study

ARM = "adam"


class TargetReachedError(Exception):
    """The search has observed a loss that counts as success."""


class TableEngine:
    """Answers a job with the table's losses, one evaluation a call; told ones cost nothing again."""

    def __init__(self, table: LookupTable) -> None:
        self._table = table
        self._rows = {tuple(values): row for row, values in enumerate(table.values)}
        self._job: Job | None = None
        self._reply: Reply = "continue"
        self._epoch = 0
        self._paid: dict[str, int] = {}
        self.cost = 0

    @property
    def num_free(self) -> int:
        return int(self._job is None)

    def submit(self, job: Job) -> None:
        self._job, self._epoch, self._reply = job, 0, "continue"

    def reply(self, run: str, reply: Reply) -> None:
        self._reply = reply

    def events(self, timeout: float) -> Sequence[Event]:
        run = self._job.run
        if self._reply == "pause":
            return [self._end(Paused(run=run))]
        if self._reply == "stop":
            return [self._end(Finished(run=run, outcome="pruned", test_metrics={}))]
        epoch = self._evaluate()
        if epoch.result.status == "running":
            return [epoch]
        outcome = "diverged" if epoch.result.status == "diverged" else "complete"
        return [epoch, self._end(Finished(run=run, outcome=outcome, test_metrics={}))]

    def _end(self, event: Event) -> Event:
        self._job = None
        return event

    def _evaluate(self) -> Epoch:
        run, config = self._job.run, self._job.config
        self._epoch += 1
        row = self._rows[tuple(config.optimizer_params[name] for name in self._table.parameters)]
        loss = float(self._table.losses[row, self._epoch - 1])
        if self._epoch > self._paid.get(run, 0):
            self._paid[run] = self._epoch
            self.cost += 1
        if loss <= self._table.target:
            raise TargetReachedError
        is_last = self._epoch == self._table.num_evaluations
        status = "diverged" if math.isnan(loss) else "finished" if is_last else "running"
        result = EpochResult(epoch=self._epoch, metrics={"loss": loss}, status=status)
        waits = self._epoch in self._job.decision_epochs and status == "running"
        return Epoch(run=run, result=result, waits=waits)


class TableSearch(Search):
    """The search, whose proposals are answered by the nearest configuration of the table."""

    def __init__(self, table: LookupTable, config: StudyConfig, arm: ArmRecord) -> None:
        super().__init__(config, [arm], "minimize")
        self._table = table
        self._unused = UnusedRows(table)

    def next(self) -> TrialPlan | None:
        plan = super().next()
        if plan is None:
            return None
        names = [f"{ARM}.{name}" for name in self._table.parameters]
        row = self._unused.take_nearest(np.array([plan.params[name] for name in names]))
        values = dict(zip(names, self._table.values[row].tolist(), strict=True))
        return replace(plan, params={**plan.params, **values})


class NoStorage:
    """Keeps nothing but the count of trials: a replay is never continued."""

    def __init__(self) -> None:
        self._num_trials = 0

    def load_runs(self, name: str, purpose: str) -> tuple[()]:
        return ()

    def begin(self, config: StudyConfig, plan: TrialPlan) -> tuple[int, int]:
        self._num_trials += 1
        return self._num_trials - 1, self._num_trials - 1

    def report(self, *args: object) -> None:
        pass

    pause = unpause = spare = note = finish = report


class NoObserver:
    """Shows nothing."""

    def note(self, *args: object, **kwargs: object) -> None:
        pass

    began = epoch = paused = ended = note


def study_config(table: LookupTable, seed: int, search: dict[str, Any]) -> StudyConfig:
    """A study with the default sampler and pruner, and as many trials as the table has rows."""
    return resolve_study(
        {
            "study": {"name": "replay", "seed": seed, "objective": "loss"},
            "data": {"dataset": "digits"},
            "model": {"model": "mlp"},
            "training": {"epochs": table.num_evaluations},
            "search": {
                "optimizers": [ARM],
                "schedulers": ["constant"],
                "trials_per_arm": len(table.values),
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


def replay(table: LookupTable, seed: int, search: dict[str, Any]) -> tuple[int, bool]:
    """Search until success.

    Returns:
        Evaluations consumed, and whether the search succeeded before it ran out of configurations.
    """
    config, engine = study_config(table, seed, search), TableEngine(table)
    driver = Driver(
        config=config,
        facts=StudyFacts(
            metric=find_metric("loss", "classification").info,
            chance_score=float(np.nanmedian(table.untrained)),
            num_validation=0,
            num_test=0,
            data_fingerprint="",
            precision="fp32",
            threads=1,
        ),
        storage=NoStorage(),
        engine=engine,
        observer=NoObserver(),
        stop=StopRequest(),
        checkpoints=Path("no-checkpoints"),
    )
    try:
        driver.drive(TableSearch(table, config, table_arm(table)), "search")
    except TargetReachedError:
        return engine.cost, True
    return engine.cost, False
