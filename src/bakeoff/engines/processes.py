"""Processes of workers: how they are started, and one that is started before its engine is opened.

A worker imports torch, which takes seconds. A study that will train on the CPU starts its first
worker before its file is read, and imports what it needs itself meanwhile.
"""

import errno
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from bakeoff.child_process import without_main_module
from bakeoff.engines.device_table import CPU, Device, has_accelerator_signs
from bakeoff.engines.devices import AUTO, parse_device, worker_environment
from bakeoff.engines.worker import Signals, WorkerSettings, import_path, work
from bakeoff.errors import BakeoffError
from bakeoff.own_source import look_in, own_folders

END_SECONDS = 5.0
"""How long to wait for a killed process to end."""


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A process that serves jobs, and the ways to talk to it."""

    settings: WorkerSettings
    process: BaseProcess
    connection: Connection
    signals: Signals

    def end(self, seconds: float) -> None:
        """Kill the process, and wait at most `seconds` for its end."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join(seconds)
        self.connection.close()


@contextmanager
def ended_on_error(worker: WorkerProcess | None) -> Iterator[None]:
    """End a worker that was started early, if the `with` block fails before an engine has it.

    Otherwise it would print an error of its own when what it shares with this process is gone.
    """
    try:
        yield
    except BaseException:
        if worker is not None:
            worker.end(END_SECONDS)
        raise


def worker_settings(
    devices: Sequence[Device],
    *,
    threads: int,
    devices_per_trial: int = 1,
    memory_share: float = 1.0,
) -> WorkerSettings:
    """How to set up a worker on its devices, for the code of the user's that is known by now."""
    return WorkerSettings(
        threads=threads,
        device=devices[0].place,
        devices_per_trial=devices_per_trial,
        device_label=", ".join(one.label for one in devices),
        environment=worker_environment(devices),
        memory_share=memory_share,
        import_path=tuple(import_path()),
        study_folder=next(iter(own_folders()), ""),
        parent=os.getpid(),
    )


def start_process(settings: WorkerSettings) -> WorkerProcess:
    """Start a worker, which ends with this process.

    Raises:
        BakeoffError: The system starts no more processes.
    """
    context = multiprocessing.get_context("spawn")
    try:
        ours, theirs = context.Pipe()
        signals = Signals(
            pulse=context.Value("q", -1),
            evaluating=context.Value("q", 0),
            suspend=context.Value("q", 0),
        )
        process = context.Process(
            target=work, args=(theirs, signals, settings), daemon=True, name="bakeoff-worker"
        )
        with without_main_module():
            process.start()
    except OSError as error:
        reason = error.strerror or error
        hint = " (shared memory, /dev/shm, is full)" if error.errno == errno.ENOSPC else ""
        raise BakeoffError(f"a worker process cannot be started: {reason}{hint}") from error
    theirs.close()
    return WorkerProcess(settings=settings, process=process, connection=ours, signals=signals)


def start_early(
    folder: str | None, *, device: str, threads: int | None, engine: str = "local"
) -> WorkerProcess | None:
    """Start the first worker of a study on this CPU; None where it will train on something else.

    An engine that needs a worker of other settings ends this one and starts its own.

    Args:
        folder: Where the study's own modules are looked for first, usually the folder of its file;
            None if it is not known yet, and then no worker is started.
        device: The value of `--device`.
        threads: Threads of each worker; None for the CPU's default, 1.
        engine: The value of `--engine`.

    Raises:
        UsageError: As `parse_device`.
        BakeoffError: As `start_process`.
    """
    kind = parse_device(device).kind
    if folder is None or engine != "local" or kind not in (CPU.kind, AUTO):
        return None
    if kind == AUTO and has_accelerator_signs():
        return None
    look_in(folder)
    return start_process(worker_settings([CPU], threads=threads or 1))
