"""Opens an engine. No other module names a kind of engine."""

from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

from bakeoff.child_process import num_cores
from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import HANG_SECONDS, Engine


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Which engine to open and how many resources it may use."""

    device: str = "cpu"
    """Kind of device on which every worker trains."""
    devices: tuple[Device, ...] = ()
    """The devices that the workers share; empty for the first one of its kind."""
    device_note: str = ""
    """Which devices `auto` found, to tell the user."""
    workers: int = 1
    """Number of jobs that can run at the same time."""
    threads: int = 1
    """CPU threads per worker."""
    hang_seconds: float = HANG_SECONDS
    """Time without a step or an evaluated batch after which a run counts as hung."""


def open_engine(settings: EngineSettings) -> AbstractContextManager[Engine]:
    """An engine that is closed, with all its workers, at the end of the `with` block."""
    return closing(
        LocalEngine(
            num_workers=settings.workers,
            threads=settings.threads,
            devices=settings.devices or (Device(kind=settings.device),),
            hang_seconds=settings.hang_seconds,
        )
    )


def default_workers(kind: str) -> int:
    """Default number of workers on a device of this kind.

    On the CPU every core gets one, because small networks gain little from a second thread. An
    accelerator gets one.
    """
    return num_cores() if kind == CPU.kind else 1


def default_threads(kind: str, workers: int) -> int:
    """Default number of threads per worker: 1 on the CPU; with accelerators they share all cores.

    The CPU's number does not depend on `workers`, because it changes the bits of a result.
    """
    return 1 if kind == CPU.kind else max(1, num_cores() // workers)
