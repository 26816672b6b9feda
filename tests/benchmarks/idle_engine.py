"""Workers that train nothing: each epoch takes its time on a clock of the engine's own."""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import replace

from bakeoff.engines.protocol import Epoch, Event, Finished, Job, Paused, Reply
from bakeoff.records import EpochResult, TrialConfig


def accuracy(config: TrialConfig, epoch: int) -> float:
    """Best at a learning rate of 0.01, the same for all optimizers; with noise of the run's own."""
    rate = float(config.optimizer_params["learning_rate"])
    noise = random.Random(f"{config.seed} {rate}").gauss(0, 0.02)
    distance = abs(math.log10(rate) + 2)
    return max(0.05, 0.95 - 0.15 * distance) * (1 - 0.7**epoch) + noise


class IdleEngine:
    """Runs of random speed, told in the order in which their epochs would end."""

    def __init__(self, num_workers: int, seed: int = 0) -> None:
        self._num_workers = num_workers
        self._random = random.Random(seed)
        self._now = 0.0
        self._jobs: dict[str, tuple[Job, float]] = {}
        self._epochs: dict[str, int] = {}
        self._replies: dict[str, Reply] = {}
        self._queue: list[tuple[float, str]] = []
        self.num_epochs = 0

    @property
    def num_free(self) -> int:
        return self._num_workers - len(self._jobs)

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._jobs)

    def submit(self, job: Job) -> None:
        seconds = math.exp(self._random.gauss(0, 0.7))
        self._jobs[job.run] = job, seconds
        self._epochs.setdefault(job.run, 0)
        heapq.heappush(self._queue, (self._now + seconds, job.run))

    def reply(self, run: str, reply: Reply) -> None:
        self._replies[run] = reply

    def close(self) -> None:
        self._jobs.clear()

    def events(self, timeout: float) -> Sequence[Event]:
        self._now, run = heapq.heappop(self._queue)
        job, seconds = self._jobs[run]
        reply = self._replies.pop(run, "continue")
        if reply in ("pause", "suspend"):
            return [self._end(Paused(run=run))]
        if reply == "stop":
            return [self._end(Finished(run=run, outcome="pruned", test_metrics={}))]
        self._epochs[run] += 1
        self.num_epochs += 1
        epoch = self._epochs[run]
        is_last = epoch == job.config.training.epochs
        result = EpochResult(
            epoch=epoch,
            metrics={job.config.objective: accuracy(job.config, epoch)},
            status="finished" if is_last else "running",
            train_seconds=seconds,
        )
        told: list[Event] = [
            Epoch(
                run=run,
                attempt=job.attempt,
                result=result,
                waits=epoch in job.decision_epochs and not is_last,
            )
        ]
        if is_last:
            return [*told, self._end(Finished(run=run, outcome="complete", test_metrics={}))]
        heapq.heappush(self._queue, (self._now + seconds, run))
        return told

    def _end(self, event: Event) -> Event:
        job, _ = self._jobs.pop(event.run)
        return replace(event, attempt=job.attempt)
