"""Trains the seeds of a gate, and keeps those that are done until the gate is finished."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from bakeoff.components.metrics import metric_info, scored_epoch
from bakeoff.engines.follow import MAX_ATTEMPTS, follow
from bakeoff.engines.protocol import Died, Engine, Epoch, Failed, Finished, Halted, Job
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, StorageError, StudyLockedError
from bakeoff.files import LockHeldError, hold_lock
from bakeoff.production.folder import measured_text
from bakeoff.production.run import trial_config
from bakeoff.records import EpochResult, GateRun, StudyConfig, json_text


class GateObserver(Protocol):
    """Shows the progress of a gate."""

    def note(self, text: str) -> None:
        """Something that the user should know."""

    def ended(self, run: GateRun, num_done: int) -> None:
        """A seed is trained, and `num_done` are by now."""


class SeedStore:
    """Seeds that an unfinished gate has trained. A kill may cut the last line of its file short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path / "seeds.jsonl"
        self.done: dict[int, GateRun] = {}
        content = self._log.read_bytes() if self._log.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self._log, len(whole))
        for line in whole.decode("utf-8", "replace").splitlines():
            with suppress(ValueError, TypeError):  # a damaged line is trained again
                run = GateRun(**json.loads(line))
                self.done[run.seed] = run

    def add(self, run: GateRun) -> None:
        """Keep a run that is complete."""
        self.done[run.seed] = run
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json_text(run, indent=None))
        shutil.rmtree(self.checkpoints(run.seed), ignore_errors=True)

    def checkpoints(self, seed: int) -> Path:
        """The folder of the checkpoints of a seed in progress."""
        return self.path / f"seed-{seed}"


@contextmanager
def seed_store(folder: Path, identity: str) -> Iterator[SeedStore]:
    """Lock the folder of a gate. Keep what it trained only if the block is left by an error.

    Args:
        folder: Where the study's gate keeps its files.
        identity: Hash of everything that the runs depend on. Runs of another identity are removed.

    Raises:
        StudyLockedError: Another process trains this gate.
    """
    unfinished = folder / "unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        with hold_lock(unfinished / ".lock", str(os.getpid())):
            for other in unfinished.iterdir():
                if other.is_dir() and other.name != identity:
                    shutil.rmtree(other, ignore_errors=True)
            store = SeedStore(unfinished / identity)
            store.path.mkdir(exist_ok=True)
            yield store
            shutil.rmtree(store.path, ignore_errors=True)
    except LockHeldError as held:
        raise StudyLockedError(
            f"{unfinished} is already in use by process {str(held) or 'unknown'}"
        ) from None


@dataclass(frozen=True, kw_only=True)
class SeedTrainer:
    """Trains one configuration with several seeds."""

    config: StudyConfig
    """A study of one configuration."""
    precision: str
    weights_sha256: str
    num_targets: int
    workers: int
    engine: Engine
    stop: StopRequest
    store: SeedStore
    observer: GateObserver

    def train(self, seeds: Sequence[int]) -> tuple[GateRun, ...]:
        """Train those of `seeds` that are not done yet, and return all in their order.

        The runs end with the first one that did not complete; no further one is started then.

        Raises:
            InterruptedStudyError: A stop was requested.
            StorageError: A checkpoint cannot be written.
            BakeoffError: A worker died repeatedly, or the memory does not suffice.
        """
        todo = [seed for seed in seeds if seed not in self.store.done]
        for place in range(0, len(todo), self.workers):
            for run in self._train_together(todo[place : place + self.workers]):
                if run.outcome != "complete":
                    done = [self.store.done[seed] for seed in seeds if seed in self.store.done]
                    return (*done, run)
        return tuple(self.store.done[seed] for seed in seeds)

    def _train_together(self, seeds: Sequence[int]) -> Iterator[GateRun]:
        jobs = {f"seed-{seed}": self._job(seed) for seed in seeds}
        histories: dict[str, list[EpochResult]] = {name: [] for name in jobs}
        losses = dict.fromkeys(jobs, 0)
        note_pause = partial(self.observer.note, "pausing after this step; Ctrl-C again stops")
        for event in follow(self.engine, self.stop, *jobs.values(), on_pause=note_pause):
            match event:
                case Epoch():
                    histories[event.run].append(event.result)
                case Died():
                    losses[event.run] += 1
                    if losses[event.run] >= MAX_ATTEMPTS:
                        raise BakeoffError(f"{event.run}: {event.reason}, {MAX_ATTEMPTS} times")
                    self.observer.note(f"{event.run}: {event.reason}; continuing")
                    histories[event.run].clear()  # the new worker sends all epochs again
                case Halted():
                    raise StorageError(f"{event.reason}; make room and run the same command again")
                case Failed(outcome="infeasible"):
                    raise BakeoffError(f"{event.run} cannot be trained here: {event.reason}")
                case Failed():
                    seed, reason = jobs[event.run].config.seed, f"failed: {event.reason}"
                    yield GateRun(seed=seed, outcome="failed", score=None, reason=reason)
                case Finished():
                    run = self._finished(jobs[event.run].config.seed, histories[event.run])
                    if run.outcome == "complete":
                        self.store.add(run)
                        self.observer.ended(run, len(self.store.done))
                    yield run

    def _job(self, seed: int) -> Job:
        return Job(
            run=f"seed-{seed}",
            config=trial_config(self.config, self.precision, seed, self.weights_sha256),
            checkpoints=str(self.store.checkpoints(seed)),
        )

    def _finished(self, seed: int, history: Sequence[EpochResult]) -> GateRun:
        objective = metric_info(self.config.objective, self.config, self.num_targets)
        scored = scored_epoch(history, objective, self.config.score_rule)
        if scored is None or history[-1].status == "diverged":
            epoch = history[-1].epoch if history else 0
            return GateRun(
                seed=seed, outcome="diverged", score=None, reason=f"diverged in epoch {epoch}"
            )
        digest = hashlib.sha256("\n".join(map(measured_text, history)).encode()).hexdigest()
        return GateRun(
            seed=seed,
            outcome="complete",
            score=scored.metrics[objective.name],
            epoch=scored.epoch,
            digest=digest,
        )
