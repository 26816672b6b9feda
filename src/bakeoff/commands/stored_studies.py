"""Opens the storage that a verb's options name."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bakeoff.storage import Storage


@cache
def say_wait(reason: str) -> None:
    """Say on stderr why a command waits, once for each reason."""
    typer.echo(reason, err=True)


def open_storage(
    url: str | None, output: Path, *, create: bool = False, is_known: bool = False
) -> "Storage":
    """The storage at `url`; without one, the SQLite file in the output folder.

    Args:
        url: Its address.
        output: The folder of results.
        create: See `Storage`.
        is_known: See `Storage`.

    Raises:
        UsageError: The URL is wrong.
        StorageError: The storage cannot be read, or does not exist and `create` is False.
    """
    from bakeoff.storage import Storage
    from bakeoff.storage.database import choose_storage_url

    known = choose_storage_url(url, output)
    return Storage(known, create=create, on_wait=say_wait, is_known=is_known)
