"""Workers that train nothing: each epoch takes its time on a clock of the engine's own."""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
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
    """Runs of random speed, whose epochs come in the order in which they would end.

    Args:
        num_workers: Runs at once.
        seed: Decides how quick each run is.
        per_poll: So many events come together, such as those of runs that train as one.
        driver_clock: Counts the driver's seconds. They pass for the engine, too, and everything that
            has ended by then comes in one poll. Without it the driver takes no time.
    """

    def __init__(
        self,
        num_workers: int,
        seed: int = 0,
        per_poll: int = 1,
        driver_clock: Callable[[], float] | None = None,
    ) -> None:
        self._num_workers = num_workers
        self._random = random.Random(seed)
        self._per_poll = per_poll
        self._driver_clock = driver_clock or (lambda: 0.0)
        self._polled_at = self._driver_clock()
        self._at_poll = 0.0
        """Time on the engine's own clock when the driver got the events of the last poll."""
        self._jobs: dict[str, tuple[Job, float]] = {}
        """The running jobs, and the seconds that an epoch of each takes."""
        self._trained: Counter[str] = Counter()
        """Epochs that were trained, which a run that is submitted again sends again at once."""
        self._sent: dict[str, int] = {}
        self._replies: dict[str, Reply] = {}
        self._queue: list[tuple[float, str]] = []
        """When each run that does not wait will have something to send."""
        self._waiting: dict[str, float] = {}
        """Since when a run waits for a reply."""
        self._free: list[float] = []
        """Since when each worker waits for a job, but for its first one."""
        self.num_epochs = 0
        self.num_polls = 0
        self.idle_seconds = 0.0
        """Of all workers, waiting for a reply or for the next job."""
        self.busy_seconds = 0.0

    @property
    def num_free(self) -> int:
        return self._num_workers - len(self._jobs)

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._jobs)

    def _now(self) -> float:
        return self._at_poll + self._driver_clock() - self._polled_at

    def submit(self, job: Job) -> None:
        if self._free:
            self.idle_seconds += self._now() - self._free.pop(0)
        seconds = math.exp(self._random.gauss(0, 0.7))
        self._jobs[job.run] = job, seconds
        self._sent[job.run] = 0
        self._train(job.run, self._now())

    def _train(self, run: str, now: float) -> None:
        """Train the next epoch of a run, unless it was trained before."""
        seconds = self._jobs[run][1] if self._sent[run] >= self._trained[run] else 0.0
        self.busy_seconds += seconds
        heapq.heappush(self._queue, (now + seconds, run))

    def reply(self, run: str, reply: Reply) -> None:
        self._replies[run] = reply
        if run not in self._waiting:
            return
        self.idle_seconds += self._now() - self._waiting.pop(run)
        if reply == "continue":
            self._train(run, self._now())
        else:
            heapq.heappush(self._queue, (self._now(), run))

    def close(self) -> None:
        self._jobs.clear()

    def events(self, timeout: float) -> Sequence[Event]:
        self._at_poll = self._now()
        events: list[Event] = []
        num_runs = 0
        while self._queue and (num_runs < self._per_poll or self._queue[0][0] <= self._at_poll):
            at, run = heapq.heappop(self._queue)
            self._at_poll = max(self._at_poll, at)
            events += self._next_events(run, at)
            num_runs += 1
        self.num_polls += 1
        self._polled_at = self._driver_clock()  # the engine's own work takes no time
        return events

    def _next_events(self, run: str, at: float) -> list[Event]:
        job, seconds = self._jobs[run]
        reply = self._replies.pop(run, "continue")
        if reply in ("pause", "suspend"):
            return [self._end(Paused(run=run), at)]
        if reply == "stop":
            return [self._end(Finished(run=run, outcome="pruned", test_metrics={}), at)]
        self._sent[run] += 1
        epoch = self._sent[run]
        if epoch > self._trained[run]:
            self._trained[run] = epoch
            self.num_epochs += 1
        is_last = epoch == job.config.training.epochs
        result = EpochResult(
            epoch=epoch,
            metrics={job.config.objective: accuracy(job.config, epoch)},
            status="finished" if is_last else "running",
            train_seconds=seconds,
        )
        waits = epoch in job.decision_epochs and not is_last
        told: list[Event] = [Epoch(run=run, attempt=job.attempt, result=result, waits=waits)]
        if is_last:
            finished = Finished(run=run, outcome="complete", test_metrics={})
            return [*told, self._end(finished, at)]
        if waits:
            self._waiting[run] = at
        else:
            self._train(run, at)
        return told

    def _end(self, event: Event, at: float) -> Event:
        job, _ = self._jobs.pop(event.run)
        self._free.append(at)
        return replace(event, attempt=job.attempt)
