"""How many evaluations the search needs to find a good configuration, on recorded curves.

    python tests/benchmarks/replay_tables.py DIR --half show --seeds 30 --in-flight 1 8 16
    python tests/benchmarks/replay_tables.py --families --seeds 10
    python tests/benchmarks/replay_tables.py DIR --half show --short 16 4

Every `.npz` in DIR is a table of configurations with their validation losses (see
`lookup_table.py`). The sampler proposes, the nearest unused configuration answers, and each loss
read costs one evaluation. Success is the first loss at or below the final one of the tenth-best
configuration. The ratio is the mean cost of random configurations trained to the end over the mean
cost of the search. Settings of the search are chosen on one half of the tables (every other one by
name, from the first) and shown on the other.

With `--families`, made-up tables of weak early signal (see `weak_signal.py`) are searched with a
budget: how many of the configurations end better than the one that is chosen. The first four tables
of a family are for choosing, the next four for showing. With `--short TRIALS EPOCHS` the tables in
DIR are cut after so many epochs and searched with so many trials, and compared in the same way.

Prints one JSON line per search. The 95 % intervals are bootstrap percentiles over tables and, within
each, over seeds.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import bakeoff_replay
import numpy as np
import optuna
import optuna_replay
from lookup_table import Array, LookupTable
from weak_signal import FAMILIES, family_tables

NUM_ORDERS = 1000
NUM_RESAMPLES = 4000
HALVES = {"choose": slice(0, None, 2), "show": slice(1, None, 2), "all": slice(None)}
FAMILY_TABLES = {"choose": slice(0, 4), "show": slice(4, 8), "all": slice(0, 8)}
NUM_RUNS = 20
EQUAL_RUNS = 15
"""Whole runs whose epochs the default search spends on about `NUM_RUNS` trials: a budget in epochs
at which it and the median pruner are compared at equal cost."""
Replay = Callable[[LookupTable, int], tuple[float, Any]]

SEARCHES: dict[str, dict[str, str]] = {
    "default": {},
    "own tpe": {"pruner": "none"},
    "own tpe + median": {"pruner": "median"},
    "own tpe + halving": {"pruner": "halving"},
    "random + cautious": {"sampler": "random"},
    "random + halving": {"sampler": "random", "pruner": "halving"},
    "random whole runs": {"sampler": "random", "pruner": "none"},
}
"""Settings of bakeoff by name; what is left out has its default."""
OPTUNA_PRUNERS = ("successive_halving", "hyperband", "median")


def main() -> None:
    """Run what the command line asks for and print what was measured."""
    arguments = parse_arguments()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    with get_context("spawn").Pool(arguments.processes, initializer=be_quiet) as pool:
        if arguments.families:
            for row in measure_families(arguments.half, seeds, pool):
                print(json.dumps(row), flush=True)
            return
        tables = load_tables(arguments.folder, arguments.half)
        if arguments.short:
            num_trials, epochs = arguments.short
            for row in measure_short(tables, num_trials, epochs, seeds, pool):
                print(json.dumps(row), flush=True)
            return
        for name in arguments.searches:
            for in_flight in arguments.in_flight:
                row = measure(name, in_flight, tables, seeds, pool)
                print(json.dumps(row), flush=True)


def load_tables(folder: Path, half: str) -> list[LookupTable]:
    """The tables of a folder that belong to this half, by name."""
    paths = sorted(folder.glob("*.npz"))[HALVES[half]]
    if not paths:
        raise SystemExit(f"{folder}: holds too few .npz files")
    return [LookupTable.load(path) for path in paths]


def parse_arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--half", choices=HALVES, default="all", help="which of the tables")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0)
    names = [*SEARCHES, *(f"optuna tpe + {pruner}" for pruner in OPTUNA_PRUNERS)]
    parser.add_argument("--searches", nargs="+", choices=names, default=["default"], metavar="NAME")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1], help="trials at a time")
    parser.add_argument("--families", action="store_true", help="made-up tables instead of DIR")
    parser.add_argument("--short", type=int, nargs=2, metavar=("TRIALS", "EPOCHS"))
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if (arguments.folder is None) != arguments.families:
        parser.error("give either a folder of tables or --families")
    return arguments


def replay_of(name: str, in_flight: int) -> Replay:
    """The replay of a search; Optuna's own has one trial in flight."""
    if name in SEARCHES:
        return partial(bakeoff_replay.replay, search=SEARCHES[name], in_flight=in_flight)
    return partial(optuna_replay.replay, pruner=name.removeprefix("optuna tpe + "))


def measure(
    name: str, in_flight: int, tables: list[LookupTable], seeds: range, pool: Any
) -> dict[str, Any]:
    """Costs of one search on all tables, against random search."""
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    jobs = [(table, seed) for table in tables for seed in seeds]
    found = pool.starmap(replay_of(name, in_flight), jobs, chunksize=1)
    costs = np.array([cost for cost, _ in found], dtype=float).reshape(len(tables), len(seeds))
    unsolved = np.array([not has for _, has in found]).reshape(costs.shape).sum(axis=1)
    baselines = [table.random_search_costs(NUM_ORDERS, rng) for table in tables]
    pairs = list(zip(baselines, costs, strict=True))
    ratios = np.array([base.mean() / cost.mean() for base, cost in pairs])
    drawn = np.array([resample(base, cost, rng) for base, cost in pairs])
    return {
        "search": name,
        "in_flight": in_flight,
        "seeds": len(seeds),
        "geometric_mean": round(float(np.exp(np.log(ratios).mean())), 2),
        "geometric_mean_interval": interval(over_tables(np.log(drawn), rng, exponent=True)),
        "worst": round(float(ratios.min()), 2),
        "worst_interval": interval(drawn.min(axis=0)),
        "tables": {
            table.name: {
                "ratio": round(ratios[index], 2),
                "interval": interval(drawn[index]),
                "mean_cost": round(costs[index].mean(), 1),
                "random_mean_cost": round(baselines[index].mean(), 1),
                "unsolved": int(unsolved[index]),
            }
            for index, table in enumerate(tables)
        },
        "seconds": round(time.perf_counter() - started, 1),
    }


def measure_families(half: str, seeds: range, pool: Any) -> list[dict[str, Any]]:
    """Ranks of what is chosen with small budgets, per family, against two other searches."""
    return [
        compare_choices(family, tables, seeds, pool, versus=versus, budget=budget)
        for family in FAMILIES
        for tables in [list(islice(family_tables(family), 8))[FAMILY_TABLES[half]]]
        for versus, budget in (
            ("random whole runs", {"epochs_per_arm": NUM_RUNS * tables[0].num_evaluations}),
            ("own tpe + median", {"trials_per_arm": NUM_RUNS}),
            ("own tpe + median", {"epochs_per_arm": EQUAL_RUNS * tables[0].num_evaluations}),
        )
    ]


def measure_short(
    tables: list[LookupTable], num_trials: int, epochs: int, seeds: range, pool: Any
) -> list[dict[str, Any]]:
    """Ranks of what is chosen in short studies of short runs, against two with median pruners."""
    short, equal = [table.cut(epochs) for table in tables], EQUAL_RUNS * num_trials // NUM_RUNS
    return [
        compare_choices(f"{epochs} epochs", short, seeds, pool, versus=versus, budget=budget)
        for versus, budget in (
            ("optuna tpe + median", {"trials_per_arm": num_trials}),
            ("own tpe + median", {"trials_per_arm": num_trials}),
            ("own tpe + median", {"epochs_per_arm": equal * epochs}),
        )
    ]


def choice_of(name: str, budget: dict[str, int]) -> Replay:
    """A search that ends with its budget, and what it chooses."""
    if name in SEARCHES:
        return partial(bakeoff_replay.choose, search={**SEARCHES[name], **budget})
    pruner = name.removeprefix("optuna tpe + ")
    return partial(optuna_replay.choose, pruner=pruner, num_trials=budget["trials_per_arm"])


def compare_choices(
    family: str,
    tables: list[LookupTable],
    seeds: range,
    pool: Any,
    *,
    versus: str,
    budget: dict[str, int],
) -> dict[str, Any]:
    """The default search against another one, each with the same budget."""
    rng = np.random.default_rng(0)
    jobs = [(table, seed) for table in tables for seed in seeds]
    shares, costs = [], []
    for name in ("default", versus):
        found = np.array(pool.starmap(choice_of(name, budget), jobs, chunksize=1))
        shares.append(100 * found[:, 0].reshape(len(tables), len(seeds)))
        costs.append(found[:, 1].mean())
    difference = shares[0] - shares[1]
    drawn = np.array(
        [rng.choice(row, (NUM_RESAMPLES, len(row))).mean(axis=1) for row in difference]
    )
    return {
        "family": family,
        "budget": budget,
        "versus": versus,
        "tables": len(tables),
        "seeds": len(seeds),
        "better_percent": [round(float(one.mean()), 2) for one in shares],
        "difference_interval": interval(over_tables(drawn, rng)),
        "epochs": [round(float(one), 1) for one in costs],
    }


def be_quiet() -> None:
    """Optuna tells of every study and trial otherwise."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def resample(baseline: Array, costs: Array, rng: np.random.Generator) -> Array:
    """Bootstrap ratios of the two means, [NUM_RESAMPLES]."""
    means = [
        rng.choice(sample, (NUM_RESAMPLES, len(sample))).mean(axis=1)
        for sample in (baseline, costs)
    ]
    return np.asarray(means[0] / means[1])


def over_tables(drawn: Array, rng: np.random.Generator, *, exponent: bool = False) -> Array:
    """Means over tables drawn anew, of draws [tables, NUM_RESAMPLES] within each."""
    rows = rng.integers(len(drawn), size=drawn.shape)
    means = np.take_along_axis(drawn, rows, axis=0).mean(axis=0)
    return np.asarray(np.exp(means) if exponent else means)


def interval(drawn: Array | Sequence[float]) -> list[float]:
    """The middle 95 %."""
    return [round(float(bound), 2) for bound in np.percentile(drawn, [2.5, 97.5])]


if __name__ == "__main__":
    main()
