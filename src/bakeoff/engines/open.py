"""Opens an engine. No other module names a kind of engine."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bakeoff.child_process import num_cores
from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.processes import WorkerProcess
from bakeoff.engines.protocol import HANG_SECONDS, Engine
from bakeoff.engines.ray_settings import RaySettings


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Which engine to open and how many resources it may use."""

    early: WorkerProcess | None = field(default=None, compare=False, repr=False)
    """A worker that was started before; see `start_early`."""

    device: str = "cpu"
    """Kind of device on which every worker trains."""
    devices: tuple[Device, ...] = ()
    """The devices that the workers share; empty for the first ones of its kind."""
    devices_per_trial: int = 1
    """Devices, or on the CPU processes, that train a run together."""
    device_note: str = ""
    """Which devices `auto` found, to tell the user."""
    workers: int = 1
    """Number of jobs that can run at the same time."""
    threads: int = 1
    """CPU threads per worker, or per process where several train a run."""
    hang_seconds: float = HANG_SECONDS
    """Time without a step or an evaluated batch after which a run counts as hung."""
    ray: RaySettings | None = None
    """The Ray cluster on which runs train; None for processes of this machine."""


Settings = TypeVar("Settings", bound=EngineSettings)


def find_workers(settings: Settings) -> Settings:
    """Settings with the cluster that was found, and as many workers as it has room for.

    Raises:
        BakeoffError: There is no cluster, or it cannot be used.
    """
    if settings.ray is None:
        return settings
    from bakeoff.engines.ray_access import find_cluster

    found = find_cluster(settings.ray, settings.threads * settings.devices_per_trial)
    workers = settings.ray.limit or max(1, found.num_slots)
    return replace(settings, ray=found.settings, workers=workers)


def open_engine(
    settings: EngineSettings, note: Callable[[str], None] = lambda _: None
) -> AbstractContextManager[Engine]:
    """An engine that is closed, with all its workers, at the end of the `with` block.

    Args:
        settings: Which engine; those of a cluster as `find_workers` returns them.
        note: Is given what the user should know about machines that come and go.
    """
    if settings.ray is not None:
        from bakeoff.engines.ray import RayEngine

        return closing(
            RayEngine(
                settings.ray,
                threads=settings.threads,
                devices_per_trial=settings.devices_per_trial,
                device=settings.device,
                hang_seconds=settings.hang_seconds,
                note=note,
            )
        )
    return closing(
        LocalEngine(
            num_workers=settings.workers,
            threads=settings.threads,
            devices=settings.devices or (Device(kind=settings.device),),
            devices_per_trial=settings.devices_per_trial,
            hang_seconds=settings.hang_seconds,
            early=settings.early,
        )
    )


def default_workers(kind: str, num_devices: int = 1, devices_per_trial: int = 1) -> int:
    """Default number of workers on devices of this kind.

    On the CPU every core gets one, because small networks gain little from a second thread. An
    accelerator gets one. So many that train a run together get one worker.
    """
    count = num_cores() if kind == CPU.kind else num_devices
    return max(1, count // devices_per_trial)


def default_threads(kind: str, processes: int) -> int:
    """Default number of threads per process: 1 on the CPU; with accelerators they share all cores.

    The CPU's number does not depend on `processes`, because it changes the bits of a result.
    """
    return 1 if kind == CPU.kind else max(1, num_cores() // processes)
