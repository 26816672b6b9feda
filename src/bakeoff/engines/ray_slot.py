"""One worker of a cluster, as the process that speaks to Ray sees it: calls that end in time.

A call to an actor on a node that freezes, or to which the way is lost, may never be answered, and
Ray has no limit for it. So every call here has one.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bakeoff.engines.protocol import Event, MemberReply, Reply, Task
from bakeoff.engines.ray_messages import NodeFacts
from bakeoff.records import DataConfig

POLL_SECONDS = 5.0
"""How long a call for events waits on the node."""
SILENT_SECONDS = 60.0
"""A worker that does not answer a call for so long (a call for events: so much longer) is lost."""
PLACE_SECONDS = 900.0
"""How long a worker may wait for room on a node before another one is asked for. A cloud needs
minutes to start a node."""
END_SECONDS = 10.0
"""How long Ray may take to end a worker."""


@dataclass(eq=False)
class Slot:
    """One worker of the cluster.

    All methods raise `TimeoutError` if the worker does not answer in time, and one of Ray's errors
    if it is gone.
    """

    actor: Any
    facts: NodeFacts | None = None
    job: Task | None = None
    is_ready: bool = False
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Lets a reply wait until the run that it is for has been submitted."""

    @property
    def node(self) -> str:
        """Ray's id of its node; empty until it has started."""
        return self.facts.node if self.facts else ""

    async def describe(self) -> NodeFacts:
        """Wait until a node has room for the worker and it has started; say which node it is."""
        facts: NodeFacts = await self._call("describe", seconds=PLACE_SECONDS)
        return facts

    async def prepare(self) -> None:
        """Let the worker unpack the user's code."""
        await self._call("prepare")

    async def read_data(self, data: DataConfig) -> tuple[str, str]:
        """Return the fingerprint of the node's data, or why it cannot be read.

        Large data takes long, so the limit is for signs of life while it is read.
        """
        reading = asyncio.ensure_future(self.actor.read_data.remote(data))
        try:
            while not (await asyncio.wait([reading], timeout=POLL_SECONDS))[0]:
                await self._call("describe")
            found: tuple[str, str] = reading.result()
        finally:
            reading.cancel()
        return found

    async def reach_store(self, location: str) -> str:
        """Why files cannot be stored there from the worker's node, or an empty text."""
        reason: str = await self._call("reach_store", location)
        return reason

    async def poll(self) -> list[Event]:
        """New events; none if there are none for a while."""
        events: list[Event] = await self._call(
            "poll", POLL_SECONDS, seconds=POLL_SECONDS + SILENT_SECONDS
        )
        return events

    async def submit(self, job: Task) -> None:
        """Start a run."""
        await self._tell("submit", job)

    async def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer a run."""
        await self._tell("reply", run, reply)

    async def kill(self, run: str) -> None:
        """Kill the process of a run."""
        await self._tell("kill", run)

    async def end(self) -> None:
        """Let Ray end the worker: now, or when it can be reached."""
        import ray

        with suppress(Exception):
            async with asyncio.timeout(END_SECONDS):
                await asyncio.to_thread(ray.kill, self.actor)

    async def _tell(self, method: str, *arguments: object) -> None:
        """Call a method after all earlier ones have been answered."""
        async with self._order:
            await self._call(method, *arguments)

    async def _call(self, method: str, *arguments: object, seconds: float | None = None) -> Any:
        async with asyncio.timeout(SILENT_SECONDS if seconds is None else seconds):
            return await getattr(self.actor, method).remote(*arguments)
