"""A SLURM cluster of one node on this machine, for as long as a block runs.

It needs Debian's packages `slurm-wlm` and `munge`, and root: the daemons run in the foreground, listen
on 127.0.0.1 and keep everything in a temporary folder.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "sinfo", "scancel")
SETTINGS = """
ClusterName=one
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=5
SchedulerParameters=bf_interval=1,sched_interval=1
CommunicationParameters=NoCtldInAddrAny
NodeName={node} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes={node} Default=YES MaxTime=60 State=UP
"""
START_SECONDS = 60.0


def missing_parts() -> str:
    """What this machine lacks to run a cluster; empty if nothing."""
    lacking = [name for name in DAEMONS if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "the daemons need root"


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run the daemons; give the environment in which `sbatch` and its kin find them.

    Args:
        folder: An empty folder for keys, state and logs.

    Raises:
        TimeoutError: The node does not become idle.
    """
    folder.chmod(0o755)  # munged refuses a socket in a folder that others cannot enter
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    node = socket.gethostname()
    cores = len(os.sched_getaffinity(0))
    settings = SETTINGS.format(
        folder=folder, node=node, cores=cores, port=free_port(), node_port=free_port()
    )
    (folder / "slurm.conf").write_text(settings)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munged = [
        "munged", "--foreground", "--force", f"--key-file={key}",
        f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
    ]  # fmt: skip
    with ExitStack() as running:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D", "-N", node]):
            running.enter_context(_daemon(command, environment, folder))
            time.sleep(1)
        _wait_until_idle(environment)
        yield environment


@contextmanager
def _daemon(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_idle(environment: dict[str, str]) -> None:
    end = time.monotonic() + START_SECONDS
    state = ""
    while time.monotonic() < end:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%t"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        state = asked.stdout.strip()
        if state == "idle":
            return
        time.sleep(0.5)
    raise TimeoutError(f"the node is {state or 'unknown'} after {START_SECONDS:.0f} s")


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
