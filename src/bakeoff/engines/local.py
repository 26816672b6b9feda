"""The local engine: worker processes on this machine that serve one run after another."""

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from bakeoff.child_process import without_main_module
from bakeoff.engines.protocol import (
    HANG_SECONDS,
    INTERIM,
    Died,
    Event,
    Failed,
    MemberReply,
    Reply,
    Task,
)
from bakeoff.engines.worker import Signals, WorkerSettings, import_path, work
from bakeoff.errors import BakeoffError
from bakeoff.own_source import own_folders

EVALUATION_PATIENCE = 4
"""A batch of evaluation may take this many times as long as a step before it counts as hung."""
CLOSE_SECONDS = 5.0
"""How long to wait for a killed process to end."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    signals: Signals
    job: Task | None = None
    seen: int = -1
    """Last progress that was read."""
    alive_at: float = 0.0
    """When the worker last sent an event or made a step."""


class LocalEngine:
    """Runs jobs in `num_workers` spawned processes of `threads` threads each.

    A worker is started when it is first needed and replaced when it dies. All workers end with the
    driver, even if it is killed.
    """

    def __init__(
        self,
        *,
        num_workers: int,
        threads: int,
        device: str = "cpu",
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._settings = WorkerSettings(
            threads=threads,
            device=device,
            import_path=tuple(import_path()),
            study_folder=next(iter(own_folders()), ""),
            parent=os.getpid(),
        )
        self._num_workers = num_workers
        self._hang_seconds = hang_seconds
        self._workers: list[_Worker] = []

    @property
    def num_free(self) -> int:
        """Number of jobs that can be submitted now."""
        return self._num_workers - sum(worker.job is not None for worker in self._workers)

    def submit(self, job: Task) -> None:
        """Start a run on a free worker.

        Raises:
            ValueError: No worker is free.
        """
        if self.num_free < 1:
            raise ValueError(f"no worker is free for {job.run}")
        worker = next((one for one in self._workers if one.job is None), None) or self._start()
        worker.job, worker.seen, worker.alive_at = job, -1, time.monotonic()
        worker.signals.pulse.value = -1
        worker.signals.evaluating.value = worker.signals.suspend.value = 0
        _send(worker, job)

    def _start(self) -> _Worker:
        try:
            ours, theirs = self._context.Pipe()
            signals = Signals(
                pulse=self._context.Value("q", -1),
                evaluating=self._context.Value("q", 0),
                suspend=self._context.Value("q", 0),
            )
            process = self._context.Process(
                target=work,
                args=(theirs, signals, self._settings),
                daemon=True,
                name="bakeoff-worker",
            )
            with without_main_module():
                process.start()
        except OSError as error:
            reason = error.strerror or error
            hint = " (shared memory, /dev/shm, is full)" if error.errno == errno.ENOSPC else ""
            raise BakeoffError(f"a worker process cannot be started: {reason}{hint}") from error
        theirs.close()
        worker = _Worker(process=process, connection=ours, signals=signals)
        self._workers.append(worker)
        return worker

    def events(self, timeout: float) -> Sequence[Event]:
        """New events. Waits at most `timeout` seconds for the first one."""
        ready = wait(
            [worker.connection for worker in self._workers]
            + [worker.process.sentinel for worker in self._workers],
            timeout,
        )
        events: list[Event] = []
        for worker in list(self._workers):
            if worker.connection in ready or worker.process.sentinel in ready:
                events += self._collect(worker)
        for worker in [one for one in self._workers if self._is_hung(one)]:
            events += self._end(worker, f"no step for {self._hang_seconds:.0f} s")
        return events

    def _collect(self, worker: _Worker) -> list[Event]:
        events: list[Event] = []
        try:
            while worker.connection.poll():
                event: Event = worker.connection.recv()
                events.append(event)
                worker.alive_at = time.monotonic()
                if not isinstance(event, INTERIM):
                    worker.job = None
                if isinstance(event, Failed) and event.breaks_worker:
                    return events + self._end(worker, event.reason)
        except (EOFError, OSError):
            worker.process.join(CLOSE_SECONDS)
        else:
            if worker.process.is_alive():
                return events
        return events + self._end(worker, _describe_exit(worker.process.exitcode))

    def _is_hung(self, worker: _Worker) -> bool:
        if worker.job is None:
            return False
        progress = worker.signals.pulse.value
        if progress != worker.seen:
            worker.seen, worker.alive_at = progress, time.monotonic()
        patience = EVALUATION_PATIENCE if worker.signals.evaluating.value else 1
        return time.monotonic() - worker.alive_at > patience * self._hang_seconds

    def _end(self, worker: _Worker, reason: str) -> list[Event]:
        """Remove a worker. If it had a run, report that the run's worker died."""
        if worker.process.is_alive():
            worker.process.kill()
        worker.process.join(CLOSE_SECONDS)
        worker.connection.close()
        self._workers.remove(worker)
        if (job := worker.job) is None:
            return []
        was_training = worker.signals.pulse.value >= 0
        return [Died(run=job.run, attempt=job.attempt, reason=reason, was_training=was_training)]

    def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer an epoch that waits, or ask a run to stop, to pause, or to be suspended."""
        for worker in self._workers_of(run):
            if reply == "suspend":
                worker.signals.suspend.value = 1
                reply = "pause"  # where it is between two epochs, or waits for an answer
            _send(worker, reply)

    def kill(self, run: str) -> None:
        """Kill the worker of a run, as a crash would. `events` reports its death."""
        for worker in self._workers_of(run):
            worker.process.kill()

    def _workers_of(self, run: str) -> list[_Worker]:
        return [one for one in self._workers if one.job is not None and one.job.run == run]

    def close(self) -> None:
        """Kill all workers. Their runs can be submitted again and resume from their checkpoints."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(CLOSE_SECONDS)
            worker.connection.close()
        self._workers.clear()


def _send(worker: _Worker, message: Task | Reply | MemberReply) -> None:
    """Send a message. Nothing happens if the worker is dead, because `events` reports that."""
    with suppress(BrokenPipeError, ConnectionResetError):
        worker.connection.send(message)


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"worker ended by {name}{hint}"
    return f"worker exited with code {code}"
