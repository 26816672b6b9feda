"""One run in one worker. The folder stays valid whatever happens to the worker."""

import fcntl
import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakeoff.engines.protocol import Died, Failed, Halted, Paused, Probed
from bakeoff.engines.stopping import InterruptedStudyError
from bakeoff.errors import BakeoffError, StorageError, StudyLockedError, UsageError
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.production.run import RunReport, one_worker, run_folder, run_name, train_run
from bakeoff.records import EpochResult, Precision, StudyConfig
from bakeoff.studyfile import resolve_study
from study_examples import SimulatedEngine, study_document

SEED = 7


class Notes:
    """An observer that remembers its calls."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.new_epochs: list[int] = []

    def epoch(self, result: EpochResult, *, is_new: bool) -> None:
        if is_new:
            self.new_epochs.append(result.epoch)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def single() -> StudyConfig:
    """A study of one configuration, of four epochs."""
    return fix_settings(resolve_study(study_document()), Chosen(learning_rate=0.01))


@pytest.fixture
def train(
    tmp_path: Path, single: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunReport]:
    """Train with a simulated engine, which receives the keywords."""

    def probed(*_: object) -> Probed:
        files = (one for one in tmp_path.glob("*.py"))
        code = {str(one): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
        seconds: dict[Precision, float] = {"fp32": 1.0}
        return Probed(
            run="probe", precision="fp32", seconds_per_step=seconds, reason="", code=code
        )  # fmt: skip

    monkeypatch.setattr("bakeoff.production.run.probe", probed)

    def run(config: StudyConfig = single, observer: Notes | None = None, **trouble: Any) -> Any:
        accepts_code = trouble.pop("accepts_code", False)
        engine = trouble.pop("engine", None) or SimulatedEngine(**trouble)
        monkeypatch.setattr("bakeoff.production.run.open_engine", lambda _: nullcontext(engine))
        return train_run(
            config,
            run_folder(tmp_path, config, SEED, "mine"),
            seed=trouble.pop("seed", SEED),
            settings=one_worker("cpu", 1, config),
            observer=observer or Notes(),
            accepts_code=accepts_code,
        )

    return run


class Ending(SimulatedEngine):
    """Ends the run with a given event after one epoch."""

    def __init__(self, event: object, times: int = 1) -> None:
        super().__init__()
        self._event, self._times = event, times

    def events(self, timeout):
        if self._times and self._epochs.get("mine") == 1:
            self._times -= 1
            return [self._end("mine", self._event)]
        return super().events(timeout)


def epochs_in(tmp_path: Path) -> list[int]:
    lines = (tmp_path / "toy" / "train" / "mine" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def test_a_worker_that_dies_is_replaced_and_nothing_is_written_twice(tmp_path, train) -> None:
    observer = Notes()
    report = train(observer=observer, dies_at={"mine": 2})
    assert epochs_in(tmp_path) == [1, 2, 3, 4]
    assert observer.new_epochs == [1, 2, 3, 4]
    assert observer.notes == ["worker ended by SIGKILL; continuing from the checkpoint"] * 2
    assert report.result.outcome == "complete"
    assert report.result.scored_epoch == 4
    assert report.result.note == ""


def test_a_run_that_keeps_killing_its_workers_is_given_up(train) -> None:
    with pytest.raises(BakeoffError, match="3 times without a new epoch"):
        train(engine=Ending(Died(run="mine", reason="worker ended by SIGSEGV"), times=9))


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (Failed(run="mine", outcome="failed", reason="ValueError: no"), BakeoffError, "ValueError"),
        (
            Halted(run="mine", reason="the disk is full"),
            StorageError,
            "full; when this is mended, the same command",
        ),
        (Paused(run="mine"), InterruptedStudyError, "run the same command again"),
    ],
    ids=["failed", "halted", "paused"],
)
def test_a_run_that_cannot_continue_says_why_and_continues_later(
    tmp_path, train, event, error, message
) -> None:
    with pytest.raises(error, match=message):
        train(engine=Ending(event))
    assert epochs_in(tmp_path) == [1]
    assert train().result.outcome == "complete"
    assert epochs_in(tmp_path) == [1, 2, 3, 4]


def test_a_run_does_not_continue_with_changed_code_unless_that_is_accepted(tmp_path, train) -> None:
    code, observer = tmp_path / "mine.py", Notes()
    code.write_text("value = 1\n")
    with pytest.raises(InterruptedStudyError):
        train(engine=Ending(Paused(run="mine")))
    code.write_text("value = 2\n")
    with pytest.raises(
        UsageError, match=r"mine\.py: the code changed since the run began; .*accept"
    ):
        train()
    assert train(observer=observer, accepts_code=True).result.outcome == "complete"
    assert observer.notes == [f"continued with code that changed since the run began: {code}"]


def test_a_diverged_run_is_finished_as_that(train) -> None:
    report = train(diverges=lambda _: True)
    assert report.result.outcome == "diverged"
    assert report.result.scored_epoch is None
    assert train().was_finished


def test_an_epoch_with_other_results_is_noted(tmp_path, train) -> None:
    with pytest.raises(InterruptedStudyError):
        train(engine=Ending(Paused(run="mine")))
    report = train(curve=lambda config, epoch: 0.1 * epoch)
    assert report.result.note == "resumed, not bit-identical from epoch 1"


def test_a_run_that_was_killed_after_its_result_leaves_no_checkpoints(train) -> None:
    folder = train().folder
    folder.checkpoints.mkdir()
    assert train().was_finished
    assert not folder.checkpoints.exists()


def test_a_finished_run_submits_nothing(train) -> None:
    train()
    engine = SimulatedEngine()
    again = train(engine=engine)
    assert again.was_finished
    assert engine.submitted == []
    assert [result.epoch for result in again.history] == [1, 2, 3, 4]


def test_other_settings_under_the_same_name_are_refused(train, single) -> None:
    train()
    other = replace(single, training=replace(single.training, batch_size=32))
    with pytest.raises(UsageError, match=r"training\.batch_size: 64 -> 32"):
        train(other)


def test_changed_data_is_refused(tmp_path, train) -> None:
    with pytest.raises(InterruptedStudyError):
        train(engine=Ending(Paused(run="mine")))
    path = tmp_path / "toy" / "train" / "mine" / "run.json"
    path.write_text(path.read_text().replace('"data_fingerprint": "', '"data_fingerprint": "0'))
    with pytest.raises(UsageError, match="the data changed since the run began"):
        train()


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path, train) -> None:
    folder = tmp_path / "toy" / "train" / "mine"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4321")
        file.flush()
        with pytest.raises(StudyLockedError, match="already being trained by process 4321"):
            train()


def test_a_run_is_named_after_its_settings_and_its_seed(single) -> None:
    name = run_name(single, SEED)
    assert name.startswith("sgd-constant-")
    assert name == run_name(single, SEED) != run_name(single, SEED + 1)
    assert name != run_name(replace(single, training=replace(single.training, epochs=5)), SEED)
    assert name == run_name(replace(single, question="Why?"), SEED)
