"""Logs to Weights & Biases: one group per study; offline unless the user has logged in."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import wandb

from bakeoff.records import EpochResult, Outcome
from bakeoff.tracking.tracker import Values, scalars_of

IDENTITY_FILE = ".tracking"
"""Contains a random id of the study, so that a study with an old name gets new runs."""
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

    def has(self, run: str) -> bool:
        """See `Tracker`."""
        return any((self._directory / "wandb").glob(f"*run-*-{self._id(run)}"))

    def begin(self, run: str, values: Values) -> None:
        """See `Tracker`. Replaces files that were not sent yet and resumes a run that was sent."""
        self.pause(run)
        for path in (self._directory / "wandb").glob(f"offline-run-*-{self._id(run)}"):
            shutil.rmtree(path)
        self._runs[run] = wandb.init(
            project=self._project,
            group=self._group,
            name=run,
            id=self._id(run),
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

    def _id(self, run: str) -> str:
        """The run's id at W&B: the same whenever it resumes, and different in another study."""
        path = self._directory / IDENTITY_FILE
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            path.write_text(secrets.token_hex(16))
        return hashlib.sha256(f"{path.read_text()}/{run}".encode()).hexdigest()[:16]


def _mode() -> Literal["online", "offline"] | None:
    """WANDB_MODE if it is set. Otherwise online only after a login, so that W&B never asks."""
    if os.environ.get("WANDB_MODE"):
        return None
    return "online" if wandb.api.api_key else "offline"
