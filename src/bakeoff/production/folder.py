"""The folder of one run.

config.toml          a study file of this one configuration
run.json             facts that stay fixed: seed, precision, threads, device, data
metrics.jsonl        one line per epoch
checkpoints/         exists while the run trains
weights.safetensors  the weights of the scored epoch
result.json          how the run ended; written at its end
"""

import json
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.files import write_atomically
from bakeoff.records import WEIGHTS_HASH, EpochResult, Outcome, StudyConfig, json_text
from bakeoff.studyfile import STUDY_NAME, format_study, resolve_stored

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Facts that are fixed when a run begins and kept when it continues."""

    seed: int
    precision: str
    threads: int
    device: str
    data_fingerprint: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Package versions and machine on which it began."""
    num_targets: int = 1
    """Targets of a regression; 1 in other tasks."""

    @property
    def weights_sha256(self) -> str:
        """Of the pretrained weights that it began with; empty without any."""
        return self.environment.get(WEIGHTS_HASH, "")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended."""

    outcome: Outcome
    scored_epoch: int | None
    """The epoch whose weights are kept; None if no epoch had a finite score."""
    validation_metrics: Mapping[str, float]
    """Metrics of the scored epoch."""
    test_metrics: Mapping[str, float]
    """Metrics of the scored epoch's weights on the test set; empty unless the run is complete."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Counts of validation samples by class and predicted class, [C, C], at the scored epoch."""
    note: str = ""


class RunFolder:
    """The files of one run. They stay valid if the process is killed at any moment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.weights = path / "weights.safetensors"
        self.log = path / "metrics.jsonl"
        self.page = path / "index.html"
        """Page with the learning curves."""

    @property
    def has_begun(self) -> bool:
        """Whether the folder contains a run."""
        return (self.path / "run.json").exists()

    def begin(self, config: StudyConfig, facts: RunFacts) -> None:
        """Create the folder. The run has begun when the last file, run.json, is written."""
        write_atomically(self.path / "config.toml", format_study(config))
        write_atomically(self.path / "run.json", json_text({"format": FORMAT, **asdict(facts)}))

    def load_config(self) -> StudyConfig:
        """The configuration with which the run began."""
        path = self.path / "config.toml"
        with _reading(path):
            return resolve_stored(tomllib.loads(path.read_text("utf-8")))

    def load_facts(self) -> RunFacts:
        """The facts that were fixed when the run began.

        Raises:
            BakeoffError: The run was begun by a newer release.
        """
        path = self.path / "run.json"
        with _reading(path):
            content = json.loads(path.read_text("utf-8"))
            if content.pop("format") > FORMAT:
                raise BakeoffError(
                    f"{self.path}: begun by a newer release of bakeoff; install that release"
                )
            return RunFacts(**content)

    def finish(self, result: RunResult) -> None:
        """Store how the run ended."""
        write_atomically(self.path / "result.json", json_text(result))

    def load_result(self) -> RunResult | None:
        """How the run ended; None if it has not ended."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        with _reading(path):
            content = json.loads(path.read_text("utf-8"))
            for key in ("validation_metrics", "test_metrics"):
                content[key] = _numbers(content[key])
            content["confusion"] = tuple(map(tuple, content.get("confusion", ())))
            return RunResult(**content)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name a file that does not hold what a run writes into it."""
    try:
        yield
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BakeoffError(
            f"{path} was damaged ({type(error).__name__}: {error}); restore it, or remove the"
            " run's folder and train again"
        ) from None


class EpochLog:
    """`metrics.jsonl`, which holds every epoch once even if it was trained several times.

    If a kill has cut the last line short, the line is removed when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.history: dict[int, EpochResult] = {}
        self.differs_from: int | None = None
        """First epoch that had other results when it was trained again; None if all were equal."""
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(path, len(whole))
        with _reading(path):
            for line in whole.decode("utf-8").splitlines():
                result = _read_epoch(json.loads(line))
                self.history[result.epoch] = result

    def add(self, result: EpochResult) -> bool:
        """Append an epoch unless the file has it. Return whether it is new."""
        known = self.history.get(result.epoch)
        if known is not None:
            if self.differs_from is None and measured_text(known) != measured_text(result):
                self.differs_from = result.epoch
            return False
        # The result stores the scored epoch's matrix. Epochs from a checkpoint come without one.
        result = replace(result, confusion=())
        self.history[result.epoch] = result
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json_text(result, indent=None))
        return True


def measured_text(result: EpochResult) -> str:
    """What an epoch measured except times, as text, because NaN does not equal NaN as a number."""
    return repr((dict(result.metrics), result.train_loss, result.grad_norm))


def _read_epoch(line: dict[str, Any]) -> EpochResult:
    numbers = {name: _number(line[name]) for name in ("train_loss", "learning_rate", "grad_norm")}
    return EpochResult(**{**line, **numbers, "metrics": _numbers(line["metrics"])})


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _numbers(values: Mapping[str, float | str | None]) -> dict[str, float]:
    return {name: _number(value) for name, value in values.items()}


def check_run_name(name: str) -> str:
    """Return `name` if it is allowed as the name of a folder.

    Raises:
        UsageError: It is not allowed.
    """
    if not STUDY_NAME.fullmatch(name):
        raise UsageError(
            f"--name = {name!r}: allowed are 1 to 100 letters, digits and . _ -, starting with a"
            " letter or digit and not ending with a dot"
        )
    return name
