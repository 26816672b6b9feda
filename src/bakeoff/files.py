"""Atomic and durable writes of files, and lock files between processes."""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class LockHeldError(Exception):
    """Another process holds a lock. The message is the text that it wrote into the file."""


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text` as UTF-8. A crash leaves the old file or the new one.

    Characters that UTF-8 cannot encode are written as escapes.
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
    """Write and sync the file and its folder. After a crash the file is old, new or absent.

    A crash may leave an unfinished file whose name is that of `path` with `.partial` appended.
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


@contextmanager
def hold_lock(path: Path, holder: str) -> Iterator[None]:
    """Hold `path` as a lock until the block ends or this process dies.

    The file is not removed afterwards. Otherwise two processes could lock two files of one name.

    Args:
        path: The lock file, which is created if it is missing.
        holder: Text that tells other processes who holds the lock.

    Raises:
        LockHeldError: Another process holds it.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise LockHeldError(file.read()) from None
        file.truncate(0)
        file.write(holder)
        file.flush()
        yield


def wait_for_lock(descriptor: int, *, shared: bool = False) -> None:
    """Wait for the lock of an open file or folder. Closing the file releases the lock."""
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
