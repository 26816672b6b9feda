"""Opens an engine. No other module names a kind of engine."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from typing import TypeVar

from bakeoff.child_process import num_cores
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import HANG_SECONDS, Engine
from bakeoff.engines.ray_settings import RaySettings


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Which engine to open and how many resources it may use."""

    device: str = "cpu"
    """Torch device on which every worker trains."""
    workers: int = 1
    """Number of jobs that can run at the same time."""
    threads: int = 1
    """CPU threads per worker."""
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

    found = find_cluster(settings.ray, settings.threads)
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
                device=settings.device,
                hang_seconds=settings.hang_seconds,
                note=note,
            )
        )
    return closing(
        LocalEngine(
            num_workers=settings.workers,
            threads=settings.threads,
            device=settings.device,
            hang_seconds=settings.hang_seconds,
        )
    )


def default_layout(device: str) -> tuple[int, int]:
    """Default number of workers and of threads per worker.

    On a CPU every core gets a worker with one thread, because small networks gain little from a
    second thread. An accelerator gets one worker that may use all cores.
    """
    return (num_cores(), 1) if device == "cpu" else (1, num_cores())
