"""A repeatable study on a Ray cluster whose nodes are lost while it runs.

Its model is a module of the user's that waits in every step, so that a run takes seconds and little
of the processor.
"""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from bakeoff.engines.open import find_workers
from bakeoff.records import EpochResult
from bakeoff.session.run_settings import RunSettings
from bakeoff.session.study import run_study
from bakeoff.storage import Storage
from bakeoff.studyfile import load_study
from study_examples import study_document

MODEL = '''
import time
import torch

WAIT_SECONDS = 0.02

class Waiting(torch.nn.Module):
    """A linear model that waits in every step."""

    def __init__(self, num_pixels, num_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(num_pixels, num_outputs)

    def forward(self, images):
        if self.training:
            time.sleep(WAIT_SECONDS)
        return self.linear(images.flatten(1))

def build(input_shape, num_outputs):
    return Waiting(torch.Size(input_shape).numel(), num_outputs)
'''


def write_study(
    folder: Path,
    *,
    epochs: int = 16,
    trials: int = 4,
    step_seconds: float = 0.02,
    **changes: Mapping[str, Any],
) -> Path:
    """A study of two arms whose runs take 2 s with 16 epochs.

    Args:
        folder: Gets the file and its module.
        epochs: Of each run.
        trials: Per arm.
        step_seconds: How long a step waits. An epoch has six.
        changes: Keys by section, such as `confirm={"seeds": 2}`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = MODEL.replace("SECONDS = 0.02", f"SECONDS = {step_seconds}")
    (folder / "waiting_models.py").write_text(model)
    document = study_document(
        model={"model": "waiting_models:build"},
        training={"epochs": epochs, "batch_size": 256},
        search={
            "schedulers": ["constant"], "sampler": "random", "pruner": "cautious",
            "trials_per_arm": trials, "repeatable": True, "lag": 4, "defaults": False,
        },
        confirm={"seeds": 0, "shortlist": 1},
    )  # fmt: skip
    for key in ("width", "depth"):
        del document["model"][key]
    for key in ("startup_trials", "pruner_startup_trials"):
        del document["search"][key]
    del document["confirm"]["shortlist_seeds"]
    for section, values in changes.items():
        document[section] = {**document[section], **values}
    file = folder / "toy.toml"
    file.write_text(tomli_w.dumps(document))
    return file


@dataclass
class Watcher:
    """Sees what happens in a study, and does something once: after the `at_run`-th run has begun.

    `act` is given the node of a run that trains and has stored `at_epoch` epochs, in a thread of
    its own.
    """

    output: Path = Path()
    at_run: int = 0
    act: Callable[[str], object] = lambda _: None
    at_epoch: int = 0
    begun: int = 0
    acted_at: float = 0.0
    notes: list[tuple[float, str]] = field(default_factory=list)
    restored: int = 0
    """Epochs that came again as they had been recorded: read from a checkpoint, not trained."""
    _seen: dict[tuple[str, int], float] = field(default_factory=dict)
    _thread: threading.Thread | None = None

    def began(self, *_: object) -> None:
        self.begun += 1
        if self.begun == self.at_run:
            self._thread = threading.Thread(target=self._act_on_newest)
            self._thread.start()

    def _act_on_newest(self) -> None:
        node = wait_for_node(self.output, self.at_epoch)
        self.acted_at = time.monotonic()
        self.act(node)

    def join(self) -> None:
        """Wait until it was done."""
        if self._thread is not None:
            self._thread.join()

    def epoch(self, run: str, _: object, result: EpochResult) -> None:
        """Compare the epoch's duration with what an earlier start of the run measured."""
        key = run, result.epoch
        self.restored += self._seen.get(key) == result.train_seconds
        self._seen[key] = result.train_seconds

    def paused(self, *_: object) -> None: ...

    def ended(self, *_: object, **__: object) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append((time.monotonic(), text))

    def seconds_until(self, words: str) -> float | None:
        """From the act to the first note with these words; None if there is none."""
        times = [at for at, text in self.notes if words in text and at > self.acted_at]
        return times[0] - self.acted_at if times else None


def run_here(
    file: Path,
    output: Path,
    engine: str,
    watcher: Watcher,
    environment: Mapping[str, str],
    *,
    checkpoints: str | None = None,
) -> None:
    """Run the study with its driver in this process."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        study = load_study(file, settings={})
        settings = RunSettings.choose(
            output=output, storage_url=None, workers=2 if engine == "local" else None,
            device="cpu", engine=engine, checkpoints=checkpoints,
            devices_per_trial=study.training.devices_per_trial,
        )  # fmt: skip
        run_study(study, find_workers(settings), watcher)
    finally:
        watcher.join()
        os.environ.clear()
        os.environ.update(before)


def start_driver(
    file: Path,
    output: Path,
    engine: str,
    environment: Mapping[str, str],
    *options: str,
) -> "subprocess.Popen[str]":
    """Run the study with a driver in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "run", str(file), "-o", str(output), "--engine", engine,
         *options],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def record_of(output: Path):
    """What is stored of the study; None before it is created."""
    file = output / "studies.db"
    return Storage(f"sqlite:///{file}").load_record("toy") if file.exists() else None


def wait_for_trials(output: Path, count: int, seconds: float = 120) -> None:
    """Wait until so many trials have begun."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            record = record_of(output)
        except Exception:  # noqa: BLE001 - it is being created
            record = None
        if record is not None and len(record.trials) >= count:
            return
        time.sleep(0.2)
    raise TimeoutError(f"no {count} trials in {seconds} s")


def wait_for_node(output: Path, epoch: int, seconds: float = 120) -> str:
    """Wait until a run on a node has stored so many epochs; the first digits of the node's id."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        runs = [one for one in record_of(output).trials if one.place and one.epochs_run >= epoch]
        if runs:
            return min(runs, key=lambda one: one.epochs_run).place[-8:]
    raise TimeoutError(f"no run with {epoch} epochs in {seconds} s")


def bits_of(output: Path) -> list[object]:
    """All that was measured, in full precision, and the hashes of the weights that were kept."""
    record = record_of(output)
    found: list[object] = [
        (run.number, run.arm, sorted(run.params.items()), run.outcome, run.score,
         sorted(run.test_metrics.items()),
         [(sorted(one.metrics.items()), one.train_loss) for one in run.history])
        for run in (*record.trials, *record.confirmations)
    ]  # fmt: skip
    weights = sorted((output / "toy" / "weights").glob("*.safetensors"))
    return found + [(one.name, hashlib.sha256(one.read_bytes()).hexdigest()) for one in weights]
