"""What training several runs as a stack gains over training them one by one.

    python tests/benchmarks/stack.py [ROW ...] [--rounds 11] [--runs 16] [--before FOLDER]

Prints one JSON line per row. A row of the kernel is the median, over rounds in which both take
turns, of the CPU time of an epoch's steps of single runs over that of the stack, per run; `chosen`
says whether a study would choose stacks here.

The row `confirmation` runs `study run` with SQLite and one worker: with stacks, without them, and
with the package in the folder given by `--before`, in turn. It compares the time per run from the
start of the first run of the confirmation to the end of the last one: the CPU time of the driver
and its worker together, and the time on the clock, which depends on what else the machine does. A
commit of this repository is unpacked by `git archive COMMIT src | tar -x -C FOLDER`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import optuna
import torch

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig
from bakeoff.session.stacking import MIN_STACK_GAIN
from bakeoff.training.loop import train_epoch
from bakeoff.training.stack.batches import stacked_batches
from bakeoff.training.stack.check import measure_stacks
from bakeoff.training.stack.member import prepare_member
from bakeoff.training.stack.stack import Stack, by_steps

OPTIMIZERS = ("sgd", "adamw", "rmsprop", "adam")
MLP = TrialConfig(
    optimizer="adamw",
    optimizer_params={},
    scheduler="cosine",
    scheduler_params={},
    model="mlp",
    model_params={"width": 64, "depth": 2},
    data=DataConfig(dataset="digits"),
    training=TrainingConfig(epochs=1000, batch_size=32, precision="fp32", clip_grad_norm=1.0),
    objective="accuracy",
    score_rule="best_epoch",
    seed=0,
    split_seed=0,
)
MLP_128 = replace(MLP, training=replace(MLP.training, batch_size=128))
CNN = replace(MLP, model="cnn", model_params={"width": 8})
WIDE = replace(MLP, model_params={"width": 512, "depth": 4})
WIDE = replace(WIDE, training=replace(WIDE.training, batch_size=512))
STUDY = """
[study]
name = "confirmed"
[data]
dataset = "digits"
[model]
model = "mlp"
width = 64
[training]
epochs = 12
batch_size = 32
precision = "fp32"
clip_grad_norm = 1.0
[search]
optimizers = ["sgd", "adam", "adamw", "rmsprop"]
schedulers = ["constant"]
trials_per_arm = 2
startup_trials = 2
pruner = "none"
[confirm]
seeds = {seeds}
shortlist = 1
{arithmetic}
"""
NUM_SEARCHED = 12
"""Runs of the study's search, before the confirmation."""
SAMPLED_SECONDS = 0.02
"""CPU times are read this often while a study runs."""


def main() -> None:
    """Measure the rows asked for, or all."""
    rows = {
        "mlp, batches of 32": partial(kernel, MLP, ("adamw",), 6.0),
        "mlp, batches of 32, four optimizers": partial(kernel, MLP, OPTIMIZERS, 5.0),
        "mlp, batches of 128": partial(kernel, MLP_128, ("adamw",), 3.5),
        "cnn, batches of 32": partial(kernel, CNN, ("adamw",), 4.5),
        "wide mlp, batches of 512": partial(not_chosen, WIDE),
        "confirmation": partial(confirmation, None),
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {'; '.join(rows)}")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--before", type=Path, help="an earlier copy of this repository")
    arguments = parser.parse_args()
    rows["confirmation"] = partial(confirmation, arguments.before)
    torch.set_num_threads(1)
    for name in arguments.rows or rows:
        found = rows[name](arguments.rounds, arguments.runs)
        print(json.dumps({"row": name, **found}), flush=True)


def kernel(
    config: TrialConfig,
    optimizers: Sequence[str],
    at_least: float,
    rounds: int,
    num_runs: int,
) -> dict[str, Any]:
    """Steps of one run at a time against steps of the stack."""
    configs = [
        replace(config, optimizer=optimizers[seed % len(optimizers)], seed=seed)
        for seed in range(num_runs)
    ]
    members = by_steps([prepare_member(one, "cpu") for one in configs])
    alone = [prepare_member(one, "cpu").state for one in configs[: len(optimizers)]]
    stack = Stack(members)
    gains, of_one = [], []
    for _ in range(rounds):
        started = time.process_time()
        for one in alone:
            train_epoch(one)
        between = time.process_time()
        stack.begin_epoch()
        num_steps = 0
        for batch in stacked_batches([one.state for one in members]):
            stack.step(batch)
            num_steps += 1
        stack.end_steps()
        per_run = (time.process_time() - between) / num_steps / num_runs
        per_step = (between - started) / (num_steps * len(alone))
        gains.append(per_step / per_run)
        of_one.append(per_step)
    return {
        "runs": num_runs,
        "microseconds_alone": round(1e6 * median(of_one)),
        "gain": round(median(gains), 2),
        "at_least": at_least,
        "holds": median(gains) >= at_least,
    }


def not_chosen(config: TrialConfig, rounds: int, num_runs: int) -> dict[str, Any]:
    """Where stacks gain too little, a study does not choose them."""
    gains = [
        measure_stacks([config], "cpu", [min(8, num_runs)])[0][0] for _ in range(min(3, rounds))
    ]
    gain = median(gains)
    return {"gain": round(gain, 2), "chosen": gain >= MIN_STACK_GAIN}


def confirmation(before: Path | None, rounds: int, num_runs: int) -> dict[str, Any]:
    """The confirmation of a study, with and without stacks and with an earlier package, in turn."""
    source = Path(__file__).parents[2] / "src"
    ways = {
        "stacked": ('arithmetic = "stacked"', source),
        "plain": ('arithmetic = "plain"', source),
    }
    if before is not None:
        if not (before / "src" / "bakeoff").is_dir():
            raise SystemExit(f"--before: {before} has no src/bakeoff")
        ways["before"] = ("", before / "src")
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(min(3, rounds)):
        for name, (line, package) in ways.items():
            found[name].append(_confirm(STUDY.format(seeds=num_runs, arithmetic=line), package))
    costs = {
        name: {
            "cpu_ms": round(1e3 * median(one.cpu_seconds for one in costs), 1),
            "wall_ms": round(1e3 * median(one.wall_seconds for one in costs), 1),
        }
        for name, costs in found.items()
    }
    gains = {
        f"{kind}_gain_over_{name}": round(
            median(
                getattr(one, f"{kind}_seconds") / getattr(stacked, f"{kind}_seconds")
                for one, stacked in zip(found[name], found["stacked"], strict=True)
            ),
            2,
        )
        for name in [*found][1:]
        for kind in ("cpu", "wall")
    }
    at_least = {"plain": 2.5, "before": 3.5}
    holds = all(gains[f"cpu_gain_over_{name}"] >= at_least[name] for name in [*found][1:])
    return {"of_a_run": costs, **gains, "at_least": at_least, "holds": holds}


class Cost(NamedTuple):
    """What a run of the confirmation takes."""

    cpu_seconds: float
    wall_seconds: float


def _confirm(text: str, package: Path) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "bakeoff", "run", str(path), "--workers", "1"]
        environment = os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
        command += ["--output", folder]
        silent = subprocess.DEVNULL
        process = subprocess.Popen(command, env=environment, stdout=silent, stderr=silent)
        samples = []
        while process.poll() is None:
            samples.append((time.time(), _cpu_seconds(process.pid)))
            time.sleep(SAMPLED_SECONDS)
        assert process.returncode == 0, f"{package}: the study failed"
        url = f"sqlite:///{Path(folder) / 'studies.db'}"
        trials = [
            trial
            for name in optuna.get_all_study_names(url)
            for trial in optuna.load_study(study_name=name, storage=url).trials
        ]
    runs = sorted(trials, key=lambda one: one.datetime_start)[NUM_SEARCHED:]
    first = runs[0].datetime_start.timestamp()
    last = max(one.datetime_complete.timestamp() for one in runs)
    within = [seconds for at, seconds in samples if first <= at <= last]
    return Cost((within[-1] - within[0]) / len(runs), (last - first) / len(runs))


def _cpu_seconds(process: int) -> float:
    """CPU time of a process and its children so far; of a child that has just ended, none."""
    seconds = 0.0
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        seconds += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
        for task in Path(f"/proc/{process}/task").iterdir():
            children = (task / "children").read_text().split()
            seconds += sum(_cpu_seconds(int(one)) for one in children)
    return seconds


if __name__ == "__main__":
    main()
