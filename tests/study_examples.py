"""Small study files, and an engine that computes learning curves instead of training."""

import math
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bakeoff.engines.protocol import Died, Epoch, Event, Finished, Job, Paused, Probe, Reply
from bakeoff.records import EpochResult, MetricInfo, TrialConfig
from bakeoff.storage import StudyFacts

ACCURACY = MetricInfo(name="accuracy", direction="maximize", low=0.0, high=1.0)


def study_document(**changes: dict[str, Any]) -> dict[str, Any]:
    """A parsed study file. Each keyword replaces keys of that section."""
    document: dict[str, Any] = {
        "study": {"name": "toy", "seed": 3},
        "data": {"dataset": "digits"},
        "model": {"model": "mlp", "width": 16, "depth": 1},
        "training": {"epochs": 4, "batch_size": 64, "precision": "fp32"},
        "search": {
            "optimizers": ["sgd", "adam"],
            "schedulers": ["constant", "cosine"],
            "trials_per_arm": 6,
            "startup_trials": 3,
            "pruner": "median",
            "pruner_startup_trials": 1,
        },
        "confirm": {"seeds": 2, "shortlist": 2, "shortlist_seeds": 2},
    }
    for section, keys in changes.items():
        document[section] = {**document.get(section, {}), **keys}
    return document


def call_study(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command `study` in a folder, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bakeoff", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def study_facts(**changes: Any) -> StudyFacts:
    """Facts of a study without measurements."""
    facts: dict[str, Any] = {
        "metric": ACCURACY,
        "chance_score": 0.1,
        "num_validation": 100,
        "num_test": 100,
        "data_fingerprint": "none",
        "precision": "fp32",
        "threads": 1,
    }
    return StudyFacts(**{**facts, **changes})


def smooth_curve(config: TrialConfig, epoch: int) -> float:
    """An accuracy that rises with the epochs and is best at a learning rate of 0.01."""
    distance = abs(math.log10(float(config.optimizer_params["learning_rate"])) + 2)
    return max(0.1, 0.95 - 0.15 * distance) * (1 - 0.5**epoch) + config.seed % 7 * 1e-4


class SimulatedEngine:
    """Computes each run's curve, one epoch per call of `events`, in the driver's own process.

    Args:
        num_workers: Runs at once.
        curve: Configuration and epoch -> objective.
        dies_at: Run name -> how many more times its worker dies, each time after one epoch.
        diverges: Whether a configuration's first epoch is not finite.
    """

    def __init__(
        self,
        num_workers: int = 1,
        curve: Callable[[TrialConfig, int], float] = smooth_curve,
        dies_at: dict[str, int] | None = None,
        diverges: Callable[[TrialConfig], bool] = lambda _: False,
    ) -> None:
        self._num_workers = num_workers
        self._curve = curve
        self._dies_at = dies_at or {}
        self._diverges = diverges
        self._jobs: dict[str, Job] = {}
        self._epochs: dict[str, int] = {}
        self._replies: dict[str, Reply] = {}
        self._turns: deque[str] = deque()
        self.submitted: list[Job] = []

    @property
    def num_free(self) -> int:
        return self._num_workers - len(self._jobs)

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._jobs)

    def submit(self, job: Job | Probe) -> None:
        assert isinstance(job, Job)
        if not self.num_free:
            raise ValueError(f"no worker is free for {job.run}")
        self._jobs[job.run] = job
        self._epochs[job.run] = 0
        self._turns.append(job.run)
        self.submitted.append(job)

    def events(self, timeout: float) -> Sequence[Event]:
        run = self._turns.popleft()
        self._turns.append(run)
        reply = self._replies.pop(run, "continue")
        if reply in ("pause", "suspend"):
            return [self._end(run, Paused(run=run))]
        if reply == "stop":
            return [self._end(run, Finished(run=run, outcome="pruned", test_metrics={}))]
        if self._dies_at.get(run, 0) > 0 and self._epochs[run] == 1:
            self._dies_at[run] -= 1
            return [self._end(run, Died(run=run, reason="worker ended by SIGKILL"))]
        return self._train_epoch(run)

    def _train_epoch(self, run: str) -> list[Event]:
        job = self._jobs[run]
        self._epochs[run] += 1
        epoch = self._epochs[run]
        diverged = self._diverges(job.config)
        is_last = epoch == job.config.training.epochs
        value = math.nan if diverged else self._curve(job.config, epoch)
        status = "diverged" if diverged else "finished" if is_last else "running"
        result = EpochResult(
            epoch=epoch,
            metrics={"accuracy": value},
            train_loss=1 - value,
            train_seconds=1.0,
            status=status,
        )
        waits = epoch in job.decision_epochs and status == "running"
        events: list[Event] = [Epoch(run=run, attempt=job.attempt, result=result, waits=waits)]
        if status != "running":
            outcome = "diverged" if diverged else "complete"
            is_read = job.reads_test and not diverged
            finished = Finished(
                run=run,
                outcome=outcome,
                test_metrics={"accuracy": value - 0.01} if is_read else {},
                test_without=(value - 0.02, value, math.nan) if is_read else (),
            )
            events.append(self._end(run, finished))
        return events

    def _end(self, run: str, event: Event) -> Event:
        job = self._jobs.pop(run)
        self._turns.remove(run)
        self._replies.pop(run, None)
        return replace(event, attempt=job.attempt)

    def reply(self, run: str, reply: Reply) -> None:
        if run in self._jobs:
            self._replies[run] = reply

    def close(self) -> None:
        self._jobs.clear()
        self._turns.clear()


class SilentObserver:
    """Shows nothing and remembers its calls."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ended_runs: list[str] = []
        self.restored_runs: list[str] = []
        self.paused_runs: list[tuple[str, int]] = []

    def began(self, run: str, plan: Any, num_left: int) -> None:
        pass

    def epoch(self, run: str, plan: Any, result: EpochResult) -> None:
        pass

    def paused(self, run: str, plan: Any, epoch: int) -> None:
        self.paused_runs.append((run, epoch))

    def ended(self, run: str, plan: Any, record: Any, *, restored: bool) -> None:
        (self.restored_runs if restored else self.ended_runs).append(run)

    def note(self, text: str) -> None:
        self.notes.append(text)
