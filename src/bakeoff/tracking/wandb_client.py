"""Logs to Weights & Biases: one group per study; offline unless the user has logged in."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import wandb

from bakeoff.records import EpochResult, Outcome
from bakeoff.tracking.tracker import Values, run_identity, scalars_of

INIT_SECONDS = 30.0
"""How long the server may take to answer. The study waits for it only at its end."""


class WandbTracker:
    """Logs the runs of one study to one project.

    Args:
        directory: Folder of the study's results. W&B stores its files in `wandb` below it.
        project: The W&B project.
        group: The name of the study.
    """

    name = "Weights & Biases"

    def __init__(self, directory: Path, project: str, group: str) -> None:
        self._directory = directory
        self._project = project
        self._group = group
        self._runs: dict[str, wandb.Run] = {}
        mode = os.environ.get("WANDB_MODE") or _mode()
        self.place = (
            f"is online, project {project}"
            if mode == "online"
            else f"is {mode}; `wandb sync {directory / 'wandb'}/offline-run-*` sends the runs"
        )

    def has(self, run: str) -> bool:
        """See `Tracker`."""
        return any((self._directory / "wandb").glob(f"*run-*-{run_identity(self._directory, run)}"))

    def begin(self, run: str, values: Values) -> None:
        """See `Tracker`. Replaces files that were not sent yet and resumes a run that was sent."""
        self.pause(run)
        for path in (self._directory / "wandb").glob(
            f"offline-run-*-{run_identity(self._directory, run)}"
        ):
            shutil.rmtree(path)
        self._runs[run] = wandb.init(
            project=self._project,
            group=self._group,
            name=run,
            id=run_identity(self._directory, run),
            dir=str(self._directory),
            config=dict(values),
            mode=_mode(),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, init_timeout=INIT_SECONDS
            ),
        )

    def epoch(self, run: str, result: EpochResult) -> None:
        """See `Tracker`. Does not send epochs again that the server has."""
        if result.epoch >= self._runs[run].starting_step:
            self._runs[run].log(scalars_of(result), step=result.epoch)

    def pause(self, run: str) -> None:
        """See `Tracker`."""
        active = self._runs.pop(run, None)
        if active is not None:
            active.finish()

    def end(self, run: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """See `Tracker`."""
        active = self._runs.pop(run, None)
        if active is None:  # it ended while it was paused
            return
        active.summary.update({"outcome": outcome, **scores})
        active.finish(exit_code=1 if outcome in ("failed", "infeasible") else 0)

    def close(self) -> None:
        """See `Tracker`."""
        for run in list(self._runs):
            self.pause(run)


def _mode() -> Literal["online", "offline"] | None:
    """WANDB_MODE if it is set. Otherwise online only after a login, so that W&B never asks."""
    if os.environ.get("WANDB_MODE"):
        return None
    return "online" if wandb.api.api_key else "offline"
