"""Faults of the files of a run: every system call of a save, truncated and flipped checkpoints."""

import ctypes
import io
import logging
import math
import os
import random
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from bakeoff.errors import CheckpointError
from bakeoff.ranges import Params
from bakeoff.records import TrialConfig
from bakeoff.space import build_trial_config
from bakeoff.training import loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.state import TrainingState
from faults.rows import SkippedRowError, Tally, flip_bit, row
from faults.studies import CONFIG

FAILING = ("openat", "write", "fsync", "rename", "unlink", "mkdir", "close")
"""System calls that are also answered with an error."""
ERRORS = ("EIO", "ENOSPC")
REFUSED_CODE = 3
"""Exit code of a saver whose checkpoint could not be written, and who said so."""
ATTACH_SECONDS = 30.0
PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, ctypes.c_ulong(-1)
"""Let any process of the user trace this one, where only its ancestors may."""


def run_config() -> TrialConfig:
    """A run whose checkpoint has a few kilobytes."""
    params: Params = {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.01}
    config = build_trial_config(CONFIG, params, 0)
    return replace(config, model_params={"width": 2, "depth": 1})


def saved(folder: Path, epochs: int) -> TrainingState:
    """Train and save so many epochs, and train one more that is not saved yet."""
    state = loop.prepare(run_config(), "cpu")
    for result in loop.train(state):
        if result.epoch > epochs:
            break
        Checkpoints(folder, "run", max_share=math.inf).save(state)
    return state


def num_epochs(folder: Path) -> int:
    """Epochs of the checkpoint that is loaded; 0 if there is none."""
    payload = Checkpoints(folder, "run").load()
    return len(payload["history"]) if payload else 0


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings about damaged checkpoints."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def save_under_strace(
    state: TrainingState, folder: Path, *options: str, out: str = os.devnull
) -> int:
    """Save in a forked process that strace watches; its exit code, or minus its signal.

    Raises:
        SkippedRowError: strace is missing, or may not attach.
    """
    if shutil.which("strace") is None:
        raise SkippedRowError("needs strace (apt-get install strace)")
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(writing)
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)
        os.read(reading, 1)
        code = 1
        try:
            Checkpoints(folder, "run", max_share=math.inf).save(state)
            code = 0
        except CheckpointError:
            code = REFUSED_CODE
        finally:
            os._exit(code)
    os.close(reading)
    command = ["strace", "-p", str(pid), "-o", out, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        ready = select.select([tracer.stderr], [], [], ATTACH_SECONDS)[0]
        line = os.read(tracer.stderr.fileno(), 4096).decode() if ready else "no answer"
        if "attached" not in line:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            tracer.kill()
            raise SkippedRowError(f"strace may not attach: {line.strip()}")
        os.write(writing, b"g")
        _, status = os.waitpid(pid, 0)
        os.close(writing)
    return os.waitstatus_to_exitcode(status)


@row(
    name="save-every-call", count=0, quick=12,
    fault="kill -9, EIO or ENOSPC at every system call of a save",
    promise="the old or the new checkpoint is loaded, never neither; an error is said",
)  # fmt: skip
def break_every_call(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill a save, or answer it with an error, at each of its system calls in turn."""
    base = folder / "base"
    state = saved(base, 2)
    trace = folder / "trace"
    shutil.copytree(base, folder / "whole")
    assert save_under_strace(state, folder / "whole", out=str(trace)) == 0
    calls = Counter(re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE))
    calls.pop("exit_group", None)
    faults = [(name, k, "signal=KILL") for name, n in calls.items() for k in range(1, n + 1)]
    faults += [
        (name, k, f"error={error}")
        for name in FAILING
        for k in range(1, calls[name] + 1)
        for error in ERRORS
    ]
    for name, k, what in faults if not count else rng.sample(faults, count):
        _break_call(state, base, folder / "hit", tally, name, f"{what}:when={k}")
    tally.notes.append(f"{sum(calls.values())} calls, {len(calls)} kinds")


def _break_call(
    state: TrainingState, base: Path, hit: Path, tally: Tally, name: str, what: str
) -> None:
    shutil.copytree(base, hit)
    place = f"{name}:{what}"
    code = save_under_strace(state, hit, "-e", f"trace={name}", "-e", f"inject={place}")
    tally.injected += 1
    if code not in (0, REFUSED_CODE, -signal.SIGKILL):
        tally.fail("traceback", f"{place}: exit code {code}")
    with quiet():
        found = num_epochs(hit)
        if found not in (2, 3) or (code == 0 and found != 3):
            tally.fail("lost", f"{place}: epoch {found} after exit code {code}")
        Checkpoints(hit, "run", max_share=math.inf).save(state)
        if num_epochs(hit) != 3 or list(hit.rglob("*.partial")):
            tally.fail("lost", f"{place}: the next save is not whole: {sorted(hit.rglob('*.*'))}")
    shutil.rmtree(hit)


@row(
    name="checkpoint-truncated", count=0, quick=40,
    fault="a checkpoint, or its manifest, cut at every byte",
    promise="detected before it is unpickled; the one before is loaded",
)  # fmt: skip
def truncate(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Cut the files of the newest checkpoint at every byte."""
    saved(folder / "run", 2)
    for path in newest(folder / "run"):
        data = path.read_bytes()
        with intact_alone(folder / "run"):
            for length in rng.sample(range(len(data)), min(count, len(data)) or len(data)):
                _try_bytes(path, data[:length], f"{path.name} of {length} bytes", tally)
        path.write_bytes(data)


@row(
    name="checkpoint-flipped", count=5000, quick=100, fault="a bit of a checkpoint flips",
    promise="detected before it is unpickled; the one before is loaded",
)  # fmt: skip
def flip(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Flip bits in the files of the newest checkpoint."""
    saved(folder / "run", 2)
    for path in newest(folder / "run"):
        data = path.read_bytes()
        with intact_alone(folder / "run"):
            for _ in range(count // 2):
                flipped, where = flip_bit(data, rng)
                _try_bytes(path, flipped, f"{path.name} {where}", tally)
        path.write_bytes(data)


def newest(folder: Path) -> list[Path]:
    """The payload and the manifest of the newest checkpoint."""
    payload = max(folder.rglob("*.pt"))
    return [payload, payload.with_suffix(".json")]


def _try_bytes(path: Path, data: bytes, place: str, tally: Tally) -> None:
    path.write_bytes(data)
    tally.injected += 1
    with quiet():
        found = num_epochs(path.parents[1])
    if found == 2:
        tally.fail("silent", f"{place}: loaded")
    elif found != 1:
        tally.fail("lost", f"{place}: epoch {found}")


@contextmanager
def intact_alone(folder: Path) -> Iterator[None]:
    """Let torch unpickle nothing but the bytes of the checkpoints in a folder as they are now.

    What it unpickled before is returned again, which saves most of the time.
    """
    real, known = torch.load, {}
    for path in folder.rglob("*.pt"):
        data = path.read_bytes()
        known[data] = real(io.BytesIO(data), map_location="cpu", weights_only=True)

    def load(file: io.BytesIO, **_: object) -> object:
        return known[file.getvalue()]  # a KeyError if damaged bytes came through

    torch.load = load
    try:
        yield
    finally:
        torch.load = real
