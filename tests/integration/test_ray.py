"""Studies on a Ray cluster of two nodes on this machine, one of which is lost.

All eight kinds of loss are tried by `python tests/benchmarks/cluster.py`.
"""

import signal
from importlib.util import find_spec

import pytest

from bakeoff.engines.open import find_workers
from bakeoff.errors import UsageError, WorkersLostError
from bakeoff.session.run_settings import RunSettings
from ray_cluster import environment, local_cluster
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
def cluster(folder):
    with local_cluster(folder) as found:
        yield found


@pytest.fixture(scope="module")
def study(folder):
    return write_study(folder / "study", trials=3)


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


def test_a_study_that_loses_one_of_two_nodes_measures_the_same_bits(folder, cluster, study, alone):
    output = folder / "node-killed"
    watcher = Watcher(output, 4, lambda node: cluster.do(f"kill {node}"))
    run_here(study, output, f"ray:{cluster.address}", watcher, environment(folder))
    assert bits_of(output) == alone
    lost = [text for _, text in watcher.notes if "continuing from its checkpoint" in text]
    assert len(lost) == 1
    record = record_of(output)
    assert sum(run.attempts for run in record.trials) == len(record.trials) + 1
