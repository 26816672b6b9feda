"""Logs runs to TensorBoard, Weights & Biases and MLflow, if the study file asks for it.

Trackers work in a separate thread of the driver's process, behind a queue. A tracker that raises an
error is switched off with a note, and one that hangs keeps nobody waiting. Trials are not affected.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from bakeoff.errors import MissingDependencyError, one_line
from bakeoff.records import EpochResult, Outcome, StudyConfig, TrackingConfig
from bakeoff.tracking.tracker import Tracker, Values

CLOSE_SECONDS = 10.0
"""How long the end of a session waits until the trackers have processed the queue."""

Call = Callable[[Tracker], None]


class Tracking:
    """Passes every event to every tracker, in order, without blocking the caller.

    Args:
        trackers: Called from the thread of this object only.
        note: Called once with the reason when a tracker fails.
    """

    def __init__(self, trackers: Sequence[Tracker], note: Callable[[str], None]) -> None:
        self._trackers = list(trackers)
        self._note = note
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="tracking")
        if self._trackers:
            self._thread.start()

    def begin(self, run: str, values: Values) -> None:
        """See `Tracker`."""
        self._put(lambda tracker: tracker.begin(run, values))

    def epoch(self, run: str, result: EpochResult) -> None:
        """See `Tracker`."""
        self._put(lambda tracker: tracker.epoch(run, result))

    def pause(self, run: str) -> None:
        """See `Tracker`."""
        self._put(lambda tracker: tracker.pause(run))

    def end(self, run: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._put(lambda tracker: tracker.end(run, outcome, scores))

    def restore(
        self,
        run: str,
        values: Values,
        history: Sequence[EpochResult],
        outcome: Outcome,
        scores: Mapping[str, float],
    ) -> None:
        """Log a run that ended in an earlier session to the trackers that do not have it."""

        def log(tracker: Tracker) -> None:
            if tracker.has(run):
                return
            tracker.begin(run, values)
            for result in history:
                tracker.epoch(run, result)
            tracker.end(run, outcome, scores)

        self._put(log)

    def close(self) -> None:
        """Wait until the queue is processed, but at most `CLOSE_SECONDS`."""
        if not self._trackers or not self._thread.is_alive():
            return
        self._put(lambda tracker: tracker.close())
        self._calls.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            names = " and ".join(tracker.name for tracker in self._trackers)
            self._note(f"tracking: {names} did not receive everything within {CLOSE_SECONDS:.0f} s")

    def _put(self, call: Call) -> None:
        if self._trackers:
            self._calls.put(call)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            for tracker in list(self._trackers):
                try:
                    call(tracker)
                except Exception as error:  # noqa: BLE001 - training continues in any case
                    self._trackers.remove(tracker)
                    reason = one_line(f"{type(error).__name__}: {error}")[:300]
                    self._note(f"tracking: {tracker.name} is switched off ({reason})")


def build_tracking(config: StudyConfig, folder: Path, note: Callable[[str], None]) -> Tracking:
    """The trackers that the study file asks for.

    Args:
        config: The study.
        folder: Folder of its results. Every tracker has its own folder or file in it.
        note: Called with the place of each tracker's runs, and once with the reason when one fails.
    """
    trackers: list[Tracker] = []
    try:
        if config.tracking.tensorboard:
            from bakeoff.tracking.tensorboard_writer import TensorBoardTracker

            trackers.append(TensorBoardTracker(folder / "tensorboard"))
        if config.tracking.wandb is not None:
            from bakeoff.tracking.wandb_client import WandbTracker

            trackers.append(WandbTracker(folder, config.tracking.wandb, group=config.name))
        if config.tracking.mlflow is not None:
            from bakeoff.tracking.mlflow_client import MlflowTracker

            trackers.append(MlflowTracker(folder, config.tracking.mlflow, group=config.name))
        if config.tracking.callback is not None:
            from bakeoff.tracking.callback import CallbackTracker

            callback = config.tracking.callback
            trackers.append(CallbackTracker(folder, callback, config.name, config.folder))
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        note(f"tracking: {one_line(f'{type(error).__name__}: {error}')[:300]}")
    for tracker in trackers:
        note(f"tracking: {tracker.name}: {tracker.place}")
    return Tracking(trackers, note)


def check_trackers(config: TrackingConfig, folder: str = "") -> None:
    """Make sure that the packages of the trackers are installed, without importing them.

    A function of the user's is imported in a process of its own.

    Args:
        config: What the study asks for.
        folder: Folder of the study file.

    Raises:
        MissingDependencyError: A package is missing. The message names the extra to install.
        UsageError: The user's function cannot be imported, or not be called so.
    """
    asked = {
        "tensorboard": config.tensorboard,
        "wandb": config.wandb is not None,
        "mlflow": config.mlflow is not None,
    }
    for package, is_asked in asked.items():
        if is_asked and find_spec(package) is None:
            raise MissingDependencyError(
                f"tracking.{package}: the package {package} is not installed; get it with"
                f" pip install 'bakeoff[{package}]'"
            )
    if config.callback is not None:
        from bakeoff.tracking.callback import check_callback

        check_callback(config.callback, folder)
