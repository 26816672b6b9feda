"""Studies on a Ray cluster of two nodes on this machine, one of which is lost.

The nodes do not see the driver's folder of the study that stores its checkpoints in a bucket.

All eight kinds of loss are tried by `python tests/benchmarks/cluster.py`.
"""

import signal
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

import pytest

from bakeoff.engines.open import find_workers
from bakeoff.errors import UsageError, WorkersLostError
from bakeoff.session.run_settings import RunSettings
from object_server import BUCKET, credentials
from outside_pip import need_own_mounts
from ray_cluster import OTHER_TORCH, environment, local_cluster, other_torch_path
from ray_runs import (
    Watcher,
    bits_of,
    record_of,
    run_here,
    start_driver,
    wait_for_trials,
    write_study,
)

if find_spec("ray") is None:
    pytest.skip("needs Ray: pip install 'bakeoff[ray]'", allow_module_level=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def hidden(folder):
    """What the nodes do not see."""
    place = folder / "hidden"
    place.mkdir()
    return place


@pytest.fixture(scope="module")
def cluster(folder, hidden, object_port):
    need_own_mounts()
    with local_cluster(folder, hidden=hidden, variables=credentials(object_port)) as found:
        yield found


@pytest.fixture(scope="module")
def study(hidden):
    return write_study(hidden / "study", trials=3, confirm={"seeds": 1})


@pytest.fixture(scope="module")
def alone(folder, study):
    """What processes of this machine measure."""
    run_here(study, folder / "local", "local", Watcher(), environment(folder))
    return bits_of(folder / "local")


def settings_of(folder, address: str) -> RunSettings:
    return RunSettings.choose(
        output=folder, storage_url=None, workers=None, device="cpu", engine=f"ray:{address}"
    )


def test_a_wrong_token_and_a_dead_address_are_refused_in_one_line(folder, cluster, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with pytest.raises(UsageError) as caught:
        find_workers(settings_of(folder, cluster.address))
    assert str(caught.value) == (
        f"the Ray cluster at {cluster.address} refuses the token; it is read from RAY_AUTH_TOKEN,"
        " RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
    )
    with pytest.raises(WorkersLostError, match=r"^no Ray cluster answers at 127\.0\.0\.1:9$"):
        find_workers(settings_of(folder, "127.0.0.1:9"))


def test_a_study_whose_driver_is_killed_continues_with_the_same_bits(folder, cluster, study, alone):
    output, engine = folder / "driver-killed", f"ray:{cluster.address}"
    driver = start_driver(study, output, engine, environment(folder))
    wait_for_trials(output, 3)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    places = {run.place for run in record_of(output).trials if run.outcome == "running"} - {""}
    assert 1 <= len(places) <= 2
    run_here(study, output, engine, Watcher(), environment(folder))
    assert bits_of(output) == alone
    trials = record_of(output).trials
    assert {run.attempts for run in trials} == {1}
    assert {run.lost_drivers for run in trials} == {0, 1}


def test_a_study_that_loses_one_of_two_nodes_measures_the_same_bits(folder, cluster, study, alone):
    output = folder / "node-killed"
    watcher = Watcher(output, 4, lambda node: cluster.do(f"kill {node}"))
    run_here(study, output, f"ray:{cluster.address}", watcher, environment(folder))
    check_one_was_lost(output, watcher, alone)


def check_one_was_lost(output, watcher, alone):
    assert bits_of(output) == alone
    lost = [text for _, text in watcher.notes if "continuing from its checkpoint" in text]
    assert len(lost) == 1
    record = record_of(output)
    assert sum(run.attempts for run in record.trials) == len(record.trials) + 1


def test_it_does_so_without_any_folder_that_the_nodes_see(
    folder, hidden, cluster, study, alone, object_port
):
    cluster.add()
    assert not cluster.sees(study)
    output, known = hidden / "node-killed", {**environment(folder), **credentials(object_port)}
    watcher = Watcher(output, 4, lambda node: cluster.do(f"kill {node}"))
    place = f"s3://{BUCKET}/cluster"
    run_here(study, output, f"ray:{cluster.address}", watcher, known, checkpoints=place)
    check_one_was_lost(output, watcher, alone)
    assert watcher.restored > 0
    assert not (output / "toy" / "checkpoints").exists()
    to = hidden / "model.safetensors"
    command = [sys.executable, "-m", "bakeoff", "export", "toy", "--output", str(output)]
    done = subprocess.run(
        [*command, "--to", str(to)], cwd=hidden, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert to.exists()


def test_two_devices_train_a_run_on_a_node_whose_versions_are_ours(folder, hidden, cluster):
    study = write_study(hidden / "on-two", trials=1, epochs=2, training={"devices_per_trial": 2})
    alone = hidden / "on-two-alone"
    run_here(study, alone, "local", Watcher(), environment(folder))
    cluster.add(num_cpus=2, PYTHONPATH=other_torch_path(folder))
    cluster.add(num_cpus=2)
    watcher, output = Watcher(), folder / "on-two"
    run_here(study, output, f"ray:{cluster.address}", watcher, environment(folder))
    assert bits_of(output) == bits_of(alone)
    said = [text for _, text in watcher.notes if text.startswith("node ")]
    assert len(said) == 1
    assert f": torch {OTHER_TORCH} there and {version('torch')} here; it is not used" in said[0]
