"""What a node must have before its workers get runs."""

import asyncio
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import Pipe

import pytest

from bakeoff.data.datasets import load_dataset
from bakeoff.engines.protocol import Job, Join, Paused, Stack, Started
from bakeoff.engines.ray_cluster import Nodes
from bakeoff.engines.ray_gateway import Gateway
from bakeoff.engines.ray_messages import (
    Answer,
    NodeFacts,
    Note,
    Ready,
    Unusable,
    WorkerLayout,
    installed_versions,
)
from bakeoff.engines.ray_settings import RaySettings
from bakeoff.engines.ray_slot import Slot
from bakeoff.engines.ray_supervisor import Supervisor
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.production.run import trial_config
from bakeoff.records import DataConfig
from bakeoff.stores import RemoteStore
from bakeoff.studyfile import resolve_study
from study_examples import study_document

LAYOUT = WorkerLayout(
    threads=1, gpus=0.0, device="cpu", hang_seconds=60.0, current_folder=".", num_folders=0
)
OURS = NodeFacts(node="a" * 56, name="host/aaaaaaaa", versions=installed_versions())
DATA = DataConfig(dataset="digits")


class Method:
    """A method of an actor: calling it gives what can be awaited."""

    def __init__(self, answer, calls):
        self._answer, self._calls = answer, calls

    def remote(self, *arguments):
        self._calls.append(arguments)
        future = asyncio.get_running_loop().create_future()
        future.set_result(self._answer)
        return future


class Actor:
    """A supervisor on a node that says these facts and reads this data."""

    def __init__(self, facts=OURS, data=("", ""), store=""):
        self.jobs: list[tuple[Job]] = []
        self.describe, self.prepare = Method(facts, []), Method(None, [])
        self.read_data, self.reach_store = Method(data, []), Method(store, [])
        self.submit = Method(None, self.jobs)


@pytest.fixture
def pipe():
    ours, theirs = Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


def said(connection):
    found = []
    while connection.poll():
        found.append(connection.recv())
    return found


def admit(pipe, *actors, jobs=(), replies=(), store=""):
    """What a gateway says that has these workers, runs and replies."""
    ours, theirs = pipe
    known = {actor.describe._answer.node: actor for actor in actors}  # noqa: SLF001

    async def run():
        nodes = Nodes(cpus_per_worker=1, gpus_per_worker=0.0)
        nodes.update({"NodeID": one, "Alive": True, "Resources": {"CPU": 1.0}} for one in known)
        settings = RaySettings(data=DATA, fingerprint="f" * 32, store=store)
        gateway = Gateway(theirs, settings, LAYOUT, b"", nodes)
        gateway.slots = [Slot(actor) for actor in actors]
        for message in (*jobs, *replies):
            ours.send(message)
        gateway._receive()  # noqa: SLF001
        for slot in list(gateway.slots):
            await gateway._admit(slot)  # noqa: SLF001
        while gateway.tasks:
            await asyncio.sleep(0)

    asyncio.run(run())
    return said(ours)


def job(run="search-0") -> Job:
    config = fix_settings(resolve_study(study_document()), Chosen(learning_rate=0.01))
    return Job(run=run, attempt=2, config=trial_config(config, "fp32", seed=1), checkpoints="x")


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: bakeoff[ray]")


@needs_ray
def test_a_run_that_waits_goes_to_the_first_worker_whose_node_is_as_ours(pipe):
    actor = Actor(data=("f" * 32, ""))
    found = admit(pipe, actor, jobs=[job()])
    assert found == [Ready(1), Started(run="search-0", attempt=2, place="host/aaaaaaaa")]
    assert actor.jobs == [(job(),)]


@needs_ray
def test_a_node_with_another_torch_is_named_and_gets_nothing(pipe):
    versions = {**OURS.versions, "torch": "1.0"}
    other = Actor(replace(OURS, node="b" * 56, name="host/bbbbbbbb", versions=versions))
    good = Actor(data=("f" * 32, ""))
    found = admit(pipe, other, good, jobs=[job()])
    here = OURS.versions["torch"]
    assert found[0] == Note(f"node host/bbbbbbbb: torch 1.0 there and {here} here; it is not used")
    assert not other.jobs
    assert good.jobs == [(job(),)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (("", "csv:x.csv: no such file"), "csv:x.csv: no such file"),
        (("0" * 32, ""), "digits: the data differs (fingerprint 000000000000, here ffffffffffff)"),
    ],
)
def test_a_cluster_whose_only_node_lacks_the_data_is_unusable(pipe, data, reason):
    text = f"node host/aaaaaaaa: {reason}"
    assert admit(pipe, Actor(data=data)) == [Unusable(text)]


def test_a_node_that_cannot_reach_the_store_of_checkpoints_is_named(pipe):
    reason = "--checkpoints s3://bucket: Unable to locate credentials"
    found = admit(pipe, Actor(store=reason), store="s3://bucket")
    assert found == [Unusable(f"node host/aaaaaaaa: {reason}")]
    reaching = Actor(data=("f" * 32, ""))
    assert admit(pipe, reaching, store="s3://bucket") == [Ready(1)]
    assert reaching.reach_store._calls == [("s3://bucket",)]  # noqa: SLF001


def test_a_node_says_why_it_cannot_reach_a_store(bucket):
    supervisor = Supervisor(LAYOUT, b"")
    assert asyncio.run(supervisor.reach_store(bucket)) == ""
    reason = asyncio.run(supervisor.reach_store("s3://no-such-bucket/study"))
    assert reason.startswith("--checkpoints s3://no-such-bucket/study: ")


def test_the_data_is_read_once_per_node(pipe):
    actors = [Actor(data=("f" * 32, "")), Actor(data=("", "never asked"))]
    assert admit(pipe, *actors) == [Ready(1), Ready(2)]


def test_a_run_without_a_worker_pauses_and_stops_at_once(pipe):
    found = admit(pipe, jobs=[job()], replies=[Answer("search-0", "suspend")])
    assert found == [Paused(run="search-0", attempt=2)]


@needs_ray
def test_a_stack_without_a_worker_still_waits_when_another_run_would_join_it(pipe):
    actor, stack = Actor(data=("f" * 32, "")), Stack(run="stack-1", jobs=(job("confirm-0"),))
    join = Join(run="confirm-1", reply="continue", job=job("confirm-1"))
    found = admit(pipe, actor, jobs=[stack], replies=[Answer("stack-1", join)])
    assert found == [Ready(1), Started(run="stack-1", place="host/aaaaaaaa")]
    assert actor.jobs == [(stack,)]


@pytest.mark.parametrize(("device", "expected"), [("cpu", ["cpu"]), ("cuda", ["cuda:0", "cuda:1"])])
def test_a_worker_has_the_devices_that_train_a_run_together(device, expected):
    layout = replace(LAYOUT, device=device, threads=3, devices_per_trial=2, gpus=2.0)
    supervisor = Supervisor(layout, b"")
    asyncio.run(supervisor.prepare())
    (slot,) = supervisor._held()._slots  # noqa: SLF001 - no process is started for this
    assert [one.label for one in slot.devices] == expected
    assert layout.cpus == 6


def test_a_node_says_the_fingerprint_of_its_data_or_why_it_has_none():
    supervisor = Supervisor(LAYOUT, b"")
    found = asyncio.run(supervisor.read_data(DATA))
    assert found == (load_dataset(DATA).fingerprint, "")
    fingerprint, reason = asyncio.run(supervisor.read_data(DataConfig(dataset="csv:none.csv")))
    assert fingerprint == ""
    assert "none.csv" in reason


def test_a_function_that_never_returns_its_data_ends_on_a_node(tmp_path, monkeypatch):
    (tmp_path / "endless_data.py").write_text("import time\ndef load():\n    time.sleep(600)\n")
    monkeypatch.syspath_prepend(tmp_path)
    supervisor = Supervisor(replace(LAYOUT, hang_seconds=0.3), b"")
    data = DataConfig(dataset="endless_data:load")
    fingerprint, reason = asyncio.run(supervisor.read_data(data))
    assert fingerprint == ""
    assert reason.startswith("endless_data:load: no progress in reading the data for 0.3 s")


def test_a_node_fetches_data_at_a_url_by_itself(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "node"))
    table = "a,target\n" + "".join(f"{row},{row % 2}\n" for row in range(40))
    (tmp_path / "table.csv").write_text(table)
    RemoteStore(bucket).put("table.csv", table.encode())
    supervisor = Supervisor(LAYOUT, b"")
    found = asyncio.run(supervisor.read_data(DataConfig(dataset=f"csv:{bucket}/table.csv")))
    here = load_dataset(DataConfig(dataset=f"csv:{tmp_path}/table.csv"))
    assert found == (here.fingerprint, "")
    _, reason = asyncio.run(supervisor.read_data(DataConfig(dataset=f"csv:{bucket}/none.csv")))
    assert reason == f"{bucket}/none.csv: there is no such file or folder"
