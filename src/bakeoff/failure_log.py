"""Files that keep the tracebacks of errors that nobody foresaw."""

import os
import platform
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_state_path

from bakeoff.version import __version__

MOST_LOGS = 20
"""Number of files that are kept; the oldest are removed."""
LONGEST = 1_000_000
"""Characters of a file."""
IN_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"<>]*@")
"""User and password of an address. A password may itself hold `@` and `/`."""
WITHOUT_SCHEME = re.compile(r"(?<![\w/])[\w.+-]+:(?!//)[^\s:@'\"]+@(?=[\w.\[-])")
"""`user:password@host` alone."""
NAMED = re.compile(
    r"(?P<name>\b\w*(?:password|passwd|passfile|secret|token|api_?key)\w*['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s&,;)}\]]+)",
    re.IGNORECASE,
)
"""`password=...` of an address or of a database's driver, `--token ...` as `token=...`."""


def failures_folder() -> Path:
    """Where the files are: in the user's folder for the state of programs."""
    return user_state_path("bakeoff") / "failures"


def redacted(text: str) -> str:
    """`text` without the credentials that it holds."""
    text = IN_ADDRESS.sub(r"\g<scheme>***@", text)
    text = WITHOUT_SCHEME.sub("***@", text)
    return NAMED.sub(r"\g<name>***", text)


def keep_traceback(error: BaseException, command: Sequence[str]) -> Path | None:
    """Write an error's traceback to a new file that only the user can read; return the file.

    Credentials in the text are replaced. None means that the file cannot be written.

    Args:
        error: Caught where it was raised.
        command: The arguments of the command that failed.
    """
    lines = "".join(traceback.format_exception(error))
    return keep_text(f"command: {' '.join(command)}\n\n{lines}")


def keep_text(text: str) -> Path | None:
    """Write a text like that of `keep_traceback`."""
    about = f"bakeoff {__version__}, Python {sys.version.split()[0]}, {platform.platform()}\n"
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = failures_folder()
    path = folder / f"{now}-{os.getpid()}.log"
    content = redacted(about + text)[:LONGEST].encode("utf-8", errors="backslashreplace")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError:  # a full disk
        with suppress(OSError):
            path.unlink()
        return None
    _remove_oldest(folder)
    return path


def _remove_oldest(folder: Path) -> None:
    for path in sorted(folder.glob("*.log"))[:-MOST_LOGS]:
        with suppress(OSError):
            path.unlink()
