"""A SLURM cluster on this machine, of one node or several, for as long as a block runs.

It needs Debian's packages `slurm-wlm` and `munge`, and root. The daemons run in the foreground,
listen on 127.0.0.1 and keep everything in a temporary folder.
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
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
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
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} State=UNKNOWN\n"
START_SECONDS = 60.0


def missing_parts() -> str:
    """What this machine lacks to run a cluster; empty if nothing."""
    lacking = [name for name in DAEMONS if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "the daemons need root"


@contextmanager
def slurm_cluster(folder: Path, num_nodes: int = 1) -> Iterator[dict[str, str]]:
    """Run the daemons; give the environment in which `sbatch` and its kin find them.

    Args:
        folder: An empty folder for keys, state and logs.
        num_nodes: Nodes, which share the cores of this machine.

    Raises:
        TimeoutError: The nodes do not become idle.
    """
    folder.chmod(0o755)  # munged refuses a socket in a folder that others cannot enter
    nodes = [f"node{number}" for number in range(1, num_nodes + 1)]
    for name in ("state", *(f"spool-{node}" for node in nodes)):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    host = socket.gethostname()
    cores = max(1, len(os.sched_getaffinity(0)) // num_nodes)
    lines = [NODE.format(name=one, host=host, port=free_port(), cores=cores) for one in nodes]
    settings = SETTINGS.format(folder=folder, host=host, port=free_port())
    first, partition = settings.rsplit("PartitionName", 1)
    (folder / "slurm.conf").write_text(f"{first}{''.join(lines)}PartitionName{partition}")
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munged = [
        "munged", "--foreground", "--force", f"--key-file={key}",
        f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
    ]  # fmt: skip
    with ExitStack() as running:
        node_daemons = [["slurmd", "-D", "-N", node] for node in nodes]
        for command in (munged, ["slurmctld", "-D"], *node_daemons):
            running.enter_context(_daemon(command, environment, folder))
            time.sleep(1)
        _wait_until_idle(environment)
        yield environment


@contextmanager
def _daemon(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}-{command[-1].rpartition('/')[2]}.out").open("wb") as log:
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
            ["sinfo", "--noheader", "--format=%t"],  # a line for each state of a node
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        state = asked.stdout.strip()
        if state == "idle":
            return
        time.sleep(0.5)
    raise TimeoutError(f"the nodes are {state or 'unknown'} after {START_SECONDS:.0f} s")


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
