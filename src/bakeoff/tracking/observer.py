"""An observer of the driver that also logs to the trackers."""

from collections.abc import Mapping

from bakeoff.driver import Observer
from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from bakeoff.tracking import Tracking
from bakeoff.tracking.tracker import Values


class TrackedObserver:
    """Passes every event to an observer and to the trackers."""

    def __init__(self, observer: Observer, tracking: Tracking) -> None:
        self._observer = observer
        self._tracking = tracking
        self.note = observer.note

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        self._tracking.begin(run, _values_of(plan))
        self._observer.began(run, plan, num_left)

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:
        """See `bakeoff.driver.Observer`."""
        self._tracking.epoch(run, result)
        self._observer.epoch(run, plan, result)

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """See `bakeoff.driver.Observer`."""
        self._tracking.pause(run)
        self._observer.paused(run, plan, epoch)

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """See `bakeoff.driver.Observer`."""
        scores = scores_of(record.score, record.test_metrics)
        if restored:
            self._tracking.restore(run, _values_of(plan), record.history, record.outcome, scores)
        else:
            self._tracking.end(run, record.outcome, scores)
        self._observer.ended(run, plan, record, restored=restored)


def _values_of(plan: TrialPlan) -> Values:
    return {"arm": plan.arm, **plan.params, "purpose": plan.purpose, "seed": plan.seed}


def scores_of(score: float | None, test_metrics: Mapping[str, float]) -> dict[str, float]:
    """The score, if there is one, and the test metrics of a run, by name."""
    tested = {f"test/{name}": value for name, value in test_metrics.items()}
    return tested if score is None else {"score": score, **tested}
