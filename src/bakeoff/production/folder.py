"""The folder of one run: its settings, an epoch a line, its weights and how it ended.

config.toml          a study file of this one configuration
run.json             what stays fixed from the beginning: seed, precision, threads, device, data
metrics.jsonl        a line per epoch
checkpoints/         while it trains
weights.safetensors  of the scored epoch
result.json          once it has ended
"""

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.files import write_atomically
from bakeoff.records import EpochResult, Outcome, StudyConfig, as_plain
from bakeoff.studyfile import STUDY_NAME, format_study, resolve_study

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What was fixed when a run began, and is kept when it continues."""

    seed: int
    precision: str
    threads: int
    device: str
    data_fingerprint: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions and machine it was begun on."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended."""

    outcome: Outcome
    scored_epoch: int | None
    """The epoch whose weights are kept; None if no epoch was finite."""
    validation_metrics: Mapping[str, float]
    """Of the scored epoch."""
    test_metrics: Mapping[str, float]
    """Of the scored epoch's weights, read once; empty unless the run is complete."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Validation samples by class and predicted class, [C, C], at the scored epoch."""
    note: str = ""


class RunFolder:
    """One run on disk; everything in it survives a kill at any moment."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints go while the run trains."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """Weights of the scored epoch, once the run is complete."""
        return self.path / "weights.safetensors"

    @property
    def page(self) -> Path:
        """The learning curves."""
        return self.path / "index.html"

    @property
    def has_begun(self) -> bool:
        """Whether a run stands here."""
        return (self.path / "run.json").exists()

    def begin(self, config: StudyConfig, facts: RunFacts) -> None:
        """Make the folder; until its last file is written, no run has begun."""
        write_atomically(self.path / "config.toml", format_study(config))
        _write_json(self.path / "run.json", {"format": FORMAT, **asdict(facts)})

    def load_config(self) -> StudyConfig:
        """The configuration the run was begun with."""
        return resolve_study(tomllib.loads((self.path / "config.toml").read_text("utf-8")))

    def load_facts(self) -> RunFacts:
        """What was fixed when it began.

        Raises:
            BakeoffError: A newer release began it.
        """
        content = json.loads((self.path / "run.json").read_text("utf-8"))
        if content.pop("format") > FORMAT:
            raise BakeoffError(f"{self.path}: begun by a newer bakeoff; install that one")
        return RunFacts(**content)

    def finish(self, result: RunResult) -> None:
        """Note how the run ended."""
        _write_json(self.path / "result.json", as_plain(result))

    def load_result(self) -> RunResult | None:
        """How the run ended; None while it has not."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        content = json.loads(path.read_text("utf-8"))
        for key in ("validation_metrics", "test_metrics"):
            content[key] = _numbers(content[key])
        content["confusion"] = tuple(map(tuple, content.get("confusion", ())))
        return RunResult(**content)


class EpochLog:
    """`metrics.jsonl`: every epoch stands in it once, however often it was trained.

    A line that a kill cut short is removed when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.history: dict[int, EpochResult] = {}
        self.differs_from: int | None = None
        """First epoch that came out otherwise when it was trained again; None if none did."""
        self._read()

    def _read(self) -> None:
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self._path, len(whole))
        for line in whole.decode("utf-8").splitlines():
            result = _read_epoch(json.loads(line))
            self.history[result.epoch] = result

    def add(self, result: EpochResult) -> bool:
        """Append an epoch unless it stands there already; whether it was new."""
        known = self.history.get(result.epoch)
        if known is not None:
            if self.differs_from is None and _measured(known) != _measured(result):
                self.differs_from = result.epoch
            return False
        # The scored epoch's matrix stands in the result; a repeated epoch has none any more.
        result = replace(result, confusion=())
        self.history[result.epoch] = result
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(as_plain(result))) + "\n")
        return True


def _measured(result: EpochResult) -> str:
    """All but the clock, as text: NaN is equal to itself there."""
    return repr((dict(result.metrics), result.train_loss, result.grad_norm))


def _read_epoch(line: dict[str, Any]) -> EpochResult:
    numbers = ("train_loss", "learning_rate", "grad_norm")
    return EpochResult(
        **{
            **line,
            "metrics": _numbers(line["metrics"]),
            **{name: _number(line[name]) for name in numbers},
        }
    )


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _numbers(values: Mapping[str, float | str | None]) -> dict[str, float]:
    return {name: _number(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Strict JSON: NaN as null, infinities as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(_plain(dict(content)), indent=2) + "\n")


def check_run_name(name: str) -> str:
    """`name`, if a folder may be called so.

    Raises:
        UsageError: It may not.
    """
    if not STUDY_NAME.fullmatch(name):
        raise UsageError(
            f"--name = {name!r}: allowed are 1 to 100 letters, digits and . _ -, starting with a"
            " letter or digit and not ending with a dot"
        )
    return name
