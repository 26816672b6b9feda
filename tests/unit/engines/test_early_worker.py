"""The worker that is started before its engine is opened."""

import multiprocessing
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bakeoff.commands.cli import app
from bakeoff.engines.device_table import CPU
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.processes import (
    ended_on_error,
    start_early,
    start_process,
    worker_settings,
)
from bakeoff.errors import UsageError


def test_a_worker_that_was_started_early_ends_where_no_engine_is_opened(
    capfd: pytest.CaptureFixture[str],
) -> None:
    worker = start_process(worker_settings([CPU], threads=1))
    with pytest.raises(UsageError), ended_on_error(worker):
        raise UsageError("--device 'cudda'")
    assert worker.process.exitcode == -9
    assert capfd.readouterr().err == ""
    with ended_on_error(None):
        pass


def test_no_worker_is_started_before_the_study_is_found_or_for_another_machine() -> None:
    assert start_early(None, device="cpu", threads=1) is None
    assert start_early(".", device="cpu", threads=1, engine="ray") is None


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("[training]\nepochs = 2\nthreads = 3\n", [], 3),
        ("training = { epochs = 2, threads = 3 }\n", [], 3),
        ("[training]\nthreads = 3\n", ["--set", "training.threads=2"], 2),
        ("[training]\n", ["--threads", "4"], 4),
        ("[training]\n# threads = 3\n", [], None),
        ("[training]\nthreads = 0\n", [], None),
        ("\xff", [], None),
    ],
)
def test_the_early_worker_has_the_threads_that_the_study_names(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    options: list[str],
    expected: int | None,
) -> None:
    started: list[int | None] = []

    def start(_folder: str, *, threads: int | None, **_: object) -> None:
        started.append(threads)
        raise UsageError("enough")

    monkeypatch.setattr("bakeoff.engines.processes.start_early", start)
    (tmp_path / "study.toml").write_bytes(text.encode("latin-1"))
    found = CliRunner().invoke(app, ["run", str(tmp_path / "study.toml"), *options])
    assert str(found.exception) == "enough"
    assert started == [expected]


def test_workers_that_are_started_ahead_take_the_first_runs() -> None:
    early = start_process(worker_settings([CPU], threads=1))
    with closing(LocalEngine(num_workers=2, threads=1, early=early, ahead=5)) as engine:
        assert engine.num_free == 2
        started = {process.pid for process in multiprocessing.active_children()}
        assert len(started) == 2
        assert early.process.pid in started
        assert len(engine.sources) == 4  # a pipe and the end of each
        assert engine.events(0) == []
    assert not multiprocessing.active_children()
