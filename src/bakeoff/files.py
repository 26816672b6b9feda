"""Atomic and durable writes of files, and lock files between processes."""

import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bakeoff.errors import OutputError

UNFINISHED = ".bakeoff.tmp"
"""Ending of the names of files that are being written."""
LEFT_SECONDS = 60.0
"""A temporary folder that is older and not locked belongs to no living process."""
LOOK_PAUSES = (0.05, 0.05)
"""Seconds before another attempt to take a lock: `is_lock_held` takes a lock for a moment."""


class LockHeldError(Exception):
    """Another process holds a lock. The message is the text that it wrote into the file."""


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text`; see `replace_files`."""
    replace_files({path: text})


def replace_files(texts: Mapping[Path, str]) -> None:
    """Replace files with texts as UTF-8: all of them, or none if one of them cannot be written.

    A crash leaves each file old or new. Characters that UTF-8 cannot encode are written as escapes.
    New files have the mode that the process's umask gives. Unfinished files of killed processes in
    the same folders are removed.

    Raises:
        OutputError: A file cannot be written. Nothing was changed.
    """
    with ExitStack() as held:
        for folder in dict.fromkeys(path.parent for path in texts):
            held.enter_context(_writing_into(folder))
        pending = {path: held.enter_context(_unfinished(path, texts[path])) for path in texts}
        for path, temporary in pending.items():
            with _naming(path):
                temporary.replace(path)


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    """Hold a lock of the folder, which tells others that its unfinished files are not left over."""
    with _naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # another process is writing, or the file system has no locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(f".*{UNFINISHED}"):
                left.unlink()
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def _unfinished(path: Path, text: str) -> Iterator[Path]:
    """A file next to `path` that holds the text. It is removed if it is left."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with _naming(path), temporary.open("xb") as file:
            file.write(text.encode("utf-8", errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in an error of the operating system."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error})") from error


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A new folder for temporary files, which is removed at the end.

    Folders that killed processes left are removed, too: nobody holds their lock.

    Args:
        purpose: A word in the folder's name.

    Raises:
        OutputError: The folder cannot be made.
    """
    prefix, parent = f"bakeoff-{purpose}-", Path(tempfile.gettempdir())
    with _naming(parent):
        _remove_left_folders(parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix))
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_folders(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                found = os.fstat(handle)
                if found.st_uid == os.getuid() and time.time() - found.st_mtime > LEFT_SECONDS:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def open_below(folder: Path, *parts: str) -> BinaryIO:
    """Open a file below `folder` for reading, without following a link on the way from there.

    Args:
        folder: May itself be a link.
        parts: The names of the folders below it, and of the file.

    Raises:
        OSError: There is no such file, a part of the path is a link, or it is not a regular file.
    """
    if not parts or any(one in ("", ".", "..") or "/" in one or "\0" in one for one in parts):
        raise FileNotFoundError(errno.ENOENT, "no name of a file", "/".join(parts))
    flags = os.O_RDONLY | os.O_CLOEXEC
    handle = os.open(folder, flags | os.O_DIRECTORY)
    for place, part in enumerate(parts, start=1):
        # a pipe is not waited for
        kind = os.O_DIRECTORY if place < len(parts) else os.O_NONBLOCK
        try:
            inner = os.open(part, flags | os.O_NOFOLLOW | kind, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "not a regular file", "/".join(parts))
    return os.fdopen(handle, "rb")


def write_durably(path: Path, data: memoryview | bytes) -> None:
    """Write and sync the file and its folder. After a crash the file is old, new or absent.

    A kill may leave an unfinished file whose name is that of `path` with `.partial` appended. The
    next call writes over it.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
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
        for pause in (*LOOK_PAUSES, None):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if pause is None:
                    file.seek(0)
                    raise LockHeldError(file.read()) from None
            time.sleep(pause)
        file.truncate(0)
        file.write(holder)
        file.flush()
        yield


def is_lock_held(path: Path) -> bool | None:
    """Whether a process holds `path` by `hold_lock`; None if the file cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def wait_for_lock(descriptor: int, *, shared: bool = False) -> None:
    """Wait for the lock of an open file or folder. Closing the file releases the lock."""
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
