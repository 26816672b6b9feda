"""The nodes of a Ray cluster: for how many workers they have room, and which ones are not used."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bakeoff.engines.ray_settings import num_slots

REACH_SECONDS = 1.0
"""How long a node may take to accept a connection before it counts as unreachable."""
BAN_SECONDS = 60.0
"""A node that was lost gets workers again when it has been listed and reachable for this long."""


@dataclass
class Nodes:
    """What is known of the nodes of a cluster."""

    cpus_per_worker: int
    gpus_per_worker: float
    listed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What Ray says of each node that is alive, by id."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a node is not used, by id: its packages or its data differ."""
    _banned: dict[str, float] = field(default_factory=dict)
    """When a node was lost, by id."""

    def update(self, nodes: Iterable[Mapping[str, Any]]) -> None:
        """Take over Ray's list of nodes. A node that left it may be forgotten."""
        self.listed = {one["NodeID"]: one for one in nodes if one["Alive"]}
        now = time.monotonic()
        self._banned = {
            node: since
            for node, since in self._banned.items()
            if node in self.listed and now - since < BAN_SECONDS
        }

    def ban(self, node: str) -> None:
        """Give a node that was lost no workers, although Ray may list it for a while."""
        self._banned[node] = time.monotonic()

    @property
    def excluded(self) -> list[str]:
        """Ids of the listed nodes that get no worker."""
        return sorted((self._banned.keys() | self.refused.keys()) & self.listed.keys())

    def is_usable(self, node: str) -> bool:
        """Whether workers of this node get runs."""
        return node not in self._banned and node not in self.refused

    @property
    def num_slots(self) -> int:
        """Number of workers for which the usable nodes have room."""
        return sum(self._room(node) for node in self.listed if self.is_usable(node))

    def why_none(self) -> str:
        """Why no node can be used, if each one with room is refused; empty otherwise.

        It is the reason that was found last, because the earlier ones have been said.
        """
        roomy = {node for node in self.listed if self._room(node)}
        reasons = [reason for node, reason in self.refused.items() if node in roomy]
        return reasons[-1] if reasons and len(reasons) == len(roomy) else ""

    def _room(self, node: str) -> int:
        resources = self.listed[node]["Resources"]
        return num_slots(
            resources.get("CPU", 0.0),
            resources.get("GPU", 0.0),
            cpus_per_worker=self.cpus_per_worker,
            gpus_per_worker=self.gpus_per_worker,
        )

    async def is_lost(self, node: str) -> bool:
        """Whether a node has left the list or accepts no connection: one of its workers is gone."""
        known = self.listed.get(node)
        if known is None:
            return True
        return not await can_reach(known["NodeManagerAddress"], known["NodeManagerPort"])


async def can_reach(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False
