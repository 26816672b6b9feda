"""What the search costs beside the training: with workers that train nothing.

    python tests/benchmarks/orchestration.py
    python tests/benchmarks/orchestration.py --part overhead --trials 1000 --sampler random

Parts, one JSON line each:

    overhead   milliseconds per trial and per report on SQLite, and the ratio to Optuna's plain
               `study.optimize` with the same sampler, storage, parameters and reports; of the
               processor's time too, because the clock also counts what else the machine does
    large      a study of many stored trials: `study status`, the next proposal, `study report`;
               the whole search, its storing and restoring; seconds of the clock and of a core
    cost       milliseconds of a core per epoch that one driver takes, by sampler, pruner, number
               of trials and number of events that come together; with --url on PostgreSQL
    workers    1,000 workers whose epochs take a second on average: the share of their time that
               they wait for the driver, and whether every arm was charged exactly its budget
    fairness   four equally good arms: the trials each gets here, and from one shared TPE sampler
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from idle_engine import IdleEngine, accuracy
from orchestration_table import publish

from bakeoff.commands.reporting import write_study_report
from bakeoff.commands.verbs.status import status as show_status
from bakeoff.driver import Driver, StopRequest
from bakeoff.records import MetricInfo, StudyConfig
from bakeoff.search.arms import Search
from bakeoff.space import build_arms, build_trial_config, suggest
from bakeoff.storage import Storage, StudyFacts
from bakeoff.studyfile import resolve_study

NUM_EPOCHS = 20
FOUR = ("sgd", "adam", "adamw", "rmsprop")
SAMPLERS = ("random", "tpe")
SAME_RATES = {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}


class NoObserver:
    """Shows nothing."""

    def note(self, *args: object, **kwargs: object) -> None:
        pass

    began = epoch = paused = ended = note


class NoStorage:
    """Keeps nothing but the count of trials."""

    def __init__(self) -> None:
        self._num_trials = 0

    def random_id(self, name: str) -> str:
        return name

    def load_runs(self, name: str, purpose: str, repeat: int) -> tuple[()]:
        return ()

    def together(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def begin(self, config: StudyConfig, plan: object) -> tuple[int, int]:
        self._num_trials += 1
        return self._num_trials - 1, self._num_trials - 1

    def report(self, *args: object) -> None:
        pass

    pause = unpause = exempt = note = finish = report


def main() -> None:
    """Measure the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--trials", type=int, help="instead of each part's own number")
    parser.add_argument("--sampler", choices=SAMPLERS, action="append", help="of overhead")
    parser.add_argument("--rounds", type=int, help="of overhead")
    parser.add_argument("--url", help="an empty database instead of SQLite, for cost")
    parser.add_argument("--publish", action="store_true", help="write results/published")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for part in arguments.part or PARTS:
        given: dict[str, Any] = {"num_trials": arguments.trials}
        if part == "overhead":
            given |= {"samplers": arguments.sampler, "rounds": arguments.rounds}
        if part == "cost":
            given |= {"samplers": arguments.sampler, "url": arguments.url}
        given = {name: value for name, value in given.items() if value is not None}
        found = PARTS[part](**given)
        print(json.dumps({"part": part, **found}), flush=True)
        if arguments.publish:
            publish(part, found)


def study_config(trials_per_arm: int, **search: Any) -> StudyConfig:
    """A study of four optimizers with one range of learning rates for all."""
    return resolve_study(
        {
            "study": {"name": "idle", "seed": 1},
            "data": {"dataset": "digits"},
            "model": {"model": "mlp"},
            "training": {"epochs": NUM_EPOCHS, "precision": "fp32"},
            "search": {
                "optimizers": list(FOUR),
                "trials_per_arm": trials_per_arm,
                "defaults": False,
                **search,
            },
            "space": dict.fromkeys(FOUR, SAME_RATES),
            "confirm": {"seeds": 0},
        }
    )


def facts() -> StudyFacts:
    """Of a study that nothing was measured for."""
    return StudyFacts(
        metric=MetricInfo(name="accuracy", direction="maximize", low=0.0, high=1.0),
        chance_score=0.1,
        num_validation=0,
        num_test=0,
        data_fingerprint="",
        precision="fp32",
        threads=1,
    )


def drive(config: StudyConfig, storage: Storage | NoStorage, engine: IdleEngine) -> Search:
    """Run the whole search."""
    driver = Driver(
        config=config,
        facts=facts(),
        storage=storage,
        engine=engine,
        observer=NoObserver(),
        stop=StopRequest(),
        checkpoints=Path("no-checkpoints"),
    )
    search = Search(config, build_arms(config), "maximize")
    driver.drive(search, "search")
    return search


@contextlib.contextmanager
def new_storage() -> Any:
    """A SQLite storage in a temporary folder, and the folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        yield Storage(f"sqlite:///{path / 'studies.db'}", create=True), path


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    return times_of(work)[0]


def times_of(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time of one call."""
    started = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started[0], time.process_time() - started[1]


# ---------------------------------------------------------------- overhead


def measure_overhead(
    num_trials: int = 1000, rounds: int = 3, samplers: Sequence[str] = SAMPLERS
) -> dict[str, Any]:
    """Ours and plain Optuna in turns; medians."""
    found: dict[str, Any] = {"trials": num_trials, "reports": NUM_EPOCHS, "rounds": rounds}
    for sampler in samplers:
        config = study_config(num_trials // len(FOUR), sampler=sampler, pruner="none")
        ours, plain = [], []
        for _ in range(rounds):
            ours.append(_time_ours(config))
            plain.append(_time_plain(config, num_trials))
        wall, processor = (statistics.median(times) for times in zip(*ours, strict=True))
        plain_wall, plain_processor = (
            statistics.median(times) for times in zip(*plain, strict=True)
        )
        found[sampler] = {
            "ms_per_trial": round(1000 * wall / num_trials, 2),
            "ms_per_report": round(1000 * wall / num_trials / NUM_EPOCHS, 3),
            "plain_ms_per_trial": round(1000 * plain_wall / num_trials, 2),
            "ratio": round(wall / plain_wall, 3),
            "processor_ms_per_trial": round(1000 * processor / num_trials, 2),
            "processor_ratio": round(processor / plain_processor, 3),
        }
    return found


def _time_ours(config: StudyConfig) -> tuple[float, float]:
    with new_storage() as (storage, _):
        storage.create(config, facts())
        return times_of(partial(drive, config, storage, IdleEngine(1)))


def _time_plain(config: StudyConfig, num_trials: int) -> tuple[float, float]:
    """The optimizer is one more parameter of one study, as its tutorials do it."""
    arms = {arm.name: arm for arm in build_arms(config)}

    def objective(trial: optuna.Trial) -> float:
        arm = arms[trial.suggest_categorical("arm", FOUR)]
        run = build_trial_config(config, suggest(trial, arm), trial.number)
        for epoch in range(1, NUM_EPOCHS + 1):
            value = accuracy(run, epoch)
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    samplers: Mapping[str, optuna.samplers.BaseSampler] = {
        "random": optuna.samplers.RandomSampler(seed=1),
        "tpe": optuna.samplers.TPESampler(seed=1, multivariate=True, group=True),
    }
    with new_storage() as (storage, _):
        study = optuna.create_study(
            storage=storage.optuna_storage,
            sampler=samplers[config.search.sampler],
            pruner=optuna.pruners.NopPruner(),
            direction="maximize",
        )
        return times_of(partial(study.optimize, objective, n_trials=num_trials))


# ---------------------------------------------------------------- many stored trials


def measure_large(num_trials: int = 10_000) -> dict[str, Any]:
    """Random trials under the default pruner; the next proposal is the default sampler's."""
    started = time.perf_counter(), time.process_time()
    config = study_config(num_trials // len(FOUR), sampler="random")
    with new_storage() as (storage, folder):
        stored = seconds_of(partial(_store_search, config, storage))
        url = f"sqlite:///{folder / 'studies.db'}"
        with contextlib.redirect_stdout(io.StringIO()):
            where = {"output": folder, "storage": url}
            status = seconds_of(partial(show_status, "idle", as_json=False, **where))
            report = seconds_of(partial(write_study_report, "idle", **where))
        larger = study_config(num_trials // len(FOUR) + 10)
        search = Search(larger, build_arms(larger), "maximize")
        restore = seconds_of(partial(_restore, search, storage))
        proposals = [seconds_of(partial(_begin_next, search, number)) for number in range(40)]
    return {
        "trials": num_trials,
        "status_seconds": round(status, 2),
        "next_proposal_ms": round(1000 * statistics.median(proposals), 1),
        "next_proposal_ms_worst": round(1000 * max(proposals), 1),
        "report_seconds": round(report, 2),
        "restore_seconds": round(restore, 2),
        "store_seconds": round(stored, 1),
        "total_seconds": round(time.perf_counter() - started[0], 1),
        "processor_seconds": round(time.process_time() - started[1], 1),
    }


def _store_search(config: StudyConfig, storage: Storage) -> None:
    """A search that ran in memory, one transaction a poll."""
    storage.create(config, facts())
    memory = _MemoryStorage(config, storage)
    drive(config, memory, IdleEngine(64, per_poll=64))


class _MemoryStorage(NoStorage):
    """Hands each trial on when it has ended."""

    def __init__(self, config: StudyConfig, storage: Storage) -> None:
        super().__init__()
        self._config, self._storage = config, storage
        self._plans: dict[int, Any] = {}
        self._ended: dict[int, Any] = {}
        self._num_stored = 0

    def together(self) -> contextlib.AbstractContextManager[Any]:
        return self._storage.together()

    def begin(self, config: StudyConfig, plan: Any) -> tuple[int, int]:
        number, trial_id = super().begin(config, plan)
        self._plans[trial_id] = plan
        return number, trial_id

    def finish(self, trial_id: int, record: Any) -> None:  # type: ignore[override]
        self._ended[trial_id] = record
        while (number := self._num_stored) in self._ended:
            record = self._ended.pop(number)
            _, trial_id = self._storage.begin(self._config, self._plans[number])
            self._storage.finish(trial_id, record)
            self._num_stored += 1


def _restore(search: Search, storage: Storage) -> None:
    for _, record in storage.load_runs("idle", "search"):
        search.finish(search.restore(record), record)


def _begin_next(search: Search, count: int) -> None:
    plan = search.next()
    if plan is not None:
        search.started(1_000_000 + count, plan)


# ---------------------------------------------------------------- cost


def measure_cost(
    num_trials: int = 1000, samplers: Sequence[str] = SAMPLERS, url: str | None = None
) -> dict[str, Any]:
    """Of whole searches, with one event in every poll and with the 16 events of a stack of runs."""
    found: dict[str, Any] = {"trials": num_trials, "url": "postgresql" if url else "sqlite"}
    for sampler in samplers:
        for pruner in ("none", "halving"):
            for per_poll in (1, 16):
                cost = _cost(num_trials, sampler, pruner, per_poll, url)
                found[f"{sampler}, {pruner}, {per_poll} per poll"] = cost
    return found


def _cost(
    num_trials: int, sampler: str, pruner: str, per_poll: int, url: str | None
) -> dict[str, float]:
    config = study_config(num_trials // len(FOUR), sampler=sampler, pruner=pruner)
    engine = IdleEngine(64, per_poll=per_poll)
    with new_storage() as (sqlite, _):
        storage = Storage(url, create=True) if url else sqlite
        storage.create(config, facts())
        _, processor = times_of(partial(drive, config, storage, engine))
        storage.delete(config.name)
    return {
        "epochs": engine.num_epochs,
        "processor_ms_per_epoch": round(1000 * processor / engine.num_epochs, 3),
    }


# ---------------------------------------------------------------- many workers


def measure_workers(num_trials: int = 4000, num_workers: int = 1000) -> dict[str, Any]:
    """The driver's seconds are those of its core: what else the machine does changes nothing."""
    found: dict[str, Any] = {"trials": num_trials, "workers": num_workers}
    for pruner in ("none", "halving"):
        config = study_config(num_trials // len(FOUR), pruner=pruner)
        with new_storage() as (storage, _):
            storage.create(config, facts())
            engine = IdleEngine(num_workers, driver_clock=time.process_time)
            started = time.process_time()
            search = drive(config, storage, engine)
            processor = time.process_time() - started
        charged = {arm: charges.trials for arm, charges in search.ledger.charges.items()}
        waited = engine.idle_seconds
        found[pruner] = {
            "epochs": engine.num_epochs,
            "polls": engine.num_polls,
            "processor_ms_per_epoch": round(1000 * processor / engine.num_epochs, 3),
            "waiting_share": round(waited / (waited + engine.busy_seconds), 4),
            "budget_exact": set(charged.values()) == {num_trials // len(FOUR)},
        }
    return found


# ---------------------------------------------------------------- fairness


def measure_fairness(num_trials: int = 60, num_studies: int = 20) -> dict[str, Any]:
    """Four equally good arms: fewest and most trials of an arm, means over studies."""
    ours, shared = [], []
    for seed in range(num_studies):
        config = study_config(num_trials // len(FOUR), sampler="tpe")
        search = drive(config, NoStorage(), IdleEngine(4, seed))
        ours.append([charges.trials for charges in search.ledger.charges.values()])
        shared.append(_shared_tpe(config, num_trials, seed))
    return {
        "trials": num_trials,
        "studies": num_studies,
        "ours": _fewest_and_most(ours),
        "shared_tpe": _fewest_and_most(shared),
    }


def _shared_tpe(config: StudyConfig, num_trials: int, seed: int) -> list[int]:
    arms = {arm.name: arm for arm in build_arms(config)}
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
        direction="maximize",
    )
    counts: Counter[str] = Counter(dict.fromkeys(arms, 0))

    def objective(trial: optuna.Trial) -> float:
        arm = arms[trial.suggest_categorical("arm", FOUR)]
        counts[arm.name] += 1
        run = build_trial_config(config, suggest(trial, arm), 1000 * seed + trial.number)
        return accuracy(run, NUM_EPOCHS)

    study.optimize(objective, n_trials=num_trials)
    return list(counts.values())


def _fewest_and_most(counts: list[list[int]]) -> dict[str, float]:
    return {
        "fewest": round(statistics.mean(map(min, counts)), 1),
        "most": round(statistics.mean(map(max, counts)), 1),
    }


PARTS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "overhead": measure_overhead,
    "cost": measure_cost,
    "large": measure_large,
    "workers": measure_workers,
    "fairness": measure_fairness,
}


if __name__ == "__main__":
    main()
