import asyncio
import socket
import time

import pytest

from bakeoff.engines import ray_cluster
from bakeoff.engines.ray_cluster import Nodes, can_reach


def listed(node, *, cpus=2.0, alive=True, port=9):
    return {
        "NodeID": node, "Alive": alive, "Resources": {"CPU": cpus},
        "NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port,
    }  # fmt: skip


@pytest.fixture
def nodes():
    found = Nodes(cpus_per_worker=1, gpus_per_worker=0.0)
    found.update([listed("a"), listed("b", cpus=4.0), listed("gone", alive=False)])
    return found


def test_workers_fit_on_nodes_that_are_alive(nodes):
    assert nodes.num_slots == 6
    assert nodes.excluded == []


def test_a_lost_node_gets_no_worker_while_it_is_listed_and_is_forgotten_when_it_is_not(nodes):
    nodes.ban("b")
    assert (nodes.num_slots, nodes.excluded, nodes.is_usable("b")) == (2, ["b"], False)
    nodes.update([listed("a")])
    assert nodes.excluded == []
    assert nodes.is_usable("b")


def test_a_lost_node_that_stays_listed_is_used_again_after_a_minute(nodes, monkeypatch):
    nodes.ban("b")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + ray_cluster.BAN_SECONDS + 1)
    nodes.update([listed("a"), listed("b")])
    assert nodes.is_usable("b")


def test_a_cluster_is_unusable_when_every_node_with_room_is_refused(nodes):
    nodes.refused["b"] = "node b: torch 2.9 there and 2.10 here"
    assert nodes.why_none() == ""
    nodes.refused["a"] = "node a: csv:x.csv: no such file"
    assert nodes.why_none() == "node a: csv:x.csv: no such file"
    nodes.update([listed("a"), listed("b"), listed("new")])
    assert nodes.why_none() == ""


def test_a_node_is_lost_when_it_left_the_list_or_accepts_no_connection():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        nodes = Nodes(cpus_per_worker=1, gpus_per_worker=0.0)
        nodes.update([listed("here", port=port)])
        assert not asyncio.run(nodes.is_lost("here"))
        assert asyncio.run(nodes.is_lost("elsewhere"))
    assert asyncio.run(nodes.is_lost("here"))
    assert not asyncio.run(can_reach("127.0.0.1", port))
