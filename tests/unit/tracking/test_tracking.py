"""Trackers get every epoch once, and a tracker that fails does not affect the study."""

import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from bakeoff.driver import Driver, InterruptedStudyError, StopRequest
from bakeoff.errors import MissingDependencyError, StudyFileError
from bakeoff.records import EpochResult, TrackingConfig
from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from bakeoff.tracking import Tracking, build_tracking, check_trackers
from bakeoff.tracking.observer import TrackedObserver
from study_examples import SilentObserver, SimulatedEngine, study_document, study_facts

CONFIG = resolve_study(study_document(tracking={"tensorboard": True}))


def epoch(number: int) -> EpochResult:
    return EpochResult(epoch=number, metrics={"accuracy": number / 10}, train_loss=1 / number)


class Recorder:
    """A tracker that remembers its calls. It can be made to fail or to hang."""

    name = "recorder"
    place = "in memory"

    def __init__(self, fails_at: str = "", hangs: threading.Event | None = None) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.known: set[str] = set()
        self._fails_at = fails_at
        self._hangs = hangs

    def _note(self, *call: object) -> None:
        if self._hangs is not None:
            self._hangs.wait(PATIENCE_SECONDS)
        if call[0] == self._fails_at:
            raise ConnectionError("no route to host\x1b[2J")
        self.calls.append(call)

    def has(self, run):
        return run in self.known

    def begin(self, run, values):
        self._note("begin", run, dict(values))

    def epoch(self, run, result):
        self._note("epoch", run, result.epoch)

    def pause(self, run):
        self._note("pause", run)

    def end(self, run, outcome, scores):
        self._note("end", run, outcome, dict(scores))

    def close(self):
        self._note("close")


PATIENCE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.tracking.CLOSE_SECONDS", PATIENCE_SECONDS)


@pytest.mark.parametrize("fails_at", ["begin", "epoch", "pause", "end", "close"])
def test_a_tracker_that_raises_is_noted_once_and_the_others_continue(fails_at: str) -> None:
    notes: list[str] = []
    failing, sound = Recorder(fails_at), Recorder()
    with closing(Tracking([failing, sound], notes.append)) as tracking:
        for run in ("search-0", "search-1"):
            tracking.begin(run, {})
            tracking.epoch(run, epoch(1))
            tracking.pause(run)
            tracking.end(run, "complete", {})
    assert len(notes) == 1
    assert "recorder is switched off (ConnectionError: no route to host" in notes[0]
    assert "\x1b" not in notes[0]
    assert len(sound.calls) == 9


def test_a_tracker_that_hangs_does_not_block_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.tracking.CLOSE_SECONDS", 0.05)
    notes: list[str] = []
    released = threading.Event()
    tracking = Tracking([Recorder(hangs=released)], notes.append)
    tracking.begin("search-0", {})
    tracking.close()
    released.set()
    assert notes == ["tracking: recorder did not receive everything within 0 s"]


def test_a_run_that_ended_earlier_is_logged_by_trackers_that_do_not_have_it() -> None:
    fresh, informed = Recorder(), Recorder()
    informed.known.add("search-0")
    with closing(Tracking([fresh, informed], print)) as tracking:
        tracking.restore("search-0", {"arm": "sgd"}, [epoch(1), epoch(2)], "complete", {"score": 1})
    assert [call[0] for call in fresh.calls] == ["begin", "epoch", "epoch", "end", "close"]
    assert [call[0] for call in informed.calls] == ["close"]


def test_without_tracking_no_folder_and_no_thread_is_made(tmp_path: Path) -> None:
    config = resolve_study(study_document())
    before = set(threading.enumerate())  # with those of other tests that are ending
    with closing(build_tracking(config, tmp_path / "toy", print)) as tracking:
        tracking.begin("search-0", {})
        started = set(threading.enumerate()) - before
    assert not (tmp_path / "toy").exists()
    assert "tracking" not in {thread.name for thread in started}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"tensorboard": "yes"}, 'tracking.tensorboard = "yes"'),
        ({"wandb": "a/b"}, 'tracking.wandb = "a/b"'),
        ({"wandb": ""}, 'tracking.wandb = ""'),
        ({"mlflow": True}, "tracking.mlflow = true"),
        ({"neptune": True}, "unknown key 'neptune'"),
    ],
)
def test_a_wrong_setting_is_refused(section: dict[str, object], message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        resolve_study(study_document(tracking=section))


@pytest.mark.parametrize(
    ("config", "extra"),
    [
        (TrackingConfig(tensorboard=True), "tensorboard"),
        (TrackingConfig(wandb="p"), "wandb"),
        (TrackingConfig(mlflow="e"), "mlflow"),
    ],
    ids=["tensorboard", "wandb", "mlflow"],
)
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, config: TrackingConfig, extra: str
) -> None:
    monkeypatch.setattr("bakeoff.tracking.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'bakeoff\[{extra}\]'"):
        check_trackers(config)
    check_trackers(TrackingConfig())


# ---------------------------------------------------------------- a study under it


def drive(url: str, folder: Path, *, stops_after: int | None = None, **trouble) -> list[str]:
    """Search with tracking, perhaps stopped by Ctrl-C on the way; what was noted."""
    storage, stop, observer = Storage(url, create=True), StopRequest(), SilentObserver()
    if not storage.has("toy"):
        storage.create(CONFIG, study_facts())
    told = iter(range(1000))

    def end_or_stop(run, plan, record, *, restored):
        if not restored and next(told) == stops_after:
            stop.count = 2

    observer.ended = end_or_stop
    with closing(build_tracking(CONFIG, folder, observer.note)) as tracking:
        driver = Driver(
            config=CONFIG,
            facts=study_facts(),
            storage=storage,
            engine=SimulatedEngine(2, **trouble),
            observer=TrackedObserver(observer, tracking),
            stop=stop,
            checkpoints=folder / "checkpoints",
        )
        driver.drive(Search(CONFIG, build_arms(CONFIG), "maximize"), "search")
    return observer.notes


def points_in(folder: Path) -> dict[str, Counter[int]]:
    """How often each step of the accuracy stands in each run's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    counted = {}
    for run in sorted(folder.iterdir()):
        events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
        counted[run.name] = Counter(one.step for one in events.Scalars("validation/accuracy"))
    return counted


@pytest.mark.parametrize("stops_after", [None, 3], ids=["through", "stopped"])
def test_every_epoch_of_every_trial_is_shown_once(
    storage_url: str, tmp_path: Path, stops_after: int | None
) -> None:
    folder, trouble = tmp_path / "toy", {"dies_at": {"search-1": 1, "search-5": 2}}
    if stops_after is not None:
        with pytest.raises(InterruptedStudyError):
            drive(storage_url, folder, stops_after=stops_after, **trouble)
    (note,) = [one for one in drive(storage_url, folder, **trouble) if "tracking" in one]
    assert note == f"tracking: TensorBoard: tensorboard --logdir {folder / 'tensorboard'}"
    trials = Storage(storage_url).load_record("toy").trials
    expected = {f"search-{one.number}": Counter(range(1, one.epochs_run + 1)) for one in trials}
    assert points_in(folder / "tensorboard") == expected


def test_a_tracked_study_that_cannot_write_there_is_the_same_study(
    storage_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "tensorboard").write_text("no folder")
    notes = drive(storage_url, folder)
    assert len([note for note in notes if "TensorBoard is switched off" in note]) == 1
    outcomes = {trial.outcome for trial in Storage(storage_url).load_record("toy").trials}
    assert outcomes <= {"complete", "pruned"}


def test_tracking_may_be_turned_on_later(storage_url: str, tmp_path: Path) -> None:
    drive(storage_url, tmp_path / "without")
    drive(storage_url, tmp_path / "with")
    assert points_in(tmp_path / "with" / "tensorboard") == points_in(
        tmp_path / "without" / "tensorboard"
    )
