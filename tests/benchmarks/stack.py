"""What training several runs as a stack gains over training them one by one.

    python tests/benchmarks/stack.py [ROW ...] [--rounds 11] [--runs 16]

Prints one JSON line per row. A row of the kernel is the median, over rounds in which both take
turns, of the CPU time of an epoch's steps of single runs over that of the stack, per run; `chosen`
says whether a study would choose stacks here. The row `confirmation` runs `study run` twice with
SQLite, with and without stacks, and compares the time from the first confirmation run to the end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import torch

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig
from bakeoff.session.measuring import MIN_STACK_GAIN
from bakeoff.storage import Storage
from bakeoff.training.loop import train_epoch
from bakeoff.training.stack.batches import stacked_batches
from bakeoff.training.stack.check import measure_stack
from bakeoff.training.stack.member import prepare_member
from bakeoff.training.stack.stack import Stack

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
seeds = 16
shortlist = 1
arithmetic = "{arithmetic}"
"""


def main() -> None:
    """Measure the rows asked for, or all."""
    rows = {
        "mlp, batches of 32": partial(kernel, MLP, ("adamw",), 4.5),
        "mlp, batches of 32, four optimizers": partial(kernel, MLP, OPTIMIZERS, 4.0),
        "mlp, batches of 128": partial(kernel, MLP_128, ("adamw",), 2.7),
        "cnn, batches of 32": partial(kernel, CNN, ("adamw",), 4.0),
        "wide mlp, batches of 512": partial(not_chosen, WIDE),
        "confirmation": confirmation,
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {'; '.join(rows)}")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--runs", type=int, default=16)
    arguments = parser.parse_args()
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
    members = [prepare_member(one, "cpu") for one in configs]
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
    gains = [measure_stack([config], "cpu", min(8, num_runs))[0] for _ in range(min(3, rounds))]
    gain = median(gains)
    return {"gain": round(gain, 2), "chosen": gain >= MIN_STACK_GAIN}


def confirmation(rounds: int, num_runs: int) -> dict[str, Any]:
    """The confirmation of a study in the time from its first run to its end, both ways in turn."""
    seconds: dict[str, list[float]] = {"plain": [], "stacked": []}
    for _ in range(min(3, rounds)):
        for arithmetic, found in seconds.items():
            found.append(_confirm(arithmetic, num_runs))
    gains = [one / other for one, other in zip(*seconds.values(), strict=True)]
    return {
        **{f"seconds_{name}": round(median(found), 2) for name, found in seconds.items()},
        "gain": round(median(gains), 2),
        "at_least": 2.5,
        "holds": median(gains) >= 2.5,
    }


def _confirm(arithmetic: str, num_runs: int) -> float:
    text = STUDY.format(arithmetic=arithmetic).replace("seeds = 16", f"seeds = {num_runs}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "bakeoff", "run", str(path), "--workers", "1"]
        subprocess.run([*command, "--output", folder], check=True, capture_output=True)
        url = f"sqlite:///{Path(folder) / 'studies.db'}"
        num_confirmed = len(Storage(url).load_runs("confirmed", "confirm"))
        trials = [
            trial
            for name in optuna.get_all_study_names(url)
            for trial in optuna.load_study(study_name=name, storage=url).trials
        ]
    runs = sorted(trials, key=lambda one: one.datetime_start)[-num_confirmed:]
    ended = max(one.datetime_complete for one in runs)
    return float((ended - runs[0].datetime_start).total_seconds())


if __name__ == "__main__":
    main()
