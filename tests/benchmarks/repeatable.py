"""What repeatability costs: idle workers and epochs, in virtual time.

    python tests/benchmarks/repeatable.py [--seeds N]

The same search is driven as usual and in repeatable mode with several lags, by workers whose epochs
take between half and twice the usual time. One JSON line per number of workers and lag: the time
that the search took relative to the usual mode with as many workers (median over the seeds), the
share of the workers' time that was idle, and the epochs relative to the usual mode.
"""

import argparse
import heapq
import json
import math
import random
from dataclasses import replace
from statistics import median

import optuna

from bakeoff.components.pruners import PRUNERS
from bakeoff.driver import Ordered, Source
from bakeoff.records import EpochResult, StudyConfig, TrialPlan, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.studyfile import resolve_study

WORKERS = (1, 2, 4, 8)
LAGS = (4, 8, 16, 32)
EPOCHS = 27


def study(seed: int, lag: int | None, pruner: str) -> StudyConfig:
    """Two arms of 40 trials; random draws, so that both modes train the same configurations."""
    config = resolve_study(
        {
            "study": {"name": "idle", "seed": seed},
            "data": {"dataset": "digits"},
            "model": {"model": "mlp"},
            "training": {"epochs": EPOCHS},
            "search": {
                "optimizers": ["sgd", "adam"], "schedulers": ["constant"], "sampler": "random",
                "trials_per_arm": 40, "pruner": pruner, "defaults": False,
            },
        }
    )  # fmt: skip
    return replace(config, search=replace(config.search, lag=lag))


class Virtual:
    """A driver and its workers, in virtual time."""

    def __init__(self, config: StudyConfig, seed: int) -> None:
        self._search = Search(config, build_arms(config), "maximize")
        self._source: Source = self._search
        if config.search.lag is not None:
            pauses = PRUNERS[config.search.pruner].pauses
            self._source = Ordered(self._search, lag=config.search.lag, pauses=pauses)
        self._seed = seed
        self._plans: dict[int, TrialPlan] = {}
        self._history: dict[int, list[EpochResult]] = {}
        self.epochs = 0
        self.busy = 0.0

    def run(self, num_workers: int) -> float:
        """The time until the last worker has ended."""
        now, running = 0.0, list[tuple[float, int]]()
        while True:
            while len(running) < num_workers and (number := self._next()) is not None:
                heapq.heappush(running, (now + self._seconds(number), number))
            if not running:
                return now
            now, number = heapq.heappop(running)
            if self._epoch(number):
                heapq.heappush(running, (now + self._seconds(number), number))

    def _next(self) -> int | None:
        promotion = self._source.promote()
        if promotion is not None:
            return promotion.number
        plan = self._source.next()
        if plan is None:
            return None
        number = len(self._plans)
        self._plans[number], self._history[number] = plan, []
        self._source.started(number, plan)
        return number

    def _seconds(self, number: int) -> float:
        """Of the next epoch: a trial's own speed, between half and twice the usual one."""
        own = 2 ** random.Random(f"{self._seed}/{number}").uniform(-1, 1)
        self.busy += own
        return own

    def _epoch(self, number: int) -> bool:
        """Train an epoch; whether the trial continues at once."""
        self.epochs += 1
        plan, epoch = self._plans[number], len(self._history[number]) + 1
        draws = random.Random(f"{self._seed}/{plan.params}")
        value = draws.random() * (1 - math.exp(-epoch / (2 + 8 * draws.random())))
        status = "finished" if epoch == EPOCHS else "running"
        result = EpochResult(epoch=epoch, metrics={"accuracy": value}, status=status)  # type: ignore[arg-type]
        self._history[number].append(result)
        decision = self._source.decide(number, plan, result)
        if decision == "stop" or status == "finished":
            outcome = "pruned" if decision == "stop" else "complete"
            record = TrialRecord(
                number=number, arm=plan.arm, params=plan.params, outcome=outcome,  # type: ignore[arg-type]
                score=value, history=tuple(self._history[number]), audited=plan.audited,
            )  # fmt: skip
            self._source.finish(plan, record)
            return False
        return decision != "pause"


def measure(seed: int, lag: int | None, pruner: str, num_workers: int) -> tuple[float, float, int]:
    """Time, idle share and epochs of one search."""
    virtual = Virtual(study(seed, lag, pruner), seed)
    took = virtual.run(num_workers)
    return took, 1 - virtual.busy / (took * num_workers), virtual.epochs


def main() -> None:
    """Print one JSON line per pruner, number of workers and lag."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for pruner in ("halving", "none"):
        for num_workers in WORKERS:
            usual = [measure(seed, None, pruner, num_workers) for seed in seeds]
            for lag in (one for one in LAGS if one >= num_workers):
                ours = [measure(seed, lag, pruner, num_workers) for seed in seeds]
                pairs = list(zip(ours, usual, strict=True))
                print(
                    json.dumps(
                        {
                            "pruner": pruner,
                            "workers": num_workers,
                            "lag": lag,
                            "time_ratio": round(median(a[0] / b[0] for a, b in pairs), 3),
                            "idle_share": round(median(one[1] for one in ours), 3),
                            "usual_idle_share": round(median(one[1] for one in usual), 3),
                            "epochs_ratio": round(median(a[2] / b[2] for a, b in pairs), 3),
                        }
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
