"""Whether training on an accelerator keeps its promises: one JSON line for each claim.

    python tests/benchmarks/accelerator.py [CLAIM ...] [--device auto|cuda|cpu]

It takes less than 8 minutes on one GPU. Without one it says so and exits 2; with `--device cpu`
it makes the claims that make sense there, so that the script itself can be tried. It exits 1 if a
claim does not hold.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.devices import choose_devices, worker_environment
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import Died, Epoch, Event, Failed, Finished, Job
from bakeoff.errors import UsageError
from bakeoff.records import DataConfig, Precision, TrainingConfig, TrialConfig
from bakeoff.training import loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.device import open_device
from bakeoff.training.difference import compare_final_states
from bakeoff.training.totals import EpochTotals

LIMIT_SECONDS = 120.0
"""Time after which a run of a worker counts as hung."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
MODELS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {}, "cnn": {}, "resnet8": {}, "lstm": {}, "transformer": {},
}  # fmt: skip
NOT_ON_CPU = {("lstm", "fp16")}
RUN = TrialConfig(
    optimizer="adamw",
    optimizer_params={},
    scheduler="cosine",
    scheduler_params={},
    model="mlp",
    model_params={},
    data=DataConfig(dataset="digits"),
    training=TrainingConfig(epochs=2, batch_size=64, precision="fp32"),
    objective="accuracy",
    score_rule="best_epoch",
    seed=1,
    split_seed=0,
)
NUM_TIMED = 40
NUM_ROUNDS = 7
LEAST_OF_BARE = 0.9
"""Speed of a step, as a share of a bare loop's; clipping, the norm and schedules are in ours."""
MOST_START_SECONDS = 0.2
SHARED_BY = (1, 2, 4, 8)

Found = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the claims are made."""

    device: Device

    @property
    def name(self) -> str:
        """What torch calls it."""
        return self.device.place

    @property
    def is_cpu(self) -> bool:
        """Whether it is no accelerator."""
        return self.device == CPU

    def synchronize(self) -> None:
        """Wait until the device has done all work."""
        if self.name == "cuda":
            torch.cuda.synchronize()

    def engine(self, workers: int = 1) -> LocalEngine:
        """An engine whose workers share it."""
        return LocalEngine(num_workers=workers, threads=1, devices=(self.device,))


def cpu_leaves_cuda_alone(_: Place) -> Found:
    """A run on the CPU, with a GPU in sight, does not create a context on it."""
    child = subprocess.run(
        [sys.executable, __file__, "--cpu-run"], capture_output=True, text=True, check=False
    )
    return {"holds": child.stdout.strip() == "False", "is_initialized": child.stdout.strip()}


def run_on_cpu() -> None:
    """Train, save and test a run on the CPU, then print whether CUDA was initialized."""
    with tempfile.TemporaryDirectory() as folder:
        state = loop.prepare(RUN, "cpu")
        list(loop.train(state, Checkpoints(Path(folder), "run")))
        loop.read_test(state)
    is_initialized = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    sys.stdout.write(f"{is_initialized}\n")


def same_bits(place: Place) -> Found:
    """Two runs, and one that is resumed, end in the same bits: five models, three precisions."""
    differing: list[str] = []
    num_compared = 0
    for model, params in MODELS.items():
        for precision in PRECISIONS:
            if place.is_cpu and (model, precision) in NOT_ON_CPU:
                continue
            config = replace(
                RUN,
                model=model,
                model_params=params,
                training=replace(RUN.training, precision=precision),
            )
            with tempfile.TemporaryDirectory() as folder:
                runs = [Path(folder, name) for name in ("first", "second", "resumed")]
                for number, path in enumerate(runs):
                    _train_saved(config, place, path, is_resumed=number == 2)
                for kind, path in zip(("twice", "resumed"), runs[1:], strict=True):
                    found = compare_final_states(runs[0], path, "run")
                    num_compared += found.num_values
                    if not found.is_identical:
                        differing.append(f"{model} {precision} {kind}: {found.paths[:2]}")
    return {"holds": not differing, "values": num_compared, "differing": differing}


def _train_saved(config: TrialConfig, place: Place, folder: Path, *, is_resumed: bool) -> None:
    """Train to the end, with a checkpoint of the last epoch."""
    checkpoints = Checkpoints(folder, "run", max_share=float("inf"))
    if is_resumed:
        for _ in islice(loop.train(loop.prepare(config, place.name), checkpoints), 1):
            pass
        checkpoints = Checkpoints(folder, "run", max_share=float("inf"))
    list(loop.train(loop.prepare(config, place.name), checkpoints))


def waits_per_step(place: Place) -> Found:
    """No step waits for the device, as CUDA's own debug mode sees it."""
    waits: dict[str, int] = {}
    for model, params in MODELS.items():
        for precision in PRECISIONS:
            for mixup in (0.0, 0.4):
                training = replace(RUN.training, precision=precision, mixup_alpha=mixup)
                config = replace(RUN, model=model, model_params=params, training=training)
                name = f"{model} {precision}{' mixup' if mixup else ''}"
                waits[name] = _count_waits(loop.prepare(config, place.name))
    waiting = {name: count for name, count in waits.items() if count}
    return {"holds": not waiting, "runs": len(waits), "waiting": waiting}


def _count_waits(state: Any) -> int:
    steps = loop.epoch_steps(state, EpochTotals())
    next(steps)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in steps:
                pass
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in caught)


def step_against_bare(place: Place) -> Found:
    """A step takes hardly longer than one of a loop written by hand, on the same model and data."""
    ratios: dict[str, float] = {}
    for model in ("mlp", "cnn"):
        config = replace(RUN, model=model, training=replace(RUN.training, clip_grad_norm=1.0))
        ours, bare = _our_steps(config, place), _bare_steps(config, place)
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(NUM_ROUNDS):
            for name, steps in (("ours", ours), ("bare", bare)):
                place.synchronize()
                started = time.perf_counter()
                for _ in islice(steps, NUM_TIMED):
                    pass
                place.synchronize()
                times[name].append(time.perf_counter() - started)
        ratios[model] = round(median(times["bare"][1:]) / median(times["ours"][1:]), 3)
    return {"holds": min(ratios.values()) >= LEAST_OF_BARE, "speed of a bare loop's": ratios}


def _our_steps(config: TrialConfig, place: Place) -> Iterator[None]:
    state = loop.prepare(config, place.name)
    while True:
        yield from loop.epoch_steps(state, EpochTotals())


def _bare_steps(config: TrialConfig, place: Place) -> Iterator[None]:
    state = loop.prepare(config, place.name)
    split, model, optimizer = state.splits.train, state.model, state.optimizer
    rows, batch_size = split.rows, config.training.batch_size
    inputs = split.normalisation(split.inputs.index_select(0, rows))  # type: ignore[union-attr]
    labels = split.labels.index_select(0, rows).long()
    model.train()
    while True:
        order = torch.randperm(len(rows), device=rows.device)
        for chosen in torch.split(order, batch_size):
            loss = cross_entropy(model(inputs[chosen]), labels[chosen])
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            yield


def workers_on_one_device(place: Place) -> Found:
    """1, 2, 4 and 8 workers on one device: all runs complete, alike in every number."""
    config = replace(RUN, model="cnn", training=replace(RUN.training, epochs=3))
    per_hour: dict[int, int] = {}
    losses: set[str] = set()
    counts = SHARED_BY[:2] if place.is_cpu else SHARED_BY
    for workers in counts:
        with closing(place.engine(workers)) as engine:
            for phase in ("start", "timed"):
                started = time.perf_counter()
                events = _run_all(engine, [config] * workers, f"{phase}-{workers}")
                seconds = time.perf_counter() - started
                ends = [one for one in events if not isinstance(one, Epoch)]
                if not all(isinstance(one, Finished) for one in ends):
                    return {"holds": False, "workers": workers, "ended": [repr(o) for o in ends]}
                losses |= _last_losses(events, config)
            per_hour[workers] = round(3600 * workers / seconds)
    return {"holds": len(losses) == 1, "runs per hour": per_hour, "last losses": sorted(losses)}


def _last_losses(events: list[Event], config: TrialConfig) -> set[str]:
    results = [event.result for event in events if isinstance(event, Epoch)]
    return {repr(one.train_loss) for one in results if one.epoch == config.training.epochs}


def _run_all(engine: LocalEngine, configs: list[TrialConfig], name: str) -> list[Event]:
    """Run so many runs at once and return all their events."""
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, config in enumerate(configs):
            run = f"{name}-{number}"
            engine.submit(Job(run=run, config=config, checkpoints=str(Path(folder, run))))
        left, deadline = len(configs), time.monotonic() + LIMIT_SECONDS
        while left and time.monotonic() < deadline:
            for event in engine.events(0.1):
                events.append(event)
                left -= isinstance(event, (Finished, Failed, Died))
    return events


def _healthy_after(place: Place, model: str, outcome: str) -> Found:
    """Whether a run ends as expected, and the next one on the same engine completes."""
    with closing(place.engine()) as engine:
        bad = replace(RUN, model=model, model_params={})
        (failed,) = (e for e in _run_all(engine, [bad], "bad") if not isinstance(e, Epoch))
        *_, last = _run_all(engine, [RUN], "good")
    found = {
        "outcome": getattr(failed, "outcome", type(failed).__name__),
        "reason": getattr(failed, "reason", "")[:120],
        "replaced": getattr(failed, "breaks_worker", None),
        "next run": type(last).__name__,
    }
    holds = found["outcome"] == outcome and isinstance(last, Finished)
    return {"holds": holds, **found}


def healthy_after_out_of_memory(place: Place) -> Found:
    """A run that needs too much memory is infeasible, and the next one completes."""
    return _healthy_after(place, "accelerator_models:build_out_of_memory", "infeasible")


def healthy_after_assert(place: Place) -> Found:
    """A run that breaks its device's context fails, and the next one completes."""
    found = _healthy_after(place, "accelerator_models:build_assert", "failed")
    return {**found, "holds": found["holds"] and found["replaced"] is True}


def second_start(place: Place) -> Found:
    """A worker begins to train its second run at once: libraries and data are there."""
    one_epoch = replace(RUN, model="cnn", training=replace(RUN.training, epochs=1))
    seconds: list[float] = []
    with closing(place.engine()) as engine:
        for number in range(6):
            started = time.perf_counter()
            events = _run_all(engine, [replace(one_epoch, seed=number)], f"start-{number}")
            result = next(event.result for event in events if isinstance(event, Epoch))
            spent = result.train_seconds + result.evaluate_seconds
            seconds.append(time.perf_counter() - started - spent)
    rest = median(seconds[2:])
    return {
        "holds": rest < MOST_START_SECONDS,
        "first": round(seconds[0], 2),
        "then": round(rest, 3),
    }


CLAIMS: Mapping[str, Callable[[Place], Found]] = {
    one.__name__: one
    for one in (
        cpu_leaves_cuda_alone,
        same_bits,
        waits_per_step,
        step_against_bare,
        workers_on_one_device,
        healthy_after_out_of_memory,
        healthy_after_assert,
        second_start,
    )
}
ONLY_CUDA = {"waits_per_step"}
"""Claims that nothing on another device can be compared with."""


def main() -> int:
    """Check the claims that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(CLAIMS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cpu-run", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cpu_run:
        run_on_cpu()
        return 0
    if unknown := [name for name in given.claims if name not in CLAIMS]:
        parser.error(f"unknown claims: {', '.join(unknown)}; there are {', '.join(CLAIMS)}")
    try:
        chosen = choose_devices(given.device, most=1)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if chosen.kind == CPU.kind and given.device != CPU.kind:
        sys.stderr.write("no accelerator here; --device cpu tries the script on the CPU\n")
        return 2
    # As in a worker: CUDA reads these when it is initialized.
    os.environ.update(worker_environment(chosen.devices))
    place = Place(replace(chosen.devices[0], index=0))
    open_device(place.name, place.device.label, 1.0)
    return max([_check(name, place) for name in given.claims or CLAIMS], default=0)


def _check(name: str, place: Place) -> int:
    """Print what was found about a claim; 1 if it does not hold."""
    if name in ONLY_CUDA and place.name != "cuda":
        line: Found = {"claim": name, "holds": None, "skipped": "needs a GPU of CUDA"}
    else:
        started = time.perf_counter()
        try:
            found = CLAIMS[name](place)
        except Exception as error:  # noqa: BLE001 - the other claims are still worth checking
            found = {"holds": False, "error": f"{type(error).__name__}: {error}"}
        seconds = round(time.perf_counter() - started, 1)
        line = {"claim": name, **found, "device": place.device.name or "cpu", "seconds": seconds}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return int(line["holds"] is False)


if __name__ == "__main__":
    sys.exit(main())
