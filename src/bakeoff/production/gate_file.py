"""The baseline of a gate: a small JSON file of scores by seed, with everything they depend on.

It may come from anybody, so everything in it is checked before it is used. Nothing in it is run.
"""

import hashlib
import json
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    model_validator,
)

from bakeoff.analysis.gate import MIN_SEEDS
from bakeoff.analysis.statistics import Scores
from bakeoff.errors import MAX_MESSAGE, UsageError, one_line
from bakeoff.files import write_atomically
from bakeoff.records import Direction, GateRun, StudyConfig, as_plain, as_strict, json_text
from bakeoff.seeding import MAX_SEED
from bakeoff.studyfile import resolve_stored

KIND = "bakeoff gate baseline"
FORMAT = 1
MOST_BYTES = 10_000_000
GIT_SECONDS = 30
Text = Annotated[str, StringConstraints(max_length=100_000)]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Scores of a model by seed, and what they depend on."""

    study: str
    settings: str
    """The study file of the one configuration that was trained, as TOML."""
    metric: str
    direction: Direction
    margin: float
    """The largest loss of later code that is accepted, in units of the metric."""
    margin_source: str
    num_validation: int | None
    data_fingerprint: str
    precision: str
    threads: int
    device: str
    commit: str
    """The git commit of the code; empty outside a repository."""
    environment: Mapping[str, str]
    """Package versions, machine and files of the user's code."""
    runs: tuple[GateRun, ...]
    """All of them complete."""

    @cached_property
    def config(self) -> StudyConfig:
        """The configuration that was trained.

        Raises:
            UsageError: The settings are not those of a study of this release.
        """
        return resolve_stored(tomllib.loads(self.settings))

    def scores(self, num_seeds: int | None = None) -> Scores:
        """Scores of the first `num_seeds` runs, or of all, [K]."""
        return np.array([run.score for run in self.runs[:num_seeds]], dtype=np.float64)


class _Run(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]
    outcome: Literal["complete"]
    score: FiniteFloat
    epoch: Annotated[int, Field(ge=1)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: Literal[""]


class _Content(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    study: Text
    settings: Text
    metric: Text
    direction: Literal["maximize", "minimize"]
    margin: Annotated[FiniteFloat, Field(gt=0)]
    margin_source: Text
    num_validation: Annotated[int, Field(ge=1)] | None
    data_fingerprint: Text
    precision: Literal["fp32", "bf16", "fp16"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    device: Text
    commit: Text
    environment: dict[Text, Text]
    runs: Annotated[list[_Run], Field(min_length=MIN_SEEDS, max_length=10_000)]

    @model_validator(mode="after")
    def _check_seeds(self) -> Self:
        if len({run.seed for run in self.runs}) < len(self.runs):
            raise ValueError("runs: a seed occurs twice")
        return self


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Store a baseline.

    Raises:
        OutputError: The file cannot be written.
    """
    content = as_strict(as_plain(baseline))
    head = {"kind": KIND, "format": FORMAT, "sha256": _digest(content)}
    write_atomically(path, json_text({**head, **content}))


def check_target(path: Path) -> None:
    """Refuse to replace a file that is no baseline.

    Raises:
        UsageError: There is such a file, or a folder.
    """
    if not path.exists():
        return
    try:
        is_baseline = f'"{KIND}"' in path.read_text("utf-8")[:1000]
    except (OSError, ValueError):
        is_baseline = False
    if not is_baseline:
        raise UsageError(
            f"--store-baseline {path}: exists and is not a baseline; name another file"
        )


def load_baseline(reference: str) -> Baseline:
    """Read a baseline from a file, or from a file of a git revision as in `main:ci/baseline.json`.

    A revision is only read. Nothing is checked out, and no code of it is run.

    Raises:
        UsageError: There is no such file, or it is damaged, edited or of a newer release.
    """
    where = f"--baseline {reference}"
    text = _read(reference, where)
    try:
        content = _parsed(text)
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise ValueError("is not a baseline; `study gate --store-baseline` writes one")
        format_, expected = content.pop("format", None), content.pop("sha256", None)
        del content["kind"]
        if not isinstance(format_, int) or format_ > FORMAT:
            raise ValueError("was written by a newer release of bakeoff")
        if expected != _digest(content):
            raise ValueError(
                "was damaged or edited (its SHA-256 does not match); restore it, or store it anew"
                " with --store-baseline"
            )
        checked = _Content.model_validate(content).model_dump()
        runs = tuple(GateRun(**run) for run in checked.pop("runs"))
        baseline = Baseline(**checked, runs=runs)
        _ = baseline.config
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "it"
        raise UsageError(f"{where}: {place}: {one_line(problem['msg'])}") from None
    except ValueError as error:
        raise UsageError(f"{where}: {one_line(error)[:MAX_MESSAGE]}") from None
    return baseline


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no valid JSON, so it is damaged or no baseline ({error})") from None


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over the content, whatever the order and layout of the file."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(reference: str, where: str) -> str:
    path = Path(reference)
    try:
        if not path.is_file() and ":" in reference:
            return _read_from_git(reference, where)
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{where}: is too large for a baseline")
        return path.read_text("utf-8")
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(
            f"{where}: there is no such file; `study gate FILE --store-baseline {reference}` writes"
            " it"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{where}: cannot be read ({one_line(error)})") from None


def _read_from_git(reference: str, where: str) -> str:
    if reference.startswith("-"):
        raise UsageError(f"{where}: a revision does not begin with -")
    # `cat-file` prints the file as it is stored; `show` could run filters that a repository names
    found = _git("cat-file", "blob", reference)
    if found is None:
        raise UsageError(f"{where}: there is no such file, and git is not installed")
    if found.returncode:
        why = one_line(found.stderr.decode("utf-8", "replace"))[:200]
        raise UsageError(
            f"{where}: git has no such file ({why}); write REVISION:PATH with the path from the top"
            " of the repository, and fetch the revision first"
        )
    return found.stdout[:MOST_BYTES].decode("utf-8")


def commit_of(folder: str) -> str:
    """The git commit of a folder, marked where files differ from it; empty outside a repository."""
    place = ("-C", folder or ".")
    found = _git(*place, "rev-parse", "HEAD")
    if found is None or found.returncode:
        return ""
    status = _git(*place, "status", "--porcelain", "--untracked-files=no")
    is_changed = status is not None and bool(status.stdout.strip())
    return found.stdout.decode("ascii", "replace").strip() + (" with changes" if is_changed else "")


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
    try:
        return subprocess.run(  # noqa: S603 - no shell
            ["git", *arguments],  # noqa: S607 - git is found on the PATH
            capture_output=True, check=False, timeout=GIT_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
