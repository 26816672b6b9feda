"""The worker process: takes jobs from its pipe, trains, and tells the driver.

Nothing heavy is imported before the process has been set up, because the number of threads is read
when torch is first imported.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bakeoff.child_process import ignore_interrupts
from bakeoff.engines.protocol import (
    Epoch,
    Event,
    Failed,
    Finished,
    Halted,
    Job,
    Paused,
    Probe,
    Probed,
    Profile,
    Profiled,
    Reply,
)
from bakeoff.errors import BakeoffError, CheckpointWriteError, describe_error
from bakeoff.records import EpochResult, Outcome

if TYPE_CHECKING:
    from bakeoff.training.state import TrainingState

PULSE_SECONDS = 1.0
PULSE_UNIT = 1 << 50
"""Fine enough that a single step of any run changes the whole number."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How a worker process is set up."""

    threads: int
    device: str
    import_path: tuple[str, ...]
    parent: int
    """Process id of the driver; the worker dies with it."""


def work(connection: Connection, pulse: "Synchronized[int]", settings: WorkerSettings) -> None:
    """Serve jobs until the pipe is closed.

    Args:
        connection: Jobs and replies come in, events go out.
        pulse: Receives how far the run has come, so that the driver can tell hung from slow.
        settings: Threads, device and import path.
    """
    _set_up(settings)
    driver = _Driver(connection)
    try:
        while True:
            job = driver.receive()
            if isinstance(job, Probe):
                _probe(driver, job, settings.device)
            elif isinstance(job, Profile):
                _profile(driver, job, settings.device)
            elif isinstance(job, Job):
                _train(driver, pulse, job, settings.device)
            # anything else is a reply that crossed the end of its run
    except _DriverGoneError:
        return


class _DriverGoneError(Exception):
    """The pipe to the driver is closed; nothing the user's code raises may look like it."""


class _Driver:
    """The driver, as seen from its worker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def receive(self) -> object:
        """The next message, waiting for it."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise _DriverGoneError from None

    def has_more(self) -> bool:
        """Whether a message has come."""
        try:
            return self._connection.poll()
        except (EOFError, OSError):
            raise _DriverGoneError from None

    def tell(self, event: Event) -> None:
        """Send an event."""
        try:
            self._connection.send(event)
        except OSError:
            raise _DriverGoneError from None


def _set_up(settings: WorkerSettings) -> None:
    ignore_interrupts(settings.parent)
    # The driver starts it as a daemon, so that it ends with it; yet it may have children of its
    # own, which load data and end with it too.
    multiprocessing.current_process().daemon = False
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(settings.threads)
    sys.path += [entry for entry in settings.import_path if entry not in sys.path]
    import torch

    torch.set_num_threads(settings.threads)


def _train(driver: _Driver, pulse: "Synchronized[int]", job: Job, device: str) -> None:
    from bakeoff.training.checkpoint import MAX_SAVE_SHARE, Checkpoints
    from bakeoff.training.loop import prepare, test, train
    from bakeoff.training.weights import write_weights

    try:
        state = prepare(job.config, device)
        share = inf if job.saves_every_epoch else MAX_SAVE_SHARE
        checkpoints = Checkpoints(Path(job.checkpoint_dir), identity=job.run, max_share=share)
        last: EpochResult | None = None
        with _Pulse(pulse, state):
            for result in train(state, checkpoints):
                last = result
                reply = _tell_epoch(driver, job, result)
                if reply == "pause":
                    checkpoints.save(state)
                    driver.tell(Paused(run=job.run))
                    return
                if reply == "stop":
                    driver.tell(Finished(run=job.run, outcome="pruned", test_metrics={}))
                    return
            outcome: Outcome = "diverged" if last and last.status == "diverged" else "complete"
            reads_test = job.reads_test and outcome == "complete"
            test_metrics = test(state) if reads_test else {}
            if job.weights_path and outcome == "complete":
                write_weights(state, Path(job.weights_path))
        driver.tell(Finished(run=job.run, outcome=outcome, test_metrics=test_metrics))
    except _DriverGoneError:
        raise
    except CheckpointWriteError as error:
        driver.tell(Halted(run=job.run, reason=str(error)))
    except Exception as error:  # noqa: BLE001 - the user's model may raise anything
        driver.tell(_describe_failure(job.run, error))


def _tell_epoch(driver: _Driver, job: Job, result: EpochResult) -> Reply:
    """Send the epoch; wait for the driver's answer where one is due, else take what has come."""
    waits = result.epoch in job.decision_epochs and result.status == "running"
    driver.tell(Epoch(run=job.run, result=result, waits=waits))
    reply: Reply = "continue"
    if waits:
        reply = cast("Reply", driver.receive())
    while driver.has_more():
        later = cast("Reply", driver.receive())
        reply = later if reply == "continue" else reply
    return reply if result.status == "running" else "continue"


def _probe(driver: _Driver, job: Probe, device: str) -> None:
    from bakeoff.training.checkpoint import NUM_KEPT
    from bakeoff.training.precision import measure_precision

    try:
        choice = measure_precision(job.config, device)
    except Exception as error:  # noqa: BLE001 - the user's model may raise anything
        driver.tell(_describe_failure(job.run, error))
        return
    driver.tell(
        Probed(
            run=job.run,
            precision=choice.precision,
            seconds_per_step={str(name): value for name, value in choice.seconds_per_step.items()},
            reason=choice.reason,
            checkpoint_bytes=choice.checkpoint_bytes,
            weight_bytes=choice.weight_bytes,
            num_checkpoints=NUM_KEPT,
        )
    )


def _profile(driver: _Driver, job: Profile, device: str) -> None:
    from bakeoff.training.step_profile import profile

    try:
        measured = profile(job.config, device, job.seconds)
        driver.tell(Profiled(run=job.run, **vars(measured)))
    except Exception as error:  # noqa: BLE001 - the user's model may raise anything
        driver.tell(_describe_failure(job.run, error))


def _describe_failure(run: str, error: Exception) -> Failed:
    """The error as one line, with the place in the user's files where it was raised."""
    from bakeoff.training.memory import is_out_of_memory

    if isinstance(error, BakeoffError):
        return Failed(run=run, outcome="failed", reason=str(error))
    return Failed(
        run=run,
        outcome="infeasible" if is_out_of_memory(error) else "failed",
        reason=describe_error(error, names_own=True),
    )


class _Pulse:
    """Copies how far the run has come to shared memory once a second, from a thread."""

    def __init__(self, pulse: "Synchronized[int]", state: "TrainingState") -> None:
        self._pulse = pulse
        self._state = state
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def _beat(self) -> None:
        while not self._ended.wait(PULSE_SECONDS):
            self._pulse.value = int(PULSE_UNIT * self._state.schedule.progress)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()


def import_path() -> Sequence[str]:
    """Where the user's modules are looked for: the driver's path, then the current folder.

    The folder comes last, so that a file of the user's never hides one of the library's.
    """
    return (*(entry for entry in sys.path if entry), str(Path.cwd()))
