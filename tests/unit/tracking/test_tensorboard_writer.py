import os
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from bakeoff.records import EpochResult
from bakeoff.tracking import Tracking
from bakeoff.tracking.tensorboard_writer import TensorBoardTracker

RUN = "search-0"


def epoch(number: int, accuracy: float = 0.5) -> EpochResult:
    return EpochResult(epoch=number, metrics={"accuracy": accuracy}, train_loss=1 / number)


def told(directory: Path, *accuracies: float) -> TensorBoardTracker:
    tracker = TensorBoardTracker(directory)
    tracker.begin(RUN, {"optimizer": "sgd", "sgd.learning_rate": 0.1, "seed": 3})
    for number, accuracy in enumerate(accuracies, start=1):
        tracker.epoch(RUN, epoch(number, accuracy))
    return tracker


def values_of(events: EventAccumulator, tag: str = "validation/accuracy") -> list[float]:
    return [round(one.value, 4) for one in events.Scalars(tag)]


def test_hyperparameters_and_scalars_share_one_folder(tmp_path: Path) -> None:
    tracker = told(tmp_path, 0.5, 0.6)
    tracker.end(RUN, "complete", {"score": 0.6, "test/accuracy": 0.55})
    assert [path.name for path in tmp_path.iterdir()] == [RUN]
    assert len(list((tmp_path / RUN).iterdir())) == 1
    events = EventAccumulator(str(tmp_path / RUN)).Reload()
    assert values_of(events) == [0.5, 0.6]
    assert values_of(events, "test/accuracy") == [0.55]
    assert [one.step for one in events.Scalars("score")] == [2]
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    assert start.hparams["optimizer"].string_value == "sgd"
    assert start.hparams["sgd.learning_rate"].number_value == 0.1
    content = events.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
    assert metadata.parse_session_end_info_plugin_data(content).status == 1  # success


@pytest.mark.parametrize("num_lost", [0, 1, 40])
def test_a_continued_run_has_every_point_once(tmp_path: Path, num_lost: int) -> None:
    told(tmp_path, 0.5, 0.6)  # killed: never closed
    (file,) = (tmp_path / RUN).iterdir()
    os.truncate(file, file.stat().st_size - num_lost)  # perhaps while it wrote
    told(tmp_path, 0.5, 0.6, 0.7).close()
    events = EventAccumulator(str(tmp_path / RUN)).Reload()
    assert values_of(events) == [0.5, 0.6, 0.7]


def test_a_tensorboard_that_watches_sees_every_point_once(tmp_path: Path) -> None:
    told(tmp_path, 0.5, 0.6).close()
    events = EventAccumulator(str(tmp_path / RUN)).Reload()
    told(tmp_path, 0.5, 0.6, 0.7).close()
    assert values_of(events.Reload()) == [0.5, 0.6, 0.7]


def test_an_epoch_is_on_disk_before_the_run_has_ended(tmp_path: Path) -> None:
    tracker = told(tmp_path, 0.5)
    assert values_of(EventAccumulator(str(tmp_path / RUN)).Reload()) == [0.5]
    tracker.close()


def test_a_full_disk_is_noted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventFileWriter, "flush", fail)
    notes: list[str] = []
    tracking = Tracking([TensorBoardTracker(tmp_path)], notes.append)
    for run in ("search-0", "search-1"):
        tracking.begin(run, {})
        tracking.epoch(run, epoch(1))
    tracking.close()
    assert len(notes) == 1
    assert "No space left on device" in notes[0]
