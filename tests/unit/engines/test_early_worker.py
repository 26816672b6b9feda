"""A worker that was started before its engine was opened."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import pytest

from bakeoff.engines import processes
from bakeoff.engines.device_table import CPU
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.processes import WorkerProcess, start_early, worker_settings
from bakeoff.engines.protocol import Job
from bakeoff.engines.worker import Signals, WorkerSettings
from bakeoff.errors import UsageError
from bakeoff.own_source import look_in, own_folders
from run_examples import small_run


@dataclass
class StillProcess:
    """A process that does nothing until it is killed."""

    is_killed: bool = False
    sentinel: int = -1

    def is_alive(self) -> bool:
        return not self.is_killed

    def kill(self) -> None:
        self.is_killed = True

    def join(self, timeout: float) -> None:
        assert self.is_killed


@dataclass
class Started:
    """Processes that were started in place of real ones, and the ends of their pipes."""

    processes: list[WorkerProcess] = field(default_factory=list)
    pipes: list[Connection] = field(default_factory=list)

    def start(self, settings: WorkerSettings) -> WorkerProcess:
        ours, theirs = multiprocessing.Pipe()
        cell = multiprocessing.Value("q", 0)
        one = WorkerProcess(
            settings=settings,
            process=cast("Any", StillProcess()),
            connection=ours,
            signals=Signals(pulse=cell, evaluating=cell, suspend=cell),
        )
        self.processes.append(one)
        self.pipes.append(theirs)
        return one

    @property
    def alive(self) -> list[bool]:
        return [one.process.is_alive() for one in self.processes]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    record = Started()
    monkeypatch.setattr(processes, "start_process", record.start)
    monkeypatch.setattr("bakeoff.engines.local.start_process", record.start)
    yield record
    look_in("")


def job(name: str) -> Job:
    return Job(run=name, config=small_run(), checkpoints="")


def test_the_first_run_gets_the_worker_that_was_started_early(started: Started) -> None:
    early = start_early("", device="cpu", threads=None)
    engine = LocalEngine(num_workers=2, threads=1, early=early)
    for name in ("search-0", "search-1"):
        engine.submit(job(name))
    assert [pipe.recv().run for pipe in started.pipes] == ["search-0", "search-1"]
    engine.close()
    assert started.alive == [False, False]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_that_is_set_up_otherwise_is_ended(started: Started, threads: int) -> None:
    early = start_early("", device="cpu", threads=3)
    engine = LocalEngine(num_workers=1, threads=threads, early=early)
    engine.submit(job("search-0"))
    assert started.alive == [False, True]
    assert started.processes[1].settings == worker_settings([CPU], threads=threads)
    engine.close()


def test_an_engine_without_a_run_ends_it_too(started: Started) -> None:
    LocalEngine(num_workers=1, threads=1, early=start_early("", device="cpu", threads=1)).close()
    assert started.alive == [False]


def test_it_finds_the_code_beside_the_study_file(started: Started, tmp_path: Path) -> None:
    early = start_early(str(tmp_path), device="cpu", threads=1)
    assert early is not None
    assert early.settings.study_folder == str(tmp_path) == own_folders()[0]
    assert early.settings == replace(
        worker_settings([CPU], threads=1), parent=early.settings.parent
    )


@pytest.mark.parametrize(
    ("device", "has_signs", "starts"),
    [
        ("cpu", True, True),
        ("auto", False, True),
        ("auto", True, False),
        ("cuda", True, False),
        ("cuda:1", False, False),
        ("mps", False, False),
    ],
)
def test_only_a_study_on_the_cpu_starts_one(
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    has_signs: bool,
    starts: bool,
) -> None:
    monkeypatch.setattr(processes, "has_accelerator_signs", lambda: has_signs)
    assert (start_early("", device=device, threads=1) is not None) == starts
    assert len(started.processes) == starts


def test_a_wrong_device_is_refused_before_anything_is_started(started: Started) -> None:
    with pytest.raises(UsageError, match="--device 'gpu'"):
        start_early("", device="gpu", threads=1)
    assert not started.processes
