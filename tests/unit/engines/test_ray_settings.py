import pytest

from bakeoff.engines import ray_settings
from bakeoff.engines.ray_settings import choose_cluster, num_slots, parse_engine
from bakeoff.errors import MissingDependencyError, UsageError


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(ray_settings, "find_spec", lambda _: object())


def choose(
    engine="ray:head:6379", device="auto", begun_on="", gpus=None, insecure=False, devices=1
):
    return choose_cluster(
        engine, device, begun_on, limit=None, gpus_per_trial=gpus, accepts_open=insecure,
        devices_per_trial=devices,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local", None),
        ("ray", ""),
        ("ray:10.0.0.1:6379", "10.0.0.1:6379"),
        ("ray:[::1]:6379", "[::1]:6379"),
    ],
)
def test_an_engine_is_named_with_or_without_an_address(installed, text, address):
    assert parse_engine(text) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dask", "--engine dask: allowed are local, ray and ray:HOST:PORT"),
        (
            "ray://head:10001",
            "--engine ray://head:10001: '//head:10001' is not HOST:PORT of a cluster's head",
        ),
        ("ray:head", "--engine ray:head: 'head' is not HOST:PORT"),
    ],
)
def test_any_other_engine_is_refused(installed, text, reason):
    with pytest.raises(UsageError) as caught:
        parse_engine(text)
    assert str(caught.value).startswith(reason)


def test_without_ray_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(ray_settings, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError) as caught:
        parse_engine("ray")
    assert str(caught.value) == "--engine ray: Ray is not installed; pip install 'bakeoff[ray]'"


@pytest.mark.parametrize(
    ("device", "begun_on", "gpus", "kind", "taken"),
    [
        ("auto", "", None, "cpu", 0.0),
        ("auto", "", 0.5, "cuda", 0.5),
        ("auto", "cuda", None, "cuda", 1.0),
        ("cuda", "", None, "cuda", 1.0),
        ("cuda", "", 2, "cuda", 2),
        ("cpu", "", None, "cpu", 0.0),
    ],
)
def test_runs_get_gpus_where_they_are_asked_for(installed, device, begun_on, gpus, kind, taken):
    settings, chosen = choose(device=device, begun_on=begun_on, gpus=gpus)
    assert (chosen.kind, settings.gpus_per_trial) == (kind, taken)


def test_a_run_of_several_devices_gets_as_many_gpus(installed):
    assert choose(device="cuda", devices=2)[0].gpus_per_trial == 2.0
    assert choose(device="cuda", devices=2, gpus=2)[0].gpus_per_trial == 2.0
    assert choose(device="cpu", devices=2)[0].gpus_per_trial == 0.0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"device": "cpu", "gpus": 0.5}, "--gpus-per-trial: runs train on the CPU"),
        ({"device": "cuda", "gpus": 1.5}, "--gpus-per-trial 1.5: allowed are parts"),
        ({"device": "cuda", "gpus": 0.0}, "--gpus-per-trial 0: allowed are parts"),
        (
            {"device": "cuda", "gpus": 1, "devices": 2},
            "--gpus-per-trial 1: training.devices_per_trial = 2 takes as many GPUs; leave",
        ),
        ({"device": "cuda:1"}, "--device cuda:1: a cluster numbers its GPUs itself"),
        ({"engine": "local", "gpus": 0.5}, "--gpus-per-trial: only a cluster has it"),
        ({"engine": "local", "insecure": True}, "--insecure-cluster: only a cluster has it"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(installed, options, reason):
    with pytest.raises(UsageError) as caught:
        choose(**options)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("cpus", "gpus", "threads", "per_trial", "expected"),
    [
        (8, 0, 1, 0, 8),
        (8, 0, 3, 0, 2),
        (0, 4, 1, 1, 0),
        (16, 4, 2, 0.5, 8),
        (4, 4, 2, 1, 2),
        (8, 1, 1, 0.3, 3),
    ],
)
def test_a_node_has_room_for_what_its_cpus_and_gpus_allow(cpus, gpus, threads, per_trial, expected):
    assert num_slots(cpus, gpus, cpus_per_worker=threads, gpus_per_worker=per_trial) == expected
