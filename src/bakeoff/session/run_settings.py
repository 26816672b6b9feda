"""Where a study runs and which resources it uses."""

import os
from dataclasses import dataclass
from pathlib import Path

from bakeoff.engines.devices import AUTO, DeviceChoice, check_devices, choose_devices
from bakeoff.engines.open import EngineSettings, default_threads, default_workers
from bakeoff.engines.processes import WorkerProcess
from bakeoff.engines.protocol import HANG_SECONDS
from bakeoff.engines.ray_settings import choose_cluster
from bakeoff.errors import UsageError
from bakeoff.session.stored_facts import stored_facts
from bakeoff.storage.database import choose_storage_url, parse_storage_url
from bakeoff.storage.sessions import choose_user
from bakeoff.stores import check_location


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
    checkpoints: str | None = None
    """The location of a store for the checkpoints of all studies; None means the folder of each
    study's results."""
    source: str | None = None
    """Name of a stored study whose best configurations a new study begins with."""
    user: str = ""
    """Who runs the study, which is stored with it."""

    @classmethod
    def choose(
        cls,
        *,
        output: Path,
        storage_url: str | None,
        workers: int | None,
        device: str,
        devices_per_trial: int = 1,
        study: str = "",
        workers_per_device: int | None = None,
        threads: int | None = None,
        timeout: float | None = None,
        hang_seconds: float = HANG_SECONDS,
        extends: bool = False,
        accepts_code: bool = False,
        source: str | None = None,
        user: str | None = None,
        checkpoints: str | None = None,
        early: WorkerProcess | None = None,
        engine: str = "local",
        gpus_per_trial: float | None = None,
        insecure_cluster: bool = False,
    ) -> "RunSettings":
        """Fill in defaults: SQLite in the output folder, one worker per device, the account.

        Where `device` is `auto`, a stored study of the name `study` continues on the kind of device
        that it was begun on. A cluster has as many workers as its nodes have room for, see
        `find_workers`.

        Raises:
            UsageError: The number of workers or threads is not between 1 and 1024, the device is
                not here, or the storage URL, the place for checkpoints, the engine or the user's
                name is wrong.
            MissingDependencyError: The package for that place, or for the engine, is not installed.
            StorageError: As `stored_facts`.
        """
        check_counts(threads=threads, workers=workers, workers_per_device=workers_per_device)
        url = choose_storage_url(storage_url, output)
        parse_storage_url(url)
        begun_on = _begun_on(url, study) if device == AUTO else ""
        cluster, on_cluster = choose_cluster(
            engine, device, begun_on,
            limit=workers, gpus_per_trial=gpus_per_trial, accepts_open=insecure_cluster,
            devices_per_trial=devices_per_trial,
        )  # fmt: skip
        chosen = _choose_here(on_cluster, device, begun_on, devices_per_trial)
        workers = _choose_workers(workers, workers_per_device, chosen, devices_per_trial)
        place = None if checkpoints is None else check_location(checkpoints, "--checkpoints")
        return cls(
            output=output,
            storage_url=url,
            workers=workers,
            threads=threads or default_threads(chosen.kind, workers * devices_per_trial),
            device=chosen.kind,
            devices=chosen.devices,
            devices_per_trial=devices_per_trial,
            device_note=chosen.note,
            timeout=timeout,
            hang_seconds=hang_seconds,
            extends=extends,
            accepts_code=accepts_code,
            source=source,
            user=choose_user(user),
            checkpoints=place,
            early=early,
            ray=cluster,
        )


def _choose_here(
    on_cluster: DeviceChoice | None, device: str, begun_on: str, devices_per_trial: int
) -> DeviceChoice:
    """The devices of this machine, unless runs train on a cluster.

    Raises:
        UsageError: They are not here, or they cannot train a run together.
    """
    chosen = on_cluster or choose_devices(device, begun_on)
    check_devices(chosen, devices_per_trial)
    return chosen


def _choose_workers(
    workers: int | None, per_device: int | None, chosen: DeviceChoice, devices_per_trial: int
) -> int:
    """The number of workers that the user names, or the default one of the devices."""
    num_devices = len(chosen.devices)
    if per_device is not None:
        return max(1, num_devices // devices_per_trial) * per_device
    return workers or default_workers(chosen.kind, num_devices, devices_per_trial)


def _begun_on(url: str, study: str) -> str:
    """The kind of device on which a stored study was begun; empty without it."""
    facts = stored_facts(url, study) if study else None
    return "" if facts is None else facts.environment.get("device", "")


def check_counts(
    *, threads: int | None, workers: int | None, workers_per_device: int | None
) -> None:
    """Refuse numbers of workers and threads that make no sense, or contradict each other.

    Raises:
        UsageError: A number is not between 1 and 1024, or both numbers of workers are named.
    """
    check_count("--threads", threads)
    check_count("--workers", workers)
    check_count("--workers-per-device", workers_per_device)
    if workers and workers_per_device:
        raise UsageError("--workers and --workers-per-device: name only one of them")


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
