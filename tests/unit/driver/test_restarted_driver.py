"""A driver that continues after one that was killed: workers of the old one may train on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.driver import Driver, StopRequest
from bakeoff.driver.run_stores import RunStores
from bakeoff.engines.protocol import Died, Epoch, Event, Finished, Job, Task
from bakeoff.records import EpochResult, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.search.confirm import Confirmation
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from bakeoff.training import loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.weights import weights_file
from run_examples import small_run
from study_examples import SilentObserver, study_document, study_facts

DOCUMENT = study_document(
    data={"train_samples": 161},
    training={"epochs": 5},
    search={
        "optimizers": ["adam"], "schedulers": ["constant"], "trials_per_arm": 1, "pruner": "none",
        "defaults": False,
    },
    confirm={"seeds": 1, "shortlist": 1},
)  # fmt: skip
del DOCUMENT["confirm"]["shortlist_seeds"], DOCUMENT["search"]["pruner_startup_trials"]
CONFIG = resolve_study(DOCUMENT)
FACTS = study_facts(data_fingerprint="")


class DriverKilledError(BaseException):
    """Takes the place of a SIGKILL."""


class HereEngine:
    """Trains one run at a time in this process, and saves a checkpoint after every epoch.

    Args:
        killed_after: The driver is killed after so many epochs; 0 for never.
        lost_after: The machine of the run is lost after so many epochs, once.
    """

    def __init__(self, killed_after: int = 0, lost_after: int = 0) -> None:
        self._killed_after, self._lost_after = killed_after, lost_after
        self._job: Job | None = None
        self._results: Iterator[EpochResult] = iter(())
        self._num_trained = 0
        self.submitted: list[Job] = []

    @property
    def num_free(self) -> int:
        return int(self._job is None)

    def submit(self, job: Task) -> None:
        assert isinstance(job, Job)
        self.submitted.append(job)
        self._job = job
        self.state = loop.prepare(job.config, "cpu")
        self.checkpoints = Checkpoints(job.checkpoints, job.identity, attempt=job.attempt)
        self._results = loop.train(self.state, self.checkpoints)

    def events(self, timeout: float) -> Sequence[Event]:
        job = self._job
        assert job is not None
        if self._killed_after and self._num_trained == self._killed_after:
            raise DriverKilledError
        if self._lost_after and self._num_trained == self._lost_after:
            self._job, self._lost_after = None, 0
            return [Died(run=job.run, attempt=job.attempt, reason="node 7 is gone", cause="node")]
        result = next(self._results, None)
        if result is None:
            if job.keeps_weights:
                self.checkpoints.keep_weights(weights_file(self.state))
            self._job = None
            ended = Finished(run=job.run, attempt=job.attempt, outcome="complete", test_metrics={})
            return [ended]
        self._num_trained += 1
        self.checkpoints.save(self.state)
        return [Epoch(run=job.run, attempt=job.attempt, result=result, waits=False)]

    def reply(self, run: str, reply: Any) -> None:
        raise AssertionError(f"{run} waits for nothing")

    def kill(self, run: str) -> None:
        raise AssertionError(f"nobody kills {run}")

    def close(self) -> None: ...


def drive(folder: Path, group: str, engine: HereEngine) -> TrialRecord:
    """Run or continue the search or the confirmation; its last run."""
    storage = Storage(f"sqlite:///{folder / 'studies.db'}", create=True)
    if not storage.has("toy"):
        storage.create(CONFIG, FACTS)
    driver = Driver(
        config=CONFIG, facts=FACTS, storage=storage, engine=engine,
        observer=SilentObserver(), stop=StopRequest(), checkpoints=folder / "checkpoints",
        weights=folder / "weights",
    )  # fmt: skip
    arms = build_arms(CONFIG)
    before = storage.load_record("toy")
    is_search = group == "search"
    driver.drive(
        Search(CONFIG, arms, "maximize")
        if is_search
        else Confirmation(CONFIG, arms, before.trials, before.objective),
        group,
    )
    found = storage.load_record("toy")
    return found.trials[-1] if is_search else found.confirmations[-1]


def measured(run: TrialRecord) -> list[Any]:
    return [run.score, [(one.metrics, one.train_loss) for one in run.history]]


def zombie_of(job: Job, epoch: int) -> None:
    """A worker of the old driver saves a later epoch, of weights that no run has had.

    It listed the checkpoints before its successor saved one, so that it does not notice it.
    """
    state = loop.prepare(small_run(seed=99, epochs=epoch + 1), "cpu")
    checkpoints = Checkpoints(job.checkpoints, job.identity, attempt=job.attempt)
    for result in loop.train(state):
        if result.epoch == epoch:
            break
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "_check_attempt", lambda *_: None)
        checkpoints.save(state)
    checkpoints.keep_weights(b"of the zombie")


def test_what_a_worker_of_a_killed_driver_writes_is_not_read(tmp_path: Path) -> None:
    calm = drive(tmp_path, "search", HereEngine())
    folder = tmp_path / "killed"
    folder.mkdir()
    old = HereEngine(killed_after=2)
    with pytest.raises(DriverKilledError):
        drive(folder, "search", old)

    class Haunted(HereEngine):
        """The zombie wakes up just before the machine of its successor is lost."""

        def events(self, timeout: float) -> Sequence[Event]:
            if self._lost_after and self._num_trained == self._lost_after:
                zombie_of(old.submitted[0], epoch=4)
            return super().events(timeout)

    engine = Haunted(lost_after=3)
    run = drive(folder, "search", engine)
    assert [job.attempt for job in (*old.submitted, *engine.submitted)] == [1, 2, 3]
    assert measured(run) == measured(calm)


def test_a_killed_driver_costs_a_run_no_attempt(tmp_path: Path) -> None:
    for after in (1, 2, 3):
        with pytest.raises(DriverKilledError):
            drive(tmp_path, "search", HereEngine(killed_after=after))
    engine = HereEngine()
    run = drive(tmp_path, "search", engine)
    assert (run.attempts, run.lost_drivers) == (1, 3)
    assert [(job.attempt, job.has_lost_worker) for job in engine.submitted] == [(4, False)]


def test_the_weights_of_the_attempt_that_ended_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a driver that is killed between the end of the run and taking its weights."""
    drive(tmp_path, "search", HereEngine())
    old = HereEngine(killed_after=2)
    with pytest.raises(DriverKilledError):
        drive(tmp_path, "confirm", old)

    def take(*_: object) -> bool:
        zombie_of(old.submitted[0], epoch=4)
        raise DriverKilledError

    engine = HereEngine()
    with monkeypatch.context() as patch:
        patch.setattr(RunStores, "take_weights", take)
        with pytest.raises(DriverKilledError):
            drive(tmp_path, "confirm", engine)
    expected = weights_file(engine.state)
    drive(tmp_path, "confirm", HereEngine())
    assert (tmp_path / "weights" / "confirm-0.safetensors").read_bytes() == expected
