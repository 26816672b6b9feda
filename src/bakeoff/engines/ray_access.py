"""Finds a Ray cluster before anything is created, and refuses one that answers everyone.

Ray listens on all interfaces of a machine, and whoever it answers can run code there. So a cluster
must ask for a token.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakeoff.child_process import num_cores
from bakeoff.engines.ray_settings import RaySettings
from bakeoff.errors import BakeoffError, UsageError, WorkersLostError, one_line

LOOK_SECONDS = 60.0
"""How long Ray may take to describe a cluster. Ray itself is imported in about a second."""
CONNECT_SECONDS = 5.0
TOKEN_PATH = Path(".ray/auth_token")
"""Where Ray looks for the token in the home folder, unless `RAY_AUTH_TOKEN_PATH` says otherwise."""
SECRET = 0o600


@dataclass(frozen=True, kw_only=True)
class FoundCluster:
    """A cluster that may be used."""

    settings: RaySettings
    num_slots: int
    """Workers for which its nodes have room now."""


def find_cluster(settings: RaySettings, cpus_per_worker: int) -> FoundCluster:
    """Find the cluster, make sure that it asks for a token, and count its places for workers.

    Raises:
        UsageError: The cluster answers everyone and may not, or wants another token.
        WorkersLostError: Nothing answers at the address.
    """
    if settings.address and not answers(settings.address):
        raise WorkersLostError(f"no Ray cluster answers at {settings.address}")
    arguments = [settings.address, str(cpus_per_worker), str(settings.gpus_per_trial)]
    asked = _look(arguments, "disabled")
    if asked["answer"] == "none":
        create_token()
        started = replace(settings, starts_cluster=True, is_loopback=True, accepts_open=False)
        return FoundCluster(settings=started, num_slots=num_cores() // cpus_per_worker)
    address = asked["address"]
    if asked["answer"] == "nodes":
        if not settings.accepts_open:
            raise UsageError(
                f"the Ray cluster at {address} answers without a token, so everyone who reaches it"
                " can run code on its nodes; start it with RAY_AUTH_MODE=token, or add"
                " --insecure-cluster"
            )
        return _found(settings, asked)
    check_token_is_secret()
    asked = _look([address, *arguments[1:]], "token")
    if asked["answer"] != "nodes":
        raise UsageError(
            f"the Ray cluster at {address} refuses the token; it is read from RAY_AUTH_TOKEN,"
            f" RAY_AUTH_TOKEN_PATH or ~/{TOKEN_PATH}"
        )
    return _found(replace(settings, accepts_open=False), asked)


def _found(settings: RaySettings, asked: Mapping[str, Any]) -> FoundCluster:
    known = replace(settings, address=asked["address"], is_loopback=asked["is_loopback"])
    return FoundCluster(settings=known, num_slots=asked["slots"])


def ray_environment(settings: RaySettings) -> dict[str, str]:
    """Environment variables with which Ray connects to the cluster, or starts one."""
    mode = "disabled" if settings.accepts_open else "token"
    quiet = {"RAY_BACKEND_LOG_LEVEL": "error", "RAY_USAGE_STATS_ENABLED": "0"}
    # Otherwise Ray replaces 127.0.0.1 by the address that other machines reach, also on Linux.
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if settings.is_loopback else {}
    return {"RAY_AUTH_MODE": mode, **quiet, **loopback}


def answers(address: str) -> bool:
    """Whether something listens at `HOST:PORT`. Where nothing does, Ray would wait for long."""
    host, _, port = address.rpartition(":")
    with suppress(OSError, OverflowError):
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        return True
    return False


def _look(arguments: list[str], mode: str) -> Mapping[str, Any]:
    """What `ray_look` prints when Ray sends a token, or none."""
    command = [sys.executable, "-P", "-m", "bakeoff.engines.ray_look", *arguments]
    environment = {**os.environ, "RAY_AUTH_MODE": mode, "RAY_USAGE_STATS_ENABLED": "0"}
    package = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, (package, os.environ.get("PYTHONPATH")))
    )
    try:
        found = subprocess.run(  # noqa: S603 - this package's own module
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LOOK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        where = arguments[0] or "of this machine"
        raise WorkersLostError(f"the Ray cluster {where} does not answer") from None
    if found.returncode:
        lines = found.stderr.strip().splitlines() or ["it printed no reason"]
        raise BakeoffError(f"Ray cannot describe the cluster: {one_line(lines[-1])}")
    answer: Mapping[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def token_path() -> Path | None:
    """The file from which Ray reads the token; None if it comes from the environment."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named).expanduser() if named else Path.home() / TOKEN_PATH


def create_token() -> None:
    """Create the token that a new cluster asks for, unless there is one.

    Ray would create it, too, but readable by every user of the machine.
    """
    path = token_path()
    if path is None or path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another process created it in the meantime
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))


def check_token_is_secret() -> None:
    """Refuse a token that other users of this machine can read.

    Raises:
        UsageError: They can. The message says what to do.
    """
    path = token_path()
    if path is not None and path.is_file() and path.stat().st_mode & 0o077:
        raise UsageError(
            f"{path}: other users of this machine can read the cluster's token, with which they can"
            f" run code as you; chmod 600 {path}"
        )
