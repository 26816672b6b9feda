"""Which Ray cluster trains runs, what a worker takes of it, and what its nodes must have."""

import re
from dataclasses import dataclass
from importlib.util import find_spec

from bakeoff.engines.device_table import CPU
from bakeoff.engines.devices import AUTO, DeviceChoice, parse_device
from bakeoff.errors import MissingDependencyError, UsageError
from bakeoff.records import DataConfig

EXTRA = "pip install 'bakeoff[ray]'"


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """A cluster, and what a worker needs on its nodes."""

    address: str = ""
    """`HOST:PORT` of the head; empty for the cluster of this machine, or a new one of its own."""
    gpus_per_trial: float = 0.0
    accepts_open: bool = False
    """Whether a cluster may be used that answers everyone, with or without the token."""
    limit: int | None = None
    """Most workers at once; None for as many as the nodes have room for, also ones that join."""
    data: DataConfig | None = None
    """What every node must be able to read; None for nothing."""
    fingerprint: str = ""
    """The fingerprint that the data must have there."""
    store: str = ""
    """The URL under which every node must be able to store checkpoints; empty for a folder."""
    code_folders: tuple[str, ...] = ()
    """Folders whose modules the nodes get: the study file's and the current one."""
    left_out: tuple[str, ...] = ()
    """Folders in them that are not sent."""
    starts_cluster: bool = False
    """Whether there is no cluster, so that one is started on this machine for this process."""
    is_loopback: bool = False
    """Whether the cluster's nodes have the address 127.0.0.1, which no other machine reaches."""


def parse_engine(text: str) -> str | None:
    """The cluster's address in `ray:HOST:PORT`, empty in `ray`; None in `local`.

    Raises:
        MissingDependencyError: Ray is not installed.
        UsageError: The text is something else.
    """
    if text == "local":
        return None
    name, _, address = text.partition(":")
    if name != "ray":
        raise UsageError(f"--engine {text}: allowed are local, ray and ray:HOST:PORT")
    if address and not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}", address):
        raise UsageError(
            f"--engine {text}: {address!r} is not HOST:PORT of a cluster's head; `ray status`"
            " and `ray start --head` print it"
        )
    if find_spec("ray") is None:
        raise MissingDependencyError(f"--engine {text}: Ray is not installed; {EXTRA}")
    return address


def choose_cluster(
    engine: str,
    device: str,
    begun_on: str,
    *,
    limit: int | None,
    gpus_per_trial: float | None,
    accepts_open: bool,
    devices_per_trial: int = 1,
) -> tuple[RaySettings | None, DeviceChoice | None]:
    """The cluster that `--engine` names and the kind of device there; None for this machine.

    Args:
        engine: `local`, `ray` or `ray:HOST:PORT`.
        device: What `--device` asks for. `auto` is a GPU if runs get some, else the CPU.
        begun_on: The kind of device on which a stored study was begun; empty if it is new.
        limit: Most workers at once.
        gpus_per_trial: GPUs of each run; None for one per device, or none on a CPU.
        accepts_open: Whether the cluster may answer everyone.
        devices_per_trial: Devices, or on the CPU processes, that train a run together.

    Raises:
        MissingDependencyError: Ray is not installed.
        UsageError: The engine is unknown, or flags contradict each other.
    """
    address = parse_engine(engine)
    if address is None:
        for flag, is_given in (
            ("--gpus-per-trial", gpus_per_trial is not None),
            ("--insecure-cluster", accepts_open),
        ):
            if is_given:
                raise UsageError(f"{flag}: only a cluster has it; add --engine ray:HOST:PORT")
        return None, None
    request = parse_device(device)
    if request.indices:
        raise UsageError(f"--device {device}: a cluster numbers its GPUs itself; write cuda")
    kind = request.kind
    if kind == AUTO:
        kind = begun_on or ("cuda" if gpus_per_trial else CPU.kind)
    settings = RaySettings(
        address=address,
        gpus_per_trial=_check_gpus(gpus_per_trial, kind, devices_per_trial),
        accepts_open=accepts_open,
        limit=limit,
    )
    return settings, DeviceChoice(kind=kind, devices=())


def _check_gpus(gpus_per_trial: float | None, kind: str, devices_per_trial: int) -> float:
    if gpus_per_trial is None:
        return 0.0 if kind == CPU.kind else float(devices_per_trial)
    if kind == CPU.kind:
        if gpus_per_trial:
            raise UsageError("--gpus-per-trial: runs train on the CPU; add --device cuda")
        return 0.0
    if not (0 < gpus_per_trial <= 1 or (gpus_per_trial > 0 and gpus_per_trial % 1 == 0)):
        raise UsageError(
            f"--gpus-per-trial {gpus_per_trial:g}: allowed are parts of a GPU such as 0.5, and"
            " whole numbers"
        )
    if devices_per_trial > 1 and gpus_per_trial != devices_per_trial:
        raise UsageError(
            f"--gpus-per-trial {gpus_per_trial:g}: training.devices_per_trial ="
            f" {devices_per_trial} takes as many GPUs; leave the flag out"
        )
    return gpus_per_trial


def num_slots(cpus: float, gpus: float, *, cpus_per_worker: int, gpus_per_worker: float) -> int:
    """Number of workers for which a node has room."""
    room = int(cpus // cpus_per_worker)
    return min(room, int(gpus / gpus_per_worker + 1e-6)) if gpus_per_worker else room
