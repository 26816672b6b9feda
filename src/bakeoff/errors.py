"""The errors that a user can see, each with the exit code of the command line."""

import sysconfig
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bakeoff.nearest import find_nearest

PACKAGE = str(Path(__file__).parent)
"""The folder of bakeoff's own code."""
MAX_MESSAGE = 500
"""Characters that are kept of a message that the user's code raised."""


class BakeoffError(Exception):
    """Base class of every error that is reported as one line, without a traceback."""

    exit_code = 1


class UsageError(BakeoffError, ValueError):
    """An option, a study name or a call is wrong; nothing was created."""

    exit_code = 2


class StudyFileError(UsageError):
    """The study file is wrong; the message names the file, key, value and allowed values."""


class SpaceChangedError(UsageError):
    """The stored study has other settings; the message prints the difference."""


class UntrainableError(UsageError):
    """The user's model, optimizer or loop raised an error in its first steps."""


class StudyLockedError(UsageError):
    """Another driver is running this study; the message names its host, process and start time."""


class StudyTakenOverError(BakeoffError):
    """Another driver took over the study while the storage was unreachable; this one must stop."""


class WorkersLostError(BakeoffError):
    """Workers end before they train anything; the cause is outside the study."""


class NothingCompletedError(BakeoffError):
    """The study finished, but no trial completed."""

    exit_code = 3


class DataError(BakeoffError):
    """Data is missing or unusable; the message says how to get or repair it."""

    exit_code = 4


class DataChangedError(DataError):
    """The data is not that with which the study began."""


class MissingDependencyError(BakeoffError):
    """An optional package is missing; the message names the extra that brings it."""

    exit_code = 4


class StorageError(BakeoffError):
    """The storage cannot be reached, opened or trusted."""

    exit_code = 5


class StorageUnreachableError(StorageError):
    """The storage does not answer for now."""


class EmptyStorageError(StorageError):
    """The storage is empty."""


class OutputError(BakeoffError, OSError):
    """A file of the results cannot be written: the disk is full, or the folder is read-only."""


class StoreError(BakeoffError, OSError):
    """A store of files does not answer, or refuses what is asked."""

    exit_code = 5


class CheckpointError(BakeoffError):
    """A checkpoint is damaged, or belongs to another run."""


class CheckpointWriteError(CheckpointError, OSError):
    """A checkpoint cannot be written: a full disk, a lost folder or network."""


HALTING = (CheckpointWriteError, DataChangedError)
"""Errors for which no run is to blame: a study stops, and continues when they are mended."""


def one_line(text: object) -> str:
    """Return `text` on one line, with control characters escaped."""
    return escaped(" ".join(str(text).split()))


def visible(text: object) -> str:
    """Return `text` with everything that cannot be seen escaped; unlike `one_line` it keeps spaces.

    Control characters could split a table or steer a terminal, and marks of the writing direction
    could show a name as another one.
    """
    return escaped(str(text))


def escaped(text: str, *, kept: str = "") -> str:
    """Return `text` with every character escaped that cannot be seen and is not in `kept`.

    Names of files that Python could not decode are taken as UTF-8 where they are.
    """
    seen = text
    for char in kept:
        seen = seen.replace(char, "")
    if seen.isprintable():
        return text
    with suppress(UnicodeError):
        text = text.encode("utf-8", "surrogateescape").decode("utf-8")
    return "".join(
        char if char.isprintable() or char in kept else repr(char)[1:-1] for char in text
    )


def describe_error(error: BaseException, *, names_own: bool = False) -> str:
    """Describe an error of the user's code: `ValueError: no such layer (my_models.py:12)`.

    The place is the last line in the traceback from a file that is neither installed nor part of
    bakeoff. If there is no such line, the place is left out, or with `names_own` it is the last
    line of bakeoff.
    """
    text = f"{type(error).__name__}: {one_line(error)[:MAX_MESSAGE]}"
    users, ours = _lines_of(error)
    named = users or (ours if names_own else [])
    return f"{text} ({Path(named[-1].filename).name}:{named[-1].lineno})" if named else text


def passes_own_code(error: BaseException) -> bool:
    """Whether a line of the user's code was running: then the call of it was not refused."""
    users, _ = _lines_of(error)
    return bool(users)


def _lines_of(
    error: BaseException,
) -> tuple[list[traceback.FrameSummary], list[traceback.FrameSummary]]:
    """The lines of the traceback that are the user's, and those of bakeoff, outermost first."""
    folders = sysconfig.get_paths()
    installed = (*(folders[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), "<")
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    users = [frame for frame in frames if not frame.filename.startswith((PACKAGE, *installed))]
    return users, ours


def describe_unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Say that `name` is not a known `kind`, suggest the nearest known name, and list all names."""
    names = list(known)
    nearest = find_nearest(str(name), names)
    hint = f"did you mean {nearest!r}? " if nearest else ""
    return f"unknown {kind} {name!r}; {hint}allowed: {', '.join(names) or 'none'}"
