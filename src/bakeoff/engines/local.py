"""The local engine: worker processes on this machine that serve one run after another."""

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.processes import WorkerProcess, start_process, worker_settings
from bakeoff.engines.protocol import (
    HANG_SECONDS,
    INTERIM,
    Died,
    Event,
    Failed,
    MemberReply,
    Reply,
    Started,
    Task,
)
from bakeoff.engines.worker import Unusable
from bakeoff.errors import BakeoffError

EVALUATION_PATIENCE = 4
"""A batch of evaluation may take this many times as long as a step before it counts as hung."""
CLOSE_SECONDS = 5.0
"""How long to wait for a killed process to end."""


@dataclass(frozen=True, eq=False)
class _Slot:
    """A place for one worker: the devices of a run, and its share of their memory."""

    devices: tuple[Device, ...]
    memory_share: float


@dataclass
class _Worker:
    slot: "_Slot"
    served: WorkerProcess
    job: Task | None = None
    seen: int = -1
    """Last progress that was read."""
    alive_at: float = 0.0
    """When the worker last sent an event or made a step."""


class LocalEngine:
    """Runs jobs in `num_workers` spawned processes of `threads` threads each.

    The workers share `devices` evenly, and each of them sees only its own. The first `ahead` ones
    are started at once, any other when it is first needed, and one that dies is replaced. A device
    that cannot be used is left out, as long as there is another one. All workers end with the
    driver, even if it is killed. A worker that was started `early` is the first one, if it is set
    up as that one has to be.
    """

    def __init__(
        self,
        *,
        num_workers: int,
        threads: int,
        devices: Sequence[Device] = (CPU,),
        devices_per_trial: int = 1,
        hang_seconds: float = HANG_SECONDS,
        early: WorkerProcess | None = None,
        ahead: int = 0,
        memory_share: float = 1.0,
    ) -> None:
        self._early = early
        self._threads = threads
        self._devices_per_trial = devices_per_trial
        self._slots = _share(devices, num_workers, devices_per_trial, memory_share)
        self._hang_seconds = hang_seconds
        self._workers: list[_Worker] = []
        self._begun: list[Event] = []
        """What `events` says of runs that were given to a device since it was last called."""
        try:
            for _ in range(min(ahead, len(self._slots))):
                self._start()
        except BakeoffError:
            self.close()
            raise

    @property
    def num_free(self) -> int:
        """Number of jobs that can be submitted now."""
        busy = {worker.slot for worker in self._workers if worker.job is not None}
        return sum(slot not in busy for slot in self._slots)

    def submit(self, job: Task) -> None:
        """Start a run on a free worker.

        Raises:
            ValueError: No worker is free.
        """
        if self.num_free < 1:
            raise ValueError(f"no worker is free for {job.run}")
        idle = (one for one in self._workers if one.job is None and one.slot in self._slots)
        worker = next(idle, None) or self._start()
        worker.job, worker.seen, worker.alive_at = job, -1, time.monotonic()
        signals = worker.served.signals
        signals.pulse.value = -1
        signals.evaluating.value = signals.suspend.value = 0
        if worker.slot.devices != (CPU,):
            label = worker.served.settings.device_label
            self._begun.append(Started(run=job.run, attempt=job.attempt, place=label))
        _send(worker, job)

    def _start(self) -> _Worker:
        used = {worker.slot for worker in self._workers}
        slot = next(slot for slot in self._slots if slot not in used)
        settings = worker_settings(
            slot.devices,
            threads=self._threads,
            devices_per_trial=self._devices_per_trial,
            memory_share=slot.memory_share,
        )
        early, self._early = self._early, None
        if early is not None and early.settings != settings:
            early.end(CLOSE_SECONDS)
            early = None
        worker = _Worker(slot=slot, served=early or start_process(settings))
        self._workers.append(worker)
        return worker

    @property
    def sources(self) -> list[Connection | int]:
        """What `events` waits for: the pipes of the workers, and handles of their ends."""
        served = [worker.served for worker in self._workers]
        return [*(one.connection for one in served), *(one.process.sentinel for one in served)]

    def events(self, timeout: float) -> Sequence[Event]:
        """New events. Waits at most `timeout` seconds for the first one."""
        events, self._begun = self._begun, []
        ready = wait(self.sources, 0 if events else timeout)
        for worker in list(self._workers):
            if worker.served.connection in ready or worker.served.process.sentinel in ready:
                events += self._collect(worker)
        for worker in [one for one in self._workers if self._is_hung(one)]:
            events += self._end(worker, f"no step for {self._hang_seconds:.0f} s")
        return events

    def _collect(self, worker: _Worker) -> list[Event]:
        events: list[Event] = []
        try:
            while worker.served.connection.poll():
                event: Event | Unusable = worker.served.connection.recv()
                if isinstance(event, Unusable):
                    return events + self._leave_out(worker, event.reason)
                events.append(event)
                worker.alive_at = time.monotonic()
                if not isinstance(event, INTERIM):
                    worker.job = None
                if isinstance(event, Died) or (isinstance(event, Failed) and event.breaks_worker):
                    return events + self._end(worker, event.reason)
        except (EOFError, OSError):
            worker.served.process.join(CLOSE_SECONDS)
        else:
            if worker.served.process.is_alive():
                return events
        return events + self._end(worker, _describe_exit(worker.served.process.exitcode))

    def _is_hung(self, worker: _Worker) -> bool:
        if worker.job is None:
            return False
        progress = worker.served.signals.pulse.value
        if progress != worker.seen:
            worker.seen, worker.alive_at = progress, time.monotonic()
        patience = EVALUATION_PATIENCE if worker.served.signals.evaluating.value else 1
        return time.monotonic() - worker.alive_at > patience * self._hang_seconds

    def _leave_out(self, worker: _Worker, reason: str) -> list[Event]:
        """Use the device of a worker no longer, if there is another one to train on.

        The run is not to blame: it counts as lost with a machine, or, where no other device is
        left, as one whose worker ended before it was prepared.
        """
        devices = worker.slot.devices
        others = [slot for slot in self._slots if slot.devices != devices]
        if not others:
            return self._end(worker, reason)
        self._slots = others
        labels = ", ".join(one.label for one in devices)
        return self._end(worker, f"{reason}; it is left out", lost_node=labels)

    def _end(self, worker: _Worker, reason: str, lost_node: str = "") -> list[Event]:
        """Remove a worker. If it had a run, report that the run's worker died."""
        worker.served.end(CLOSE_SECONDS)
        self._workers.remove(worker)
        if (job := worker.job) is None:
            return []
        was_training = worker.served.signals.pulse.value >= 0
        return [
            Died(
                run=job.run,
                attempt=job.attempt,
                reason=reason,
                cause="node" if lost_node else "worker",
                node=lost_node,
                was_training=was_training,
            )
        ]

    def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer an epoch that waits, or ask a run to stop, to pause, or to be suspended."""
        for worker in self._workers_of(run):
            if reply == "suspend":
                worker.served.signals.suspend.value = 1
                reply = "pause"  # where it is between two epochs, or waits for an answer
            _send(worker, reply)

    def kill(self, run: str) -> None:
        """Kill the worker of a run, as a crash would. `events` reports its death."""
        for worker in self._workers_of(run):
            worker.served.process.kill()

    def _workers_of(self, run: str) -> list[_Worker]:
        return [one for one in self._workers if one.job is not None and one.job.run == run]

    def close(self) -> None:
        """Kill all workers. Their runs can be submitted again and resume from their checkpoints."""
        started = [worker.served for worker in self._workers]
        started += [] if self._early is None else [self._early]
        for one in started:
            one.process.kill()
        for one in started:
            one.end(CLOSE_SECONDS)
        self._workers.clear()
        self._early = None


def _share(
    devices: Sequence[Device], num_workers: int, devices_per_trial: int, memory_share: float
) -> list[_Slot]:
    """A slot for each worker, so that all devices have as many as the others, or one more.

    Devices that are too few for a further run stay idle. The CPU is one device however many
    processes train a run there. Together the workers of a device get `memory_share` of its memory.
    """
    is_cpu = devices[0].kind == CPU.kind
    size = 1 if is_cpu else devices_per_trial
    firsts = range(0, len(devices) - size + 1, size)
    groups = [tuple(devices[first : first + size]) for first in firsts] or [tuple(devices)]
    most = -(-num_workers // len(groups))
    turns = [groups[index % len(groups)] for index in range(num_workers)]
    return [_Slot(group, 1.0 if is_cpu else memory_share / most) for group in turns]


def _send(worker: _Worker, message: Task | Reply | MemberReply) -> None:
    """Send a message. Nothing happens if the worker is dead, because `events` reports that."""
    with suppress(BrokenPipeError, ConnectionResetError):
        worker.served.connection.send(message)


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"worker ended by {name}{hint}"
    return f"worker exited with code {code}"
