"""Logs to TensorBoard: one folder per run with its scalars and hyperparameters.

This uses TensorBoard's own writer. The one of torch would import torch into the driver, and it
writes hyperparameters to a separate folder.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from bakeoff.records import EpochResult, Outcome
from bakeoff.tracking.tracker import Values, scalars_of

EVENT_FILES = "events.out.tfevents.*"


class TensorBoardTracker:
    """Event files under `directory`, one folder per run."""

    name = "TensorBoard"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.place = f"tensorboard --logdir {directory}"
        self._writers: dict[str, EventFileWriter] = {}
        self._last_epochs: dict[str, int] = {}

    def has(self, run: str) -> bool:
        """See `Tracker`."""
        return any((self._directory / run).glob(EVENT_FILES))

    def begin(self, run: str, values: Values) -> None:
        """See `Tracker`. Epochs that an earlier session wrote are kept and not written again."""
        self.pause(run)
        last_step = _last_step(self._directory / run)
        self._last_epochs[run] = last_step or 0
        self._writers[run] = EventFileWriter(str(self._directory / run))
        if last_step is None:
            self._write(run, Event(step=0, summary=hparams_pb(dict(values), trial_id=run)))

    def epoch(self, run: str, result: EpochResult) -> None:
        """See `Tracker`."""
        if result.epoch <= self._last_epochs[run]:
            return
        self._last_epochs[run] = result.epoch
        self._add_scalars(run, result.epoch, scalars_of(result))
        self._writers[run].flush()

    def pause(self, run: str) -> None:
        """See `Tracker`."""
        writer = self._writers.pop(run, None)
        if writer is not None:
            writer.close()

    def end(self, run: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """See `Tracker`."""
        if run not in self._writers:  # it ended while it was paused
            return
        self._add_scalars(run, self._last_epochs[run], scores)
        is_failure = outcome in ("failed", "infeasible", "diverged")
        ended = plugin_data_pb2.SessionEndInfo(
            status=STATUS_FAILURE if is_failure else STATUS_SUCCESS, end_time_secs=time.time()
        )
        value = Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG,
            metadata=metadata.create_summary_metadata(
                plugin_data_pb2.HParamsPluginData(session_end_info=ended)
            ),
            tensor=metadata.NULL_TENSOR,
        )
        self._write(run, Event(step=0, summary=Summary(value=[value])))
        self.pause(run)

    def close(self) -> None:
        """See `Tracker`."""
        for run in list(self._writers):
            self.pause(run)

    def _add_scalars(self, run: str, step: int, scalars: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        if values:
            self._write(run, Event(step=step, summary=Summary(value=values)))

    def _write(self, run: str, event: Event) -> None:
        event.wall_time = time.time()
        self._writers[run].add_event(event)


def _last_step(folder: Path) -> int | None:
    """The last step in the event files of a run; None if there is no step."""
    steps = (
        event.step
        for path in sorted(folder.glob(EVENT_FILES))
        for event in EventFileLoader(str(path)).Load()
        if event.summary.value
    )
    return max(steps, default=None)
