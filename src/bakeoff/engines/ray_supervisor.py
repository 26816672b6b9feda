"""The actor that holds one worker on a node of a Ray cluster.

It wraps the local engine: a run that takes its process down costs this process alone, and the actor
says so. All methods are coroutines of one event loop, so that a reply arrives while a poll waits.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from bakeoff.child_process import ignore_interrupts, without_main_module
from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import Event, MemberReply, Reply, Task
from bakeoff.engines.ray_code import unpack
from bakeoff.engines.ray_messages import NodeFacts, WorkerLayout, installed_versions
from bakeoff.engines.worker import import_path
from bakeoff.errors import BakeoffError, StoreError, describe_error
from bakeoff.own_source import look_in, own_folders
from bakeoff.records import DataConfig
from bakeoff.stores import try_store


class Supervisor:
    """One place for a run on a node: a local engine with one worker.

    Args:
        layout: How the worker is set up.
        code: The archive of the user's code; see `ray_code`.
    """

    def __init__(self, layout: WorkerLayout, code: bytes) -> None:
        self._layout = layout
        self._code = code
        self._changed = asyncio.Event()
        self._engine: LocalEngine | None = None

    async def describe(self) -> NodeFacts:
        """Say which node this is and what is installed there."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        name = f"{socket.gethostname()}/{node[:8]}"
        return NodeFacts(node=node, name=name, versions=installed_versions())

    async def prepare(self) -> None:
        """Unpack the user's code, go to the driver's folder, and make the engine.

        Raises:
            OSError: The code cannot be unpacked.
        """
        layout = self._layout
        study, *others = unpack(self._code, layout.num_folders) if self._code else ("",)
        if Path(layout.current_folder).is_dir():
            os.chdir(layout.current_folder)
        elif others:
            os.chdir(others[0])
        look_in(study)
        sys.path += [folder for folder in others if folder not in sys.path]
        self._engine = LocalEngine(
            num_workers=1,
            threads=layout.threads,
            devices=_devices_of(layout),
            devices_per_trial=layout.devices_per_trial,
            memory_share=min(1.0, layout.gpus) or 1.0,
            hang_seconds=layout.hang_seconds,
        )

    async def read_data(self, data: DataConfig) -> tuple[str, str]:
        """Read the data in a process of its own; return its fingerprint, or why it cannot be read.

        Reading also fills the node's cache, once for all its workers. A function of the user's that
        makes no progress is ended as a run is that hangs.
        """
        return await asyncio.to_thread(_read_in_child, data, self._layout.hang_seconds)

    async def reach_store(self, location: str) -> str:
        """Store a small file and remove it; why that is impossible, or an empty text."""
        return await asyncio.to_thread(_why_unreachable, location)

    async def poll(self, seconds: float) -> list[Event]:
        """New events. Waits at most `seconds` for the first one."""
        engine = self._held()
        events = engine.events(0)
        if not events:
            await self._wait(engine, seconds)
            events = engine.events(0)
        return list(events)

    async def _wait(self, engine: LocalEngine, seconds: float) -> None:
        """Wait until the worker has said something or ended, or another one was started."""
        self._changed.clear()
        loop = asyncio.get_running_loop()
        watched = [one if isinstance(one, int) else one.fileno() for one in engine.sources]
        for handle in watched:
            loop.add_reader(handle, self._changed.set)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            for handle in watched:
                loop.remove_reader(handle)

    async def submit(self, job: Task) -> None:
        """Start a run.

        Raises:
            BakeoffError: A worker process cannot be started.
        """
        self._held().submit(job)
        self._changed.set()

    async def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer an epoch that waits, or ask a run to stop, pause or be suspended."""
        self._held().reply(run, reply)

    async def kill(self, run: str) -> None:
        """Kill the worker of a run. `poll` reports its death."""
        self._held().kill(run)

    def _held(self) -> LocalEngine:
        assert self._engine is not None, "prepare comes first"  # noqa: S101
        return self._engine


def _devices_of(layout: WorkerLayout) -> tuple[Device, ...]:
    """The devices of one run, as the actor sees them: Ray shows it those that it got."""
    count = 1 if layout.device == CPU.kind else layout.devices_per_trial
    return tuple(Device(kind=layout.device, index=index) for index in range(count))


def _why_unreachable(location: str) -> str:
    try:
        try_store(location, "--checkpoints")
    except StoreError as error:
        return str(error)
    return ""


def _read_in_child(data: DataConfig, hang_seconds: float) -> tuple[str, str]:
    """What `_send_fingerprint` sends, from a process that returns its memory when it ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_send_fingerprint,
        args=(
            theirs,
            os.getpid(),
            import_path(),
            next(iter(own_folders()), ""),
            data,
            hang_seconds,
        ),
        daemon=True,
    )
    with without_main_module():
        process.start()
    theirs.close()
    try:
        found: tuple[str, str] = ours.recv()
    except EOFError:
        process.join()
        found = ("", f"the process that read the data ended with code {process.exitcode}")
    process.join()
    return found


def _send_fingerprint(
    connection: Connection,
    parent: int,
    path: list[str],
    study_folder: str,
    data: DataConfig,
    hang_seconds: float,
) -> None:
    ignore_interrupts(parent)
    multiprocessing.current_process().daemon = False
    look_in(study_folder)
    sys.path += [entry for entry in path if entry not in sys.path]
    from bakeoff.data.datasets import load_dataset
    from bakeoff.data.fetched import refresh_data
    from bakeoff.data.reading_limit import limited_reading

    try:
        refresh_data(data)
        with limited_reading(data.dataset, hang_seconds):
            fingerprint = load_dataset(data).fingerprint
        connection.send((fingerprint, ""))
    except BakeoffError as error:
        connection.send(("", str(error)))
    except Exception as error:  # noqa: BLE001 - the user's function may raise anything
        connection.send(("", describe_error(error)))
