"""How many evaluations the search needs to find a good configuration, on recorded curves.

    python tests/benchmarks/replay_tables.py DIR --seeds 30

Every `.npz` in DIR is a table of configurations with their validation losses (see
`lookup_table.py`). The sampler proposes, the nearest unused configuration answers, and each loss
read costs one evaluation. Success is the first loss at or below the final one of the tenth-best
configuration. The ratio is the mean cost of random configurations trained to the end over the mean
cost of the search, with a 95 % bootstrap interval (percentiles, seeds and orders drawn anew).
Prints one JSON line; with `--optuna` another one for each of Optuna's own pruners.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import bakeoff_replay
import numpy as np
import optuna
import optuna_replay
from lookup_table import Array, LookupTable

NUM_ORDERS = 1000
NUM_RESAMPLES = 4000
Replay = Callable[[LookupTable, int], tuple[int, bool]]


def main() -> None:
    """Replay all tables and print what was measured."""
    arguments = parse_arguments()
    tables = [LookupTable.load(path) for path in sorted(arguments.folder.glob("*.npz"))]
    if not tables:
        raise SystemExit(f"{arguments.folder}: holds no .npz file")
    named = {key: getattr(arguments, key) for key in ("sampler", "pruner")}
    search = {key: value for key, value in named.items() if value is not None}
    rows: dict[str, Replay] = {
        " + ".join(search.values()) or "default": partial(bakeoff_replay.replay, search=search)
    }
    for pruner in ("successive_halving", "hyperband") if arguments.optuna else ():
        rows[f"optuna tpe + {pruner}"] = partial(optuna_replay.replay, pruner=pruner)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for name, replay in rows.items():
        print(json.dumps(measure(name, replay, tables, seeds, arguments.processes)), flush=True)


def parse_arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--sampler", help="instead of the default")
    parser.add_argument("--pruner", help="instead of the default")
    parser.add_argument("--optuna", action="store_true", help="also Optuna's own TPE and pruners")
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


def measure(
    name: str, replay: Replay, tables: list[LookupTable], seeds: range, num_processes: int
) -> dict[str, Any]:
    """Costs of one search on all tables, against random search."""
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    with get_context("spawn").Pool(num_processes, initializer=be_quiet) as pool:
        found = [pool.starmap(replay, [(table, seed) for seed in seeds]) for table in tables]
    costs = [np.array([cost for cost, _ in runs], dtype=float) for runs in found]
    baselines = [table.random_search_costs(NUM_ORDERS, rng) for table in tables]
    pairs = list(zip(baselines, costs, strict=True))
    ratios = np.array([base.mean() / cost.mean() for base, cost in pairs])
    drawn = np.array([resample(base, cost, rng) for base, cost in pairs])
    return {
        "search": name,
        "seeds": len(seeds),
        "tables": {
            table.name: {
                "ratio": round(ratios[index], 2),
                "interval": interval(drawn[index]),
                "mean_cost": round(costs[index].mean(), 1),
                "random_mean_cost": round(baselines[index].mean(), 1),
                "unsolved": sum(not has_succeeded for _, has_succeeded in found[index]),
            }
            for index, table in enumerate(tables)
        },
        "geometric_mean": round(float(np.exp(np.log(ratios).mean())), 2),
        "geometric_mean_interval": interval(np.exp(np.log(drawn).mean(axis=0))),
        "worst": round(float(ratios.min()), 2),
        "worst_interval": interval(drawn.min(axis=0)),
        "seconds": round(time.perf_counter() - started, 1),
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


def interval(drawn: Array) -> list[float]:
    """The middle 95 %."""
    return [round(float(bound), 2) for bound in np.percentile(drawn, [2.5, 97.5])]


if __name__ == "__main__":
    main()
