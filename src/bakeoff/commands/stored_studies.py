"""Opens the storage that a verb's options name."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bakeoff.records import StudyConfig
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


def load_named_study(
    file: Path, changes: Sequence[str], url: str | None, output: Path
) -> "StudyConfig":
    """The study of a file; for a name without a file, the stored study of that name.

    Args:
        file: The study file, or the name of a study.
        changes: What replaces settings, as in `search.trials_per_arm=5`.
        url: URL of the storage; without one, the SQLite file in the output folder.
        output: The folder of results.

    Raises:
        StudyFileError: There is no such file or study, or it is wrong.
        UsageError: An entry of `changes` cannot be parsed.
    """
    import tomllib

    from bakeoff.errors import BakeoffError
    from bakeoff.studyfile import format_study, load_study, load_study_file, locate, parse_settings
    from bakeoff.studyfile.own_parts import other_folders, own_modules

    is_name = len(file.parts) == 1 and not file.suffix and not locate(file).exists()
    if is_name:
        try:
            storage = open_storage(url, output)
            stored, facts = storage.load_config(file.name), storage.load_facts(file.name)
        except BakeoffError:  # the message about the missing file is the better one
            return load_study_file(file, changes)
        return load_study(
            tomllib.loads(format_study(stored)),
            settings=parse_settings(changes),
            folder=next(iter(other_folders(own_modules(stored), facts.environment)), ""),
        )
    return load_study_file(file, changes)
