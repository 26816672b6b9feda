"""How fast training is, and what it holds in memory, against loops that people write.

    python tests/benchmarks/loop.py [ROW ...] [--rounds 21] [--publish]

Prints one JSON line per row; with `--publish` the rows replace those of
`results/published/loop.md`. The contenders of a row have a process of one thread each and take
turns; a figure is the median over rounds. `ratio` is in CPU seconds of all processes of a
contender per picture, because these do not depend on what else the machine is doing;
`wall_ratio` is in seconds by the clock, and means something on an idle machine only.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from loop_contenders import (
    CNN,
    MLP,
    MLP_EPOCHS,
    STEPPED,
    Contender,
    Round,
    bare_loop,
    train_loop,
    usual_script,
    with_augment,
)
from loop_table import publish
from loop_workers import measure_layouts, measure_memory

Build = tuple[Callable[..., Iterator[int]], Any]
AUGMENTED = with_augment(CNN, "flip", "translate")


def main() -> None:
    """Measure the rows asked for, or all."""
    rows: dict[str, Callable[[int], dict[str, Any]]] = {
        "cnn / bare loop": partial(
            compare, (train_loop, CNN), (bare_loop, CNN), at_least=1.0, spreads=False
        ),
        "mlp / bare loop": partial(
            compare,
            (train_loop, MLP, MLP_EPOCHS),
            (bare_loop, MLP, MLP_EPOCHS),
            at_least=1.2,
            spreads=False,
        ),
        **{
            f"mlp, {name} / weight by weight": partial(
                compare,
                (train_loop, replace(MLP, **changes), MLP_EPOCHS),
                (partial(train_loop, flat=False), replace(MLP, **changes), MLP_EPOCHS),
                at_least=1.1,
                spreads=False,
            )
            for name, changes in STEPPED.items()
        },
        "cnn / weight by weight": partial(
            compare,
            (train_loop, CNN),
            (partial(train_loop, flat=False), CNN),
            at_least=0.98,
            spreads=False,
        ),
        **{
            f"cnn{name} / usual script{name}, {num_workers} workers": partial(
                compare,
                (train_loop, config),
                (usual_script, num_workers, augments),
                at_least=2.5,
                spreads=num_workers > 0,
            )
            for name, config, augments in (("", CNN, False), (" augmented", AUGMENTED, True))
            for num_workers in (0, 2)
        },
        "layout": measure_layouts,
        "memory": measure_memory,
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(rows)}")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--publish", action="store_true", help="write results/published")
    arguments = parser.parse_args()
    for name in arguments.rows or rows:
        found = rows[name](arguments.rounds)
        print(json.dumps({"row": name, **found}), flush=True)
        if arguments.publish:
            publish(name, found, arguments.rounds)


def compare(
    ours: tuple[Any, ...], theirs: tuple[Any, ...], rounds: int, *, at_least: float, spreads: bool
) -> dict[str, Any]:
    """Pictures per second of ours over theirs, both on the same core unless one `spreads`."""
    available = os.sched_getaffinity(0)
    cores = available if spreads else {max(available)}
    contenders = [Contender(*one, cores=cores) for one in (ours, theirs)]
    try:
        taken = [[contender.run() for contender in contenders] for _ in range(rounds)]
    finally:
        for contender in contenders:
            contender.close()
    cpu, wall = ([[clock(one) for one in pair] for pair in taken] for clock in (per_cpu, per_wall))
    ratio = median(mine / other for mine, other in cpu)
    return {
        "ours_per_cpu_second": round(median(mine for mine, _ in cpu)),
        "theirs_per_cpu_second": round(median(other for _, other in cpu)),
        "ratio": round(ratio, 3),
        "wall_ratio": round(median(mine / other for mine, other in wall), 3),
        "at_least": at_least,
        "holds": ratio >= at_least,
    }


def per_cpu(taken: Round) -> float:
    """Pictures per CPU second."""
    return taken.samples / taken.cpu_seconds


def per_wall(taken: Round) -> float:
    """Pictures per second by the clock."""
    return taken.samples / taken.seconds


if __name__ == "__main__":
    main()
