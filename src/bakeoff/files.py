"""Files that are either the old ones or the new ones, and never half."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text` as UTF-8; a crash leaves the old file or the new one.

    Characters that UTF-8 cannot hold are written as escapes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(
            handle, "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_durably(path: Path, data: memoryview | bytes) -> None:
    """Write, sync, rename, sync the folder: after a crash the file is old, new or absent.

    What a crash leaves of an unfinished write is called `path` with `.partial` behind it.
    """
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_others(directory: Path, kept: Iterable[Path], pattern: str) -> None:
    """Remove files of `directory` that match `pattern`, except those in `kept`."""
    names = {path.name for path in kept}
    for path in directory.glob(pattern):
        if path.name not in names and not path.is_dir():
            path.unlink()
