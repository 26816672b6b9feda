"""The process that speaks to Ray for the driver: it keeps workers on the nodes and passes messages.

Ray ends a process whose cluster it has lost. This process may end so; the driver then says it, and
starts another one. Each worker has a task of its own here, which asks it for events again and again
with calls that wait on the node ("long polls").
"""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bakeoff.child_process import ignore_interrupts
from bakeoff.engines.protocol import (
    INTERIM,
    Died,
    Event,
    Finished,
    LossCause,
    Paused,
    Started,
    Task,
)
from bakeoff.engines.ray_access import ray_environment
from bakeoff.engines.ray_cluster import Nodes, can_reach
from bakeoff.engines.ray_messages import (
    Answer,
    Close,
    Kill,
    NodeFacts,
    Note,
    Ready,
    Unusable,
    WorkerLayout,
    installed_versions,
)
from bakeoff.engines.ray_settings import RaySettings
from bakeoff.engines.ray_slot import SILENT_SECONDS, Slot
from bakeoff.engines.ray_supervisor import Supervisor
from bakeoff.errors import one_line

LOOK_SECONDS = 2.0
"""How often the list of nodes is read."""
HEAD_SECONDS = 30.0
"""How long the head may be away. Ray ends this process after 60 s."""
NUM_BROKEN = 3
"""Workers in a row that may fail to start before the cluster counts as unusable."""
_SILENT = f"no answer for {SILENT_SECONDS:.0f} s"


@dataclass
class Gateway:
    """Keeps workers on the nodes of a cluster and gives them runs."""

    connection: Connection
    settings: RaySettings
    layout: WorkerLayout
    code: Any
    """A reference to the archive of the user's code in Ray's store."""
    nodes: Nodes
    slots: list[Slot] = field(default_factory=list)
    waiting: deque[Task] = field(default_factory=deque)
    """Runs that wait for a worker."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    checked: dict[str, asyncio.Task[str]] = field(default_factory=dict)
    """By node: why it cannot be used; the first worker of a node finds out."""
    num_broken: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> None:
        """Serve the driver until it closes the pipe, or the cluster is lost or unusable."""
        asyncio.get_running_loop().add_reader(self.connection.fileno(), self._receive)
        self._start(self._keep_workers())
        await self.closed.wait()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(f"{type(error).__name__}: {one_line(error)}")

    def _send(self, message: Event | Note | Ready | Unusable) -> None:
        with suppress(OSError):  # the driver is gone, and so will be this process
            self.connection.send(message)

    def _give_up(self, reason: str) -> None:
        self._send(Unusable(reason))
        self.closed.set()

    # What the driver says

    def _receive(self) -> None:
        try:
            while self.connection.poll():
                self._obey(self.connection.recv())
        except (EOFError, OSError):
            self.closed.set()

    def _obey(self, message: Task | Answer | Kill | Close) -> None:
        match message:
            case Close():
                self.closed.set()
            case Answer() | Kill():
                self._pass_to_run(message)
            case _:
                self.waiting.append(message)
                self._dispatch()

    def _pass_to_run(self, message: Answer | Kill) -> None:
        for job in [one for one in self.waiting if one.run == message.run]:
            # A run that would join a stack which waits is not in it, and is submitted again later.
            if isinstance(message, Answer) and message.reply in ("stop", "pause", "suspend"):
                self.waiting.remove(job)
                stopped = Finished(run=job.run, outcome="pruned", test_metrics={})
                ended: Event = stopped if message.reply == "stop" else Paused(run=job.run)
                self._send(replace(ended, attempt=job.attempt))
        for slot in self.slots:
            if slot.job is not None and slot.job.run == message.run:
                if isinstance(message, Kill):
                    self._start(self._tell(slot, slot.kill(message.run)))
                else:
                    self._start(self._tell(slot, slot.reply(message.run, message.reply)))

    def _dispatch(self) -> None:
        """Give waiting runs to workers that are free."""
        for slot in self.slots:
            usable = slot.is_ready and slot.job is None and self.nodes.is_usable(slot.node)
            if self.waiting and usable:
                # At once, because another run may arrive before a task begins.
                slot.job = job = self.waiting.popleft()
                assert slot.facts is not None  # noqa: S101 - it was described before it was ready
                place = slot.facts.name
                self._send(Started(run=job.run, attempt=job.attempt, place=place))
                self._start(self._tell(slot, slot.submit(job)))

    async def _tell(self, slot: Slot, call: Coroutine[Any, Any, None]) -> None:
        """Wait until a worker has understood; one that does not is lost."""
        from ray.exceptions import RayActorError, RayTaskError

        try:
            await call
        except TimeoutError:
            await self._lose(slot, _SILENT, "node")
        except RayTaskError as error:
            await self._lose(slot, one_line(error.cause), "node")
        except RayActorError as error:
            await self._end_slot(slot, error)

    # What workers say

    async def _serve_slot(self, slot: Slot) -> None:
        from ray.exceptions import RayError

        try:
            if not await self._admit(slot):
                self._remove(slot)
                return
            while slot in self.slots:
                for event in await slot.poll():
                    self._pass_on(slot, event)
        except TimeoutError:
            await self._lose(slot, _SILENT, "node")
        except RayError as error:
            await self._end_slot(slot, error)

    async def _end_slot(self, slot: Slot, error: Exception) -> None:
        """Find out what ended a worker: its node, the worker alone, or what the node lacks."""
        from ray.exceptions import ActorDiedError, ActorUnavailableError

        if isinstance(error, ActorUnavailableError):
            await self._lose(slot, "its node cannot be reached", "node")
        elif isinstance(error, ActorDiedError):
            slot.is_ready = False  # it gets no run while the cause is found
            await self._list_nodes()
            if not slot.node:
                self._note_broken(slot, error)
            elif not await self.nodes.is_lost(slot.node):
                await self._lose(slot, "its supervisor ended; out of memory?", "worker")
            else:
                await self._lose(slot, "its node is gone", "node")
        elif slot.facts is not None and not slot.is_ready:
            self._remove(slot)
            self._refuse(slot.facts, _last_line(error))
        else:
            await self._lose(slot, _last_line(error), "node")

    async def _admit(self, slot: Slot) -> bool:
        """Wait until a worker has started; False if its node cannot be used."""
        facts = await slot.describe()
        slot.facts, self.num_broken = facts, 0
        if not self.nodes.is_usable(facts.node):
            return False
        if different := facts.difference(installed_versions()):
            return self._refuse(facts, different)
        await slot.prepare()
        if facts.node not in self.checked:
            task = asyncio.get_running_loop().create_task(self._check_node(slot))
            self.checked[facts.node] = task
        if reason := await self.checked[facts.node]:
            return self._refuse(facts, reason)
        slot.is_ready = True
        self._say_ready()
        self._dispatch()
        return True

    async def _check_node(self, slot: Slot) -> str:
        """Why the node of a worker cannot be used, or an empty text."""
        if self.settings.store and (reason := await slot.reach_store(self.settings.store)):
            return reason
        return await self._check_data(slot)

    async def _check_data(self, slot: Slot) -> str:
        data = self.settings.data
        if data is None:
            return ""
        fingerprint, reason = await slot.read_data(data)
        if reason:
            return str(reason)
        if fingerprint != self.settings.fingerprint:
            ours = self.settings.fingerprint[:12]
            return f"{data.dataset}: the data differs (fingerprint {fingerprint[:12]}, here {ours})"
        return ""

    def _refuse(self, facts: NodeFacts, reason: str) -> bool:
        """Use this node no more, and say so once; without another one the study ends."""
        text = f"node {facts.name}: {reason}"
        is_new = self.nodes.refused.setdefault(facts.node, text) is text
        if why := self.nodes.why_none():
            self._give_up(why)
        elif is_new:
            self._send(Note(f"{text}; it is not used"))
        return False

    def _note_broken(self, slot: Slot, error: Exception) -> None:
        """A worker ended before it said where it is."""
        self._remove(slot)
        self.num_broken += 1
        if self.num_broken >= NUM_BROKEN:
            self._give_up(f"workers cannot be started on the cluster: {_last_line(error)}")

    def _pass_on(self, slot: Slot, event: Event) -> None:
        if isinstance(event, Started):
            return  # every worker calls its only device the first one
        job = slot.job
        if isinstance(event, Died) and slot.facts is not None:
            event = replace(event, node=slot.facts.name)
        self._send(event)
        is_current = job is not None and (event.run, event.attempt) == (job.run, job.attempt)
        if is_current and not isinstance(event, INTERIM):
            slot.job = None
            self._dispatch()

    async def _lose(self, slot: Slot, reason: str, cause: LossCause) -> None:
        """A worker is gone, with its node or alone. Its run can be continued by another one."""
        if slot not in self.slots:
            return
        name = slot.facts.name if slot.facts else ""
        self.checked.pop(slot.node, None)  # another worker may have to read the data
        if cause == "node" and slot.node:
            self.nodes.ban(slot.node)
        self._remove(slot)
        if (job := slot.job) is not None:
            why = f"{name}: {reason}"
            self._send(Died(run=job.run, attempt=job.attempt, reason=why, cause=cause, node=name))

    def _remove(self, slot: Slot) -> None:
        if slot in self.slots:
            self.slots.remove(slot)
            self._start(slot.end())
            self._say_ready()

    def _say_ready(self) -> None:
        usable = [one for one in self.slots if one.is_ready and self.nodes.is_usable(one.node)]
        busy = [one for one in self.slots if one.job is not None and one not in usable]
        self._send(Ready(len(usable) + len(busy)))

    # What the cluster gives

    async def _keep_workers(self) -> None:
        """Start workers on nodes that have room, again and again; nodes may join."""
        import ray

        address = ray.get_runtime_context().gcs_address
        host, _, port = address.rpartition(":")
        away = 0.0
        while not self.closed.is_set():
            if await can_reach(host.strip("[]"), int(port)) and await self._list_nodes():
                away = 0.0
                self._start_workers()
                self._say_ready()  # a node may be used again, and the driver knows that this lives
                self._dispatch()
            else:
                away += LOOK_SECONDS
                if away >= HEAD_SECONDS:
                    sys.stderr.write(f"the head at {address} has been away for {away:.0f} s\n")
                    self.closed.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _list_nodes(self) -> bool:
        """Read the list of nodes. It stays as it is where the head does not answer in time."""
        import ray

        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                self.nodes.update(await asyncio.to_thread(ray.nodes))
                return True
        return False

    def _start_workers(self) -> None:
        """Start as many workers as are missing, and end waiting ones for which no room is left."""
        wanted = self.settings.limit or self.nodes.num_slots
        pending = [one for one in self.slots if one.facts is None]
        for slot in pending[: max(0, len(self.slots) - wanted)]:
            self._remove(slot)
        for _ in range(wanted - len(self.slots)):
            slot = Slot(self._create_actor())
            self.slots.append(slot)
            self._start(self._serve_slot(slot))

    def _create_actor(self) -> Any:
        import ray

        options: dict[str, Any] = {
            "num_cpus": self.layout.cpus,
            "num_gpus": self.layout.gpus,
            "scheduling_strategy": "SPREAD",
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if excluded := self.nodes.excluded:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(excluded)})"}
        return ray.remote(Supervisor).options(**options).remote(self.layout, self.code)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(lines[-1] if lines else type(error).__name__)


def run_gateway(
    connection: Connection,
    parent: int,
    log: str,
    settings: RaySettings,
    layout: WorkerLayout,
    code: bytes,
) -> None:
    """Connect to the cluster and serve the driver.

    Args:
        connection: The pipe to the driver.
        parent: The driver's process id.
        log: File that gets what Ray prints.
        settings: Which cluster.
        layout: How workers are set up.
        code: The archive of the user's code.
    """
    ignore_interrupts(parent)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(ray_environment(settings))
    import ray

    try:
        ray.init(**_init_arguments(settings))
    except Exception as error:  # noqa: BLE001 - Ray raises whatever it likes
        sys.stderr.write(f"{_last_line(error)}\n")
        return
    connection.send(Ready(0))
    nodes = Nodes(cpus_per_worker=layout.cpus, gpus_per_worker=layout.gpus)
    gateway = Gateway(connection, settings, layout, ray.put(code), nodes)
    asyncio.run(gateway.serve())
    with suppress(Exception):
        ray.shutdown()


def _init_arguments(settings: RaySettings) -> Mapping[str, Any]:
    shared: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if settings.starts_cluster:
        return {**shared, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    return {**shared, "address": settings.address, "namespace": f"bakeoff-{Path.cwd().name}"}
