"""A folder as a store: files are synced and renamed, so that each is old, new or absent."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bakeoff.files import write_durably


class LocalStore:
    """The files below a folder, which the first `put` creates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write and sync a file. After a crash it is old, new or absent."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)

    def get(self, key: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: There is none of this key.
        """
        return (self._folder / key).read_bytes()

    def keys(self) -> list[str]:
        """The keys of all files, those included that a killed `put` left unfinished."""
        found: list[str] = []
        for folder, _, names in os.walk(self._folder, onerror=_raise_unless_gone):
            place = Path(folder).relative_to(self._folder)
            found += [str(place / name) for name in names]
        return found

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files one after the other, and the folders that they leave empty."""
        for key in keys:
            path = self._folder / key
            path.unlink(missing_ok=True)
            if path.parent != self._folder:
                with suppress(OSError):  # other files are in it
                    path.parent.rmdir()

    def move_out(self, key: str, target: Path, sha256: str) -> None:
        """Rename a file to `target`, or copy it where that is on another disk.

        Raises:
            FileNotFoundError: There is no file of this key.
            ValueError: It has another SHA-256; nothing was moved.
        """
        path = self._folder / key
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise ValueError("its SHA-256 does not match")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            write_durably(target, path.read_bytes())
            path.unlink()

    def clear(self) -> None:
        """Remove the folder with all its files.

        Raises:
            OSError: A file cannot be removed; others may have been.
        """
        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder)


def _raise_unless_gone(error: OSError) -> None:
    """A folder that another process has removed meanwhile has no files."""
    if not isinstance(error, FileNotFoundError):
        raise error
