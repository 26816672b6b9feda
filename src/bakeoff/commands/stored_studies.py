"""Opens the storage that a verb's options name."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.storage import Storage


def open_storage(url: str | None, output: Path, *, create: bool = False) -> "Storage":
    """The storage at `url`; without one, the SQLite file in the output folder.

    Raises:
        UsageError: The URL is wrong.
        StorageError: The storage cannot be read, or does not exist and `create` is False.
    """
    from bakeoff.storage import Storage
    from bakeoff.storage.database import choose_storage_url

    return Storage(choose_storage_url(url, output), create=create)
