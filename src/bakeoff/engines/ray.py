"""The Ray engine: workers on the nodes of a cluster, which may come and go.

Ray runs in a process of its own (`ray_gateway`), so that a cluster that is lost takes that process
down and not the driver. The driver then connects again: all runs continue from their checkpoints.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from bakeoff.child_process import without_main_module
from bakeoff.engines.protocol import (
    INTERIM,
    Died,
    Event,
    Job,
    MemberReply,
    Paused,
    Reply,
    Stack,
    Task,
)
from bakeoff.engines.ray_access import answers
from bakeoff.engines.ray_code import pack
from bakeoff.engines.ray_gateway import run_gateway
from bakeoff.engines.ray_messages import Answer, Close, Kill, Note, Ready, Unusable, WorkerLayout
from bakeoff.engines.ray_settings import RaySettings
from bakeoff.errors import WorkersLostError, one_line
from bakeoff.files import temporary_folder
from bakeoff.stores.location import is_url

RETRY_SECONDS = 5.0
"""Time between two attempts to connect to a cluster that was lost."""
AWAY_SECONDS = 600.0
"""How long a cluster may be lost before the study stops."""
GATEWAY_SECONDS = 120.0
"""The process that speaks to Ray says every few seconds that it lives. If it is silent for so long,
a call of Ray's does not return, and another process takes its place."""
IDLE_NOTE_SECONDS = 20.0
"""A study that has had no worker for so long tells the user why it waits."""
IDLE_SECONDS = 3600.0
"""How long a study waits for its first worker, and for one after all were lost."""
CLOSE_SECONDS = 10.0


class RayEngine:
    """Runs jobs in workers on the nodes of a Ray cluster.

    Args:
        settings: The cluster, which `find_cluster` has found.
        threads: CPU threads of each process.
        devices_per_trial: Devices, or on the CPU processes, that train a run together on one node.
        device: Torch device on which workers train.
        hang_seconds: Time without a step after which a run counts as hung.
        note: Is given what the user should know about the nodes.
    """

    def __init__(
        self,
        settings: RaySettings,
        *,
        threads: int,
        devices_per_trial: int = 1,
        device: str,
        hang_seconds: float,
        note: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._layout = WorkerLayout(
            threads=threads,
            devices_per_trial=devices_per_trial,
            gpus=settings.gpus_per_trial,
            device=device,
            hang_seconds=hang_seconds,
            current_folder=str(Path.cwd()),
            num_folders=len(settings.code_folders),
        )
        self._code = (
            pack(settings.code_folders, settings.left_out) if settings.code_folders else b""
        )
        self._note = note
        self._held = ExitStack()
        self._log = self._held.enter_context(temporary_folder("ray")) / "ray.log"
        self._jobs: dict[str, Task] = {}
        self._num_ready = 0
        self._idle_since = time.monotonic()
        self._has_noted_idle = False
        self._has_begun = False
        """Whether the cluster has ever answered."""
        self._is_lost = False
        """Whether the connection to the cluster is lost."""
        self._lost_at = self._tried_at = self._heard_at = 0.0
        self._later: list[Event] = []
        self._process, self._connection = self._connect()

    def _connect(self) -> tuple[BaseProcess, Connection]:
        """Start the process that speaks to Ray."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_gateway,
            args=(theirs, os.getpid(), str(self._log), self._settings, self._layout, self._code),
            daemon=True,
            name="bakeoff-ray",
        )
        with without_main_module():
            process.start()
        theirs.close()
        self._tried_at = self._heard_at = time.monotonic()
        return process, ours

    @property
    def num_free(self) -> int:
        """Number of workers that are ready and have no run."""
        return max(0, self._num_ready - len(self._jobs))

    def submit(self, job: Task) -> None:
        """Start a run on a free worker, or when there is one."""
        if isinstance(job, Job):
            job = _with_whole_path(job)
        elif isinstance(job, Stack):
            job = replace(job, jobs=tuple(map(_with_whole_path, job.jobs)))
        self._jobs[job.run] = job
        self._send(job)

    def _send(self, message: Task | Answer | Kill | Close) -> None:
        if not self._is_lost:
            with suppress(OSError):  # `events` finds out
                self._connection.send(message)

    def events(self, timeout: float) -> Sequence[Event]:
        """New events. Waits at most `timeout` seconds for the first one.

        Raises:
            WorkersLostError: The cluster has been lost for too long, has had no room for a worker
                for too long, or has no node that can be used.
        """
        if self._is_lost:
            self._connect_again(timeout)
            later, self._later = self._later, []
            return later
        wait([self._connection, self._process.sentinel], timeout)
        events: list[Event] = []
        try:
            while self._connection.poll():
                events += self._take(self._connection.recv())
                self._heard_at = time.monotonic()
        except (EOFError, OSError):
            return events + self._lose_cluster()
        if time.monotonic() - self._heard_at > GATEWAY_SECONDS:
            self._process.kill()
            return events + self._lose_cluster(f"no answer for {GATEWAY_SECONDS:.0f} s")
        if not self._process.is_alive():
            return events + self._lose_cluster()
        self._look_at_idleness()
        return events

    def _take(self, message: Event | Note | Ready | Unusable) -> list[Event]:
        match message:
            case Note():
                self._note(message.text)
            case Ready():
                is_first = not self._has_begun
                self._has_begun, self._lost_at = True, 0.0
                if is_first or (self._num_ready == 0) != (message.num_workers == 0):
                    self._idle_since, self._has_noted_idle = time.monotonic(), False
                self._num_ready = message.num_workers
            case Unusable():
                self._stop_with(message.reason)
            case _:
                return self._follow(message)
        return []

    def _follow(self, event: Event) -> list[Event]:
        """Note which runs have ended. Events of other attempts are dropped."""
        job = self._jobs.get(event.run)
        if job is None or job.attempt != event.attempt:
            return []
        if not isinstance(event, INTERIM):
            del self._jobs[event.run]
        return [event]

    def _stop_with(self, reason: str) -> None:
        self.close()
        raise WorkersLostError(f"{reason}; nothing is lost, and the same command continues")

    def _lose_cluster(self, reason: str = "") -> list[Event]:
        """The process that speaks to Ray has ended, and with it all workers."""
        self._process.join(CLOSE_SECONDS)
        words = reason or self._last_words()
        if not self._has_begun:
            self._stop_with(f"cannot connect to the Ray cluster ({words})")
        self._connection.close()
        self._is_lost, self._num_ready = True, 0
        if not self._lost_at:  # and not one more attempt that failed
            self._lost_at = time.monotonic()
            self._note(f"the Ray cluster was lost ({words}); waiting for it to return")
        jobs, self._jobs = self._jobs, {}
        return [
            Died(run=job.run, attempt=job.attempt, reason="the cluster was lost", cause="node")
            for job in jobs.values()
        ]

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            if lines:
                return one_line(lines[-1])[-200:]
        return f"its process ended with code {self._process.exitcode}"

    def _connect_again(self, timeout: float) -> None:
        now = time.monotonic()
        if now - self._lost_at > AWAY_SECONDS:
            self._stop_with(f"the Ray cluster has been lost for {AWAY_SECONDS / 60:.0f} min")
        if now - self._tried_at < RETRY_SECONDS:
            time.sleep(timeout)
            return
        self._tried_at = now
        if self._settings.address and not answers(self._settings.address):
            return
        self._process, self._connection = self._connect()
        self._is_lost, self._idle_since = False, now
        for job in self._jobs.values():
            self._send(job)

    def _look_at_idleness(self) -> None:
        """Say after a while that no node has room for a worker, and stop after a long while."""
        idle = time.monotonic() - self._idle_since
        if self._num_ready or idle < IDLE_NOTE_SECONDS:
            return
        layout = self._layout
        gpus = f" and {layout.gpus:g} GPUs" if layout.gpus else ""
        needs = f"a worker needs {layout.cpus} CPUs{gpus} on one node"
        if idle > IDLE_SECONDS:
            self._stop_with(f"the Ray cluster has had no worker for {idle / 60:.0f} min; {needs}")
        if not self._has_noted_idle:
            self._has_noted_idle = True
            self._note(f"waiting for the Ray cluster: {needs}")

    def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer an epoch that waits, or ask a run to stop, to pause, or to be suspended."""
        if self._is_lost and reply != "continue" and (job := self._jobs.pop(run, None)):
            self._later.append(Paused(run=run, attempt=job.attempt))
        self._send(Answer(run, reply))

    def kill(self, run: str) -> None:
        """Kill the worker of a run, as a crash would. `events` reports its death."""
        self._send(Kill(run))

    def close(self) -> None:
        """End all workers. Their runs can be submitted again and resume from their checkpoints."""
        self._send(Close())
        self._process.join(CLOSE_SECONDS)
        self._process.kill()  # the cluster ends the workers of a process that is gone
        self._process.join(CLOSE_SECONDS)
        self._connection.close()
        self._jobs.clear()
        self._num_ready, self._is_lost = 0, True
        self._held.close()


def _with_whole_path(job: Job) -> Job:
    """The job with a folder of checkpoints that does not depend on the current folder."""
    if is_url(job.checkpoints):
        return job
    return replace(job, checkpoints=str(Path(job.checkpoints).absolute()))
