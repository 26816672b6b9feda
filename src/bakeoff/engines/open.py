"""Opens an engine. No other module names a kind of engine."""

from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

from bakeoff.child_process import num_cores
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import HANG_SECONDS, Engine


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Which engine to open and how many resources it may use."""

    device: str = "cpu"
    """Torch device on which every worker trains."""
    devices_per_trial: int = 1
    """Devices, or on the CPU processes, that train a run together."""
    workers: int = 1
    """Number of jobs that can run at the same time."""
    threads: int = 1
    """CPU threads per worker, or per process where several train a run."""
    hang_seconds: float = HANG_SECONDS
    """Time without a step or an evaluated batch after which a run counts as hung."""


def open_engine(settings: EngineSettings) -> AbstractContextManager[Engine]:
    """An engine that is closed, with all its workers, at the end of the `with` block."""
    return closing(
        LocalEngine(
            num_workers=settings.workers,
            threads=settings.threads,
            device=settings.device,
            devices_per_trial=settings.devices_per_trial,
            hang_seconds=settings.hang_seconds,
        )
    )


def default_layout(device: str, devices_per_trial: int = 1) -> tuple[int, int]:
    """Default number of workers and of threads per worker.

    On a CPU every core gets a worker with one thread, because small networks gain little from a
    second thread. An accelerator gets one worker that may use all cores. A worker that trains with
    other processes gets as many cores.
    """
    each = max(1, num_cores() // devices_per_trial)
    return (each, 1) if device == "cpu" else (1, each)
