"""A run that one session begins and the next one ends, as it is logged to a tracker."""

from bakeoff.records import EpochResult
from bakeoff.tracking.tracker import Tracker, Values

RUN = "search-0"
SETTINGS: Values = {"optimizer": "sgd", "sgd.learning_rate": 0.1}


def tracked_epoch(number: int) -> EpochResult:
    """An epoch whose training loss is not known, as of a loop of the user's own."""
    return EpochResult(epoch=number, metrics={"accuracy": number / 10}, train_loss=float("nan"))


def begin_run(tracker: Tracker) -> None:
    """The first session: one epoch."""
    assert not tracker.has(RUN)
    tracker.begin(RUN, SETTINGS)
    tracker.epoch(RUN, tracked_epoch(1))


def end_run(tracker: Tracker) -> None:
    """The next session: the epoch that was logged already, and the last one."""
    assert tracker.has(RUN)
    tracker.begin(RUN, SETTINGS)
    for number in (1, 2):
        tracker.epoch(RUN, tracked_epoch(number))
    tracker.end(RUN, "complete", {"score": 0.2})
