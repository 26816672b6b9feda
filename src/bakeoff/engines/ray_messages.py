"""What the driver and its process that speaks to Ray say to each other, besides jobs and events."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bakeoff.engines.protocol import MemberReply, Reply
from bakeoff.version import __version__


@dataclass(frozen=True)
class Answer:
    """The driver's reply to a run."""

    run: str
    reply: Reply | MemberReply


@dataclass(frozen=True)
class Kill:
    """Kill the worker of a run."""

    run: str


@dataclass(frozen=True)
class Close:
    """End all workers."""


@dataclass(frozen=True)
class Note:
    """Something that the user should know."""

    text: str


@dataclass(frozen=True)
class Ready:
    """The number of workers that are ready, with those that have a run. Sent every few seconds."""

    num_workers: int


@dataclass(frozen=True)
class Unusable:
    """The cluster cannot be used, whatever is tried."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class WorkerLayout:
    """How every worker of a cluster is set up."""

    threads: int
    """Of each process."""
    devices_per_trial: int = 1
    """Processes that train a run together, all on the worker's node."""
    gpus: float
    device: str
    hang_seconds: float
    current_folder: str
    """The driver's, in which workers run too where their node has it."""
    num_folders: int
    """Number of folders in the archive of the user's code."""

    @property
    def cpus(self) -> int:
        """CPUs that a worker takes of its node."""
        return self.threads * self.devices_per_trial


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a worker says of its node."""

    node: str
    """Ray's id of it."""
    name: str
    versions: Mapping[str, str]
    """Of Python, torch and bakeoff."""

    def difference(self, ours: Mapping[str, str]) -> str:
        """How the versions differ from the driver's; empty if they are the same."""
        return ", ".join(
            f"{package} {self.versions.get(package)} there and {here} here"
            for package, here in ours.items()
            if self.versions.get(package) != here
        )


@lru_cache(maxsize=1)
def installed_versions() -> Mapping[str, str]:
    """Versions of what a run's results and messages depend on, when first called."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "not installed"
    python, digest = platform.python_version(), _source_digest()
    return {"Python": python, "torch": torch, "bakeoff": f"{__version__} ({digest})"}


def _source_digest() -> str:
    """8 digits that depend on every line of this package."""
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]
