"""Where a study runs and which resources it uses."""

import os
from dataclasses import dataclass
from pathlib import Path

from bakeoff.engines.open import EngineSettings, default_layout
from bakeoff.engines.protocol import HANG_SECONDS
from bakeoff.errors import UsageError
from bakeoff.records import StudyConfig
from bakeoff.storage.database import choose_storage_url, parse_storage_url


@dataclass(frozen=True, kw_only=True)
class RunSettings(EngineSettings):
    """Where a study runs and which resources it uses. No setting changes what the study is."""

    output: Path
    storage_url: str
    timeout: float | None = None
    """Seconds for search and confirmation together; None means no limit."""
    extends: bool = False
    """Whether the study file may add trials or arms to the stored study."""
    accepts_code: bool = False
    """Whether a study continues although the user's code changed since it began."""
    source: str | None = None
    """Name of a stored study whose best configurations a new study begins with."""

    @classmethod
    def choose(
        cls,
        *,
        output: Path,
        storage_url: str | None,
        workers: int | None,
        device: str,
        devices_per_trial: int = 1,
        threads: int | None = None,
        timeout: float | None = None,
        hang_seconds: float = HANG_SECONDS,
        extends: bool = False,
        accepts_code: bool = False,
        source: str | None = None,
    ) -> "RunSettings":
        """Fill in defaults: SQLite in the output folder, and `default_layout` of the device.

        Raises:
            UsageError: The number of workers or threads is not between 1 and 1024, or the storage
                URL is wrong.
        """
        default_workers, default_threads = default_layout(device, devices_per_trial)
        check_count("--workers", workers)
        check_count("--threads", threads)
        url = choose_storage_url(storage_url, output)
        parse_storage_url(url)
        return cls(
            output=output,
            storage_url=url,
            workers=workers or default_workers,
            threads=threads or default_threads,
            device=device,
            devices_per_trial=devices_per_trial,
            timeout=timeout,
            hang_seconds=hang_seconds,
            extends=extends,
            accepts_code=accepts_code,
            source=source,
        )


def choose_threads(config: StudyConfig, threads: int | None) -> int | None:
    """Threads per worker from the study file or the flag; None if neither names a number.

    Raises:
        UsageError: They name different numbers.
    """
    named = config.training.threads
    if named is not None and threads not in (None, named):
        raise UsageError(
            f"--threads = {threads}: the study file names training.threads = {named}, and another"
            " number of threads would change results"
        )
    return named or threads


def check_count(flag: str, value: int | None) -> None:
    """Refuse a number of workers or threads that makes no sense.

    Raises:
        UsageError: `value` is given and is not between 1 and 1024.
    """
    if value is not None and not 1 <= value <= 1024:  # noqa: PLR2004 - said in the message
        raise UsageError(f"{flag} = {value}: allowed are 1 to 1024")


def check_output(output: Path) -> None:
    """Refuse an output folder that cannot be written, before anything is created.

    Raises:
        UsageError: It is a file, or it is not writable.
    """
    places = (output.absolute(), *output.absolute().parents)
    existing = next(one for one in places if one.exists() or one.is_symlink())
    if not existing.exists():
        raise UsageError(f"--output {output}: {existing} is a link to nothing")
    if not existing.is_dir():
        raise UsageError(f"--output {output}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"--output {output}: {existing} is not writable")
