"""What a tracker does, and which values it logs."""

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bakeoff.records import EpochResult, Outcome

IDENTITY_FILE = ".tracking"
"""Contains a random id of the study, so that a study with an old name gets new runs."""
Values = Mapping[str, float | int | bool | str]


class Tracker(Protocol):
    """A service that shows runs. Every method may raise any error."""

    name: str
    place: str
    """Where people find the runs, as a few words."""

    def has(self, run: str) -> bool:
        """Whether an earlier session logged anything of this run."""

    def begin(self, run: str, values: Values) -> None:
        """A run begins or resumes. All its epochs follow, including those logged before."""

    def epoch(self, run: str, result: EpochResult) -> None:
        """A run has completed an epoch."""

    def pause(self, run: str) -> None:
        """A run is paused. `begin` resumes it."""

    def end(self, run: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """A run has ended. `scores` are single values, such as test metrics."""

    def close(self) -> None:
        """The session ends."""


def run_identity(directory: Path, run: str) -> str:
    """16 hexadecimal digits: the same whenever a run resumes, and different in another study.

    Args:
        directory: Folder of the study's results.
        run: Name of the run in it.
    """
    path = directory / IDENTITY_FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(16))
    return hashlib.sha256(f"{path.read_text()}/{run}".encode()).hexdigest()[:16]


def scalars_of(result: EpochResult) -> dict[str, float]:
    """The values of an epoch that are logged, by name."""
    return {
        **{f"validation/{name}": value for name, value in result.metrics.items()},
        "train/loss": result.train_loss,
        "train/learning_rate": result.learning_rate,
        "train/grad_norm": result.grad_norm,
        "seconds/train": result.train_seconds,
        "seconds/evaluate": result.evaluate_seconds,
    }
