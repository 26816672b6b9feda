"""Tests the lock of a driver on PostgreSQL, and a server that disconnects and returns."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from bakeoff.driver import Driver, StopRequest
from bakeoff.errors import StudyLockedError, StudyTakenOverError
from bakeoff.records import EpochResult, TrialPlan
from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.storage.lock import study_lock
from bakeoff.studyfile import resolve_study
from study_examples import SimulatedEngine, study_document, study_facts

PLAN = TrialPlan(
    arm="sgd", params={"optimizer": "sgd", "scheduler": "constant"}, seed=1, phase="default"
)
HOLDER = """
import sys
from bakeoff.storage.lock import study_lock
from bakeoff.storage import Storage
storage = Storage(sys.argv[1], create=True)
with study_lock(storage, "toy"):
    if storage.has("toy"):
        storage.claim("toy")
    print("held", flush=True)
    sys.stdin.read()
"""
_names = count()


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """An empty database for one test."""
    name = f"driver_{os.getpid()}_{next(_names)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_url.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def storage(url, config):
    """A driver's storage that holds the study."""
    storage = Storage(url, create=True)
    storage.create(config, study_facts())
    yield storage
    storage.optuna_storage.engine.dispose()


def end_sessions(url: str) -> int:
    """End all sessions, as a restart of the server does, and return their number."""
    with psycopg.connect(url, autocommit=True) as connection:
        return len(
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        )


@pytest.fixture
def start_holder(url):
    """Starts another driver's process, which holds the lock until its stdin is closed."""
    started = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_driver_is_refused_with_the_name_of_the_first(storage, start_holder):
    holder = start_holder()
    with pytest.raises(StudyLockedError) as caught, study_lock(storage, "toy"):
        pass
    assert f"process {holder.pid} on {os.uname().nodename}" in str(caught.value)


def test_the_lock_of_a_killed_driver_is_free(storage, start_holder):
    holder = start_holder()
    holder.kill()
    holder.wait()
    for _ in range(2):
        with study_lock(storage, "toy"):
            storage.claim("toy")


def test_a_driver_whose_session_ended_continues_under_its_lock(storage, config, url):
    with study_lock(storage, "toy"):
        storage.claim("toy")
        _, trial_id = storage.begin(config, PLAN)
        assert end_sessions(url) == 1
        storage.report(trial_id, 1, 0.5)
        with pytest.raises(StudyLockedError), study_lock(Storage(url, create=True), "toy"):
            pass
    [(_, record)] = storage.load_runs("toy", "search")
    assert record.history == (EpochResult(epoch=1, metrics={"accuracy": 0.5}),)


@pytest.mark.parametrize("is_done", [False, True], ids=["still at work", "already done"])
def test_a_driver_writes_nothing_after_another_driver_took_over(
    storage, config, url, start_holder, is_done
):
    with study_lock(storage, "toy"):
        storage.claim("toy")
        _, trial_id = storage.begin(config, PLAN)
        assert end_sessions(url) == 1
        holder = start_holder()
        if is_done:
            holder.communicate("")
        with pytest.raises(StudyTakenOverError, match="took over study"):
            storage.report(trial_id, 1, 0.5)
    [(_, record)] = storage.load_runs("toy", "search")
    assert record.history == ()


class InterruptedEngine(SimulatedEngine):
    """Ends the driver's session before some of its events."""

    def __init__(self, url: str, every: int) -> None:
        super().__init__(num_workers=2)
        self._url, self._every, self._calls = url, every, 0
        self.num_ended = 0

    def events(self, timeout):
        self._calls += 1
        if self._calls % self._every == 0:
            self.num_ended += end_sessions(self._url)
        return super().events(timeout)


def whole_search(url: str, engine: SimulatedEngine, folder: Path):
    """All stored runs of a search, as their numbers, outcomes, scores and epochs."""
    config = resolve_study(study_document())
    storage = Storage(url, create=True)
    with study_lock(storage, config.name):
        storage.create(config, study_facts())
        storage.claim(config.name)
        driver = Driver(
            config=config, facts=study_facts(), storage=storage, engine=engine,
            observer=NoObserver(), stop=StopRequest(), checkpoints=folder,
        )  # fmt: skip
        driver.drive(Search(config, build_arms(config), "maximize"), "search")
        runs = [record for _, record in storage.load_runs(config.name, "search")]
    storage.optuna_storage.engine.dispose()
    return [(run.number, run.arm, run.outcome, run.score, run.epochs_run) for run in runs]


class NoObserver:
    def note(self, *args: object, **kwargs: object) -> None:
        pass

    began = epoch = paused = ended = note


@pytest.mark.parametrize(
    "every", [7, pytest.param(1, marks=pytest.mark.slow)], ids=["every 7th event", "every event"]
)
def test_a_search_whose_sessions_end_repeatedly_stores_the_same_runs(url, tmp_path, every):
    engine = InterruptedEngine(url, every)
    found = whole_search(url, engine, tmp_path)
    expected = whole_search(
        f"sqlite:///{tmp_path / 'studies.db'}", SimulatedEngine(num_workers=2), tmp_path
    )
    assert engine.num_ended >= 30 / every
    assert found == expected
