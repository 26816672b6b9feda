"""Rows of `loop.py` about worker processes: how many, and what they hold in memory."""

import multiprocessing
import os
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from loop_contenders import CNN

from bakeoff.engines.local import LocalEngine
from bakeoff.engines.open import default_workers
from bakeoff.engines.protocol import Epoch, Finished, Job
from bakeoff.records import DataConfig, TrialConfig

LAYOUTS = {"two workers of one thread": (2, 1), "one worker of two threads": (1, 2)}
TRIALS = 2
"""Trained by each layout in each round. The clock decides, so an idle machine is needed: threads of
one worker that wait for each other lose most where others want their cores."""
ROUNDS_PER_LAYOUT = 5
"""One round of trials takes as long as so many rounds of steps."""
TRIAL = replace(
    CNN,
    data=replace(CNN.data, train_samples=2560, validation_fraction=0.02),
    training=replace(CNN.training, epochs=1),
)
NUM_SHARING = 4
"""Workers whose memory is looked at."""
TOUCHING_SAMPLES = 12_800
"""With as many validation samples they touch nearly every page of the training pictures."""
MAX_GROWTH_MB = 60
FEW_PICTURES = 2048


def measure_layouts(rounds: int) -> dict[str, Any]:
    """Trials per second by the clock of both layouts on two cores, which take turns."""
    engines = {
        name: LocalEngine(num_workers=workers, threads=threads)
        for name, (workers, threads) in LAYOUTS.items()
    }
    speeds: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    try:
        for number in range(rounds // ROUNDS_PER_LAYOUT + 1):
            for name, engine in engines.items():
                speed = TRIALS / time_trials(engine, f"{name}-{number}")
                if number:  # the first one starts the workers
                    speeds[name].append(speed)
    finally:
        for engine in engines.values():
            engine.close()
    two, one = (median(values) for values in speeds.values())
    workers, threads = default_workers("cpu"), 1
    return {
        **{name: round(median(values), 3) for name, values in speeds.items()},
        "ratio": round(two / one, 3),
        "default": f"{workers} workers of {threads} threads",
        "cores": os.cpu_count(),
        "holds": (two > one) == (workers > threads),
    }


def time_trials(engine: LocalEngine, name: str) -> float:
    """Seconds until some trials are finished."""
    left = [f"{name}-{number}" for number in range(TRIALS)]
    num_workers, started = engine.num_free, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        while left or engine.num_free < num_workers:
            while left and engine.num_free:
                run = left.pop()
                engine.submit(Job(run=run, config=TRIAL, checkpoints=f"{folder}/{run}"))
            check_finished(engine)
    return time.perf_counter() - started


def measure_memory(_: int) -> dict[str, Any]:
    """Memory of each of four workers that train on all of Fashion-MNIST, beyond what torch takes.

    What torch takes is measured on a few pictures of the same shape, with the same network and the
    same batches, and once more on the small pictures of digits, whose batches need less. `unique`
    is what the system would get back if the worker ended (private pages), `proportional` adds its
    share of shared ones.
    """
    training = replace(CNN.training, epochs=2)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, BAKEOFF_DATA=folder),  # nothing of this stays in the cache
    ):
        few = measure_workers(
            replace(CNN, training=training, data=DataConfig(dataset=write_few_pictures(folder)))
        )
    digits, after = (
        measure_workers(replace(CNN, training=training, data=data))
        for data in (
            DataConfig(dataset="digits"),
            DataConfig(dataset="fashion-mnist", train_samples=TOUCHING_SAMPLES),
        )
    )
    growth = {name: after[name] - few[name] for name in after}
    return {
        **{f"{name}_mb_before": round(value) for name, value in few.items()},
        **{f"{name}_mb_growth": round(value, 1) for name, value in growth.items()},
        **{
            f"{name}_mb_growth_from_digits": round(after[name] - value, 1)
            for name, value in digits.items()
        },
        "at_most": MAX_GROWTH_MB,
        "holds": max(growth.values()) < MAX_GROWTH_MB,
    }


def write_few_pictures(folder: str) -> str:
    """A data set of a few pictures of noise, as large as those of Fashion-MNIST; its name."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, size=(FEW_PICTURES, 28, 28), dtype=np.uint8)
    path = Path(folder) / "few.npz"
    np.savez(path, x=pictures, y=np.arange(FEW_PICTURES) % 10)
    return f"npz:{path}"


def measure_workers(config: TrialConfig) -> dict[str, float]:
    """Megabytes per worker while four of them, side by side, are in their second epoch."""
    engine = LocalEngine(num_workers=NUM_SHARING, threads=1)
    with tempfile.TemporaryDirectory() as folder, closing(engine):
        for number in range(NUM_SHARING):
            run = f"memory-{number}"
            job = Job(run=run, config=config, checkpoints=f"{folder}/{run}", decision_epochs=(1,))
            engine.submit(job)
        arrived = 0
        while arrived < NUM_SHARING:  # each waits after its first epoch until it is told to go on
            arrived += sum(isinstance(event, Epoch) for event in engine.events(1.0))
        # daemonic children of this process are the workers of this engine alone
        pids = [child.pid for child in multiprocessing.active_children()]
        usages = [read_usage(pid) for pid in pids if pid is not None]
    return {name: median(usage[name] for usage in usages) for name in usages[0]}


def read_usage(pid: int) -> dict[str, float]:
    """Megabytes by the kernel's account, /proc/<pid>/smaps_rollup."""
    sizes: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split()[:2]
        sizes[name.rstrip(":")] = float(size) / 1024
    return {
        "unique": sizes["Private_Clean"] + sizes["Private_Dirty"],
        "proportional": sizes["Pss"],
    }


def check_finished(engine: LocalEngine) -> None:
    """Wait a moment for events; a run that ends other than well is an error."""
    for event in engine.events(0.1):
        if not isinstance(event, (Epoch, Finished)):
            raise RuntimeError(f"{event}")
