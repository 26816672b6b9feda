"""What a store of files can do."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Files below one place, each with a key such as `attempt-1/epoch-0000003.pt`.

    A file is there as a whole after `put` returned. It may be there in part while `put` writes, and
    after it failed or its process was killed. What cannot be reached raises `StoreError`, or, in a
    folder, another `OSError`.
    """

    @property
    def location(self) -> str:
        """The place, as it may be shown and stored."""

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write a file, or replace it."""

    def get(self, key: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: There is none of this key.
        """

    def keys(self) -> list[str]:
        """The keys of all files, those included that a killed `put` left unfinished."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files one after the other; one that is not there is skipped."""

    def move_out(self, key: str, target: Path, sha256: str) -> None:
        """Move a file to a path of this machine, whose folder is created.

        Raises:
            FileNotFoundError: There is no file of this key.
            ValueError: It has another SHA-256; nothing was moved.
        """

    def clear(self) -> None:
        """Remove all files, and the folder that held them."""
