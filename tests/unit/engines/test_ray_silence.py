"""A worker that does not answer, and runs that arrive at the same time.

The actors are stand-ins whose methods answer at once or never.
"""

import asyncio
import contextlib
import time
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import Pipe

import pytest

from bakeoff.engines import ray_gateway, ray_slot
from bakeoff.engines.protocol import Died, Probe, Started
from bakeoff.engines.ray import RayEngine
from bakeoff.engines.ray_cluster import Nodes
from bakeoff.engines.ray_gateway import Gateway
from bakeoff.engines.ray_messages import (
    Answer,
    Kill,
    NodeFacts,
    Ready,
    WorkerLayout,
    installed_versions,
)
from bakeoff.engines.ray_settings import RaySettings
from bakeoff.engines.ray_slot import Slot
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.production.run import trial_config
from bakeoff.records import DataConfig
from bakeoff.studyfile import resolve_study
from stuck_gateway import run_stuck
from study_examples import study_document

LAYOUT = WorkerLayout(
    threads=1, gpus=0.0, device="cpu", hang_seconds=60.0, current_folder=".", num_folders=0
)
SETTINGS = RaySettings(data=DataConfig(dataset="digits"), fingerprint="f" * 32)
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: bakeoff[ray]")


class Method:
    """A method of an actor that notes its arguments; calling it gives what can be awaited."""

    def __init__(self, name, answer, calls):
        self._name, self._answer, self._calls = name, answer, calls
        self.is_silent = False

    def remote(self, *arguments):
        self._calls.append((self._name, *arguments))
        future = asyncio.get_running_loop().create_future()
        if self._name == "poll" and not self.is_silent:  # waits for events on the node
            asyncio.get_running_loop().call_later(0.005, future.set_result, self._answer)
        elif not self.is_silent:
            future.set_result(self._answer)
        return future


class Actor:
    """A supervisor on a node."""

    def __init__(self, letter: str):
        self.calls: list[tuple[object, ...]] = []
        node, name = letter * 56, f"host/{letter * 8}"
        facts = NodeFacts(node=node, name=name, versions=installed_versions())
        self.describe, self.prepare = self._method("describe", facts), self._method("prepare")
        self.read_data = self._method("read_data", ("f" * 32, ""))
        self.poll, self.submit = self._method("poll", []), self._method("submit")
        self.reply, self.kill = self._method("reply"), self._method("kill")

    def _method(self, name: str, answer: object = None) -> Method:
        return Method(name, answer, self.calls)

    def told(self):
        """What it was told about runs."""
        return [(name, *rest) for name, *rest in self.calls if name in ("submit", "reply", "kill")]


@pytest.fixture
def ended(monkeypatch):
    """The actors that Ray was asked to end. It starts a cluster when it has none to ask."""
    import ray

    found: list[object] = []
    monkeypatch.setattr(ray, "kill", found.append)
    return found


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(ray_slot, "SILENT_SECONDS", 0.5)  # longer than a busy machine pauses
    monkeypatch.setattr(ray_slot, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(ray_slot, "PLACE_SECONDS", 0.6)


@pytest.fixture
def driver():
    """The driver's end of a pipe, with the other one."""
    ours, theirs = Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


async def serve(driver, actors, act, until):
    """Admit these workers, do something, and wait until it had its effect; what the driver got."""
    ours, theirs = driver
    nodes = Nodes(cpus_per_worker=1, gpus_per_worker=0.0)
    known = [letter * 56 for letter in "ab"[: len(actors)]]
    nodes.update({"NodeID": one, "Alive": True, "Resources": {"CPU": 1.0}} for one in known)
    gateway = Gateway(theirs, SETTINGS, LAYOUT, b"", nodes)
    gateway.slots = [Slot(actor) for actor in actors]
    serving = [asyncio.create_task(gateway._serve_slot(one)) for one in gateway.slots]  # noqa: SLF001
    await asyncio.sleep(0.05)
    act(gateway)
    found = []
    async with asyncio.timeout(60):
        while not until(found):
            await asyncio.sleep(0.01)
            found += said(ours)
    for one in serving:
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one
    return gateway, found


def after(seconds):
    """Tell when so much time has passed."""
    began = time.monotonic()
    return lambda _: time.monotonic() - began > seconds


def said(connection):
    found = []
    while connection.poll():
        found.append(connection.recv())
    return found


def probe(run: str) -> Probe:
    config = fix_settings(resolve_study(study_document()), Chosen(learning_rate=0.01))
    return Probe(run=run, config=trial_config(config, "fp32", seed=1))


def lost(run: str) -> Died:
    reason = "host/aaaaaaaa: no answer for 60 s"
    return Died(run=run, reason=reason, cause="node", node="host/aaaaaaaa")


@needs_ray
def test_two_runs_that_arrive_together_go_to_two_workers(driver):
    ours, _ = driver
    first, second = Actor("a"), Actor("b")

    def send(gateway):
        ours.send(probe("one"))
        ours.send(probe("two"))
        gateway._receive()  # noqa: SLF001

    def started(found):
        return [one.run for one in found if isinstance(one, Started)]

    _, found = asyncio.run(
        serve(driver, [first, second], send, lambda found: len(started(found)) == 2)
    )
    assert first.told() == [("submit", probe("one"))]
    assert second.told() == [("submit", probe("two"))]
    assert started(found) == ["one", "two"]


@needs_ray
@pytest.mark.parametrize("method", ["poll", "submit", "reply", "kill"])
def test_a_worker_that_does_not_answer_loses_its_run_and_its_node_is_banned(driver, ended, method):
    ours, _ = driver
    actor = Actor("a")

    def send(gateway):
        getattr(actor, method).is_silent = True
        for message in (probe("one"), Answer("one", "continue"), Kill("one")):
            ours.send(message)
        gateway._receive()  # noqa: SLF001

    gateway, found = asyncio.run(
        serve(driver, [actor], send, lambda found: ended and lost("one") in found)
    )
    assert ended == [actor]
    assert found[:2] == [Ready(1), Started(run="one", place="host/aaaaaaaa")]
    assert found[2:] == [Ready(0), lost("one")]
    assert gateway.slots == []
    assert not gateway.nodes.is_usable("a" * 56)


@needs_ray
@pytest.mark.parametrize("method", ["prepare", "read_data"])
def test_a_node_that_freezes_while_its_worker_starts_is_banned(driver, ended, method):
    actor = Actor("a")
    getattr(actor, method).is_silent = True

    def freeze(_):
        actor.describe.is_silent = True

    gateway, found = asyncio.run(serve(driver, [actor], freeze, lambda found: ended and found))
    assert found == [Ready(0)]
    assert ended == [actor]
    assert gateway.slots == []
    assert not gateway.nodes.is_usable("a" * 56)


@needs_ray
def test_a_worker_whose_data_takes_long_is_kept_while_it_answers(driver):
    actor = Actor("a")
    actor.read_data.is_silent = True
    gateway, found = asyncio.run(serve(driver, [actor], lambda _: None, after(0.9)))
    assert [one.actor for one in gateway.slots] == [actor]
    assert found == []


@needs_ray
def test_a_worker_that_gets_no_place_is_given_up_and_no_node_is_blamed(driver, ended):
    actor = Actor("a")
    actor.describe.is_silent = True
    gateway, found = asyncio.run(
        serve(driver, [actor], lambda _: None, lambda found: ended and found)
    )
    assert gateway.slots == []
    assert ended == [actor]
    assert gateway.nodes.is_usable("a" * 56)
    assert found == [Ready(0)]


@needs_ray
def test_a_reply_reaches_a_worker_after_its_run(driver):
    ours, _ = driver
    actor = Actor("a")

    def send(gateway):
        for message in (probe("one"), Answer("one", "suspend")):
            ours.send(message)
        gateway._receive()  # noqa: SLF001

    asyncio.run(serve(driver, [actor], send, lambda _: len(actor.told()) == 2))
    assert actor.told() == [("submit", probe("one")), ("reply", "one", "suspend")]


@needs_ray
def test_a_head_that_accepts_connections_but_does_not_answer_counts_as_away(driver, monkeypatch):
    import ray

    async def reaches(*_):
        return True

    _, theirs = driver
    monkeypatch.setattr(ray_gateway, "can_reach", reaches)
    monkeypatch.setattr(ray_gateway, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(ray_gateway, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(ray, "nodes", lambda: time.sleep(0.5))
    context = type("Context", (), {"gcs_address": "127.0.0.1:1"})()
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    gateway = Gateway(theirs, SETTINGS, LAYOUT, b"", Nodes(cpus_per_worker=1, gpus_per_worker=0.0))

    async def keep():
        async with asyncio.timeout(60):
            await gateway._keep_workers()  # noqa: SLF001

    asyncio.run(keep())
    assert gateway.closed.is_set()


def test_a_process_that_stops_speaking_loses_the_cluster_and_its_runs(monkeypatch):
    monkeypatch.setattr("bakeoff.engines.ray.run_gateway", run_stuck)
    notes: list[str] = []
    engine = RayEngine(
        replace(SETTINGS, address="127.0.0.1:9"),
        threads=1, device="cpu", hang_seconds=60.0, note=notes.append,
    )  # fmt: skip
    try:
        while not engine.num_free:
            engine.events(0.1)
        engine.submit(probe("one"))
        monkeypatch.setattr("bakeoff.engines.ray.GATEWAY_SECONDS", 0.2)
        found: list[object] = []
        while not found:
            found += engine.events(0.1)
        assert found == [Died(run="one", reason="the cluster was lost", cause="node")]
        assert notes == ["the Ray cluster was lost (no answer for 0 s); waiting for it to return"]
        assert engine.num_free == 0
    finally:
        engine.close()
