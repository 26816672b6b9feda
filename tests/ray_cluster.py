"""A Ray cluster on this machine whose nodes can be killed: run as a program, and its handle.

The program has one command a line on stdin and answers with a line of JSON. All its processes end
with it. Nodes are named by the first 8 digits of their ids; health checks are quicker than usual.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

QUICK_CHECKS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
NOTHING: Mapping[str, str] = {}
OTHER_TORCH = "1.0.0"
UNSHARE = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "--"]
"""Runs a command with mounts of its own."""
MOUNT = 'mount -t tmpfs -o ro,size=4k none "$0" && exec "$@"'
STORE_BYTES = 80_000_000
"""Of the object store of a node, which Ray keeps in shared memory."""


class LocalCluster:
    """The handle of a cluster that `serve` runs in another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address: str = self._answer()["address"]

    def _answer(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the cluster ended with code {self._process.wait()}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def do(self, command: str) -> Mapping[str, Any]:
        """Obey one of the commands of `serve`, and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def add(self, *, num_cpus: int = 1, **variables: str) -> None:
        """Start a node with so many CPUs, and with environment variables of its own."""
        self.do(f"add {json.dumps({'num_cpus': num_cpus, 'env_vars': variables})}")

    def sees(self, path: Path) -> bool:
        """Whether the nodes see a file or folder."""
        return bool(self.do(f"look {path}")["found"])


@contextmanager
def local_cluster(
    folder: Path,
    *,
    num_nodes: int = 2,
    token: bool = True,
    port: int = 0,
    gpus: int = 0,
    hidden: Path | None = None,
    variables: Mapping[str, str] = NOTHING,
) -> Iterator[LocalCluster]:
    """A cluster of a head without room for workers and nodes with one CPU each.

    Args:
        folder: Gets the token, which `environment` names.
        num_nodes: Number of nodes besides the head.
        token: Whether the cluster asks for a token.
        port: Of the head; 0 for any.
        gpus: Made-up GPUs of each node.
        hidden: A folder that the nodes do not see: an empty one is mounted over it for them.
        variables: Environment variables of all nodes.
    """
    command = [sys.executable, __file__, str(num_nodes), str(port), str(gpus)]
    if hidden is not None:
        command = [*UNSHARE, "sh", "-c", MOUNT, str(hidden), *command]
    with (folder / "cluster.log").open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**environment(folder, token=token), **variables},
        )
    try:
        yield LocalCluster(process)
    finally:
        try:
            process.communicate(timeout=30)  # closes its stdin
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def other_torch_path(folder: Path) -> str:
    """A PYTHONPATH on which Python finds that another version of torch is installed.

    Only what packages say of themselves is replaced: it is what a node is asked for.
    """
    place = folder / "other" / f"torch-{OTHER_TORCH}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {OTHER_TORCH}\n")
    return os.pathsep.join(filter(None, (str(place.parent), os.environ.get("PYTHONPATH"))))


def can_hide() -> bool:
    """Whether this user may mount folders that only some processes see."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        [*UNSHARE, "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False
    )
    return tried.returncode == 0


def environment(folder: Path, *, token: bool = True) -> dict[str, str]:
    """Environment variables of a cluster and of its drivers."""
    path = folder / "token"
    if not path.exists():
        path.write_text(secrets.token_hex(32))
        path.chmod(0o600)
    mode = {"RAY_AUTH_MODE": "token" if token else "disabled", "RAY_AUTH_TOKEN_PATH": str(path)}
    return {**os.environ, **QUICK_CHECKS, **mode}


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have started."""
    found: list[int] = []
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        found += [child, *descendants(child)]
    return found


def serve(num_nodes: int, port: int, gpus: int) -> None:
    """Start a cluster and obey commands on stdin until it is closed.

    `add OPTIONS` starts a node (a JSON object), `kill NODE` kills one, and `kill-head` the head's
    server. `stop NODE` stops the process with which the others speak, and `freeze NODE` all
    processes of a node; `continue NODE` ends both. `look PATH` says whether the nodes see a file or
    folder.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints, too
    from ray.cluster_utils import Cluster

    shared = {"object_store_memory": STORE_BYTES, "node_ip_address": "127.0.0.1"}
    head = {"num_cpus": 0, "num_gpus": 0, "include_dashboard": False, **shared}
    cluster = Cluster(
        initialize_head=True,
        shutdown_at_exit=True,
        head_node_args={**head, **({"gcs_server_port": port} if port else {})},
    )
    nodes: dict[str, Any] = {}

    def add(**options: Any) -> None:
        node = cluster.add_node(**{"num_cpus": 1, "num_gpus": gpus, **shared, **options})
        nodes[node.node_id[:8]] = node

    def obey(command: str, name: str) -> dict[str, Any]:
        match command:
            case "look":
                return {"found": Path(name).exists()}
            case "add":
                add(**json.loads(name or "{}"))
            case "kill":
                cluster.remove_node(nodes[name], allow_graceful=False)
            case "kill-head":
                cluster.head_node.kill_gcs_server(check_alive=False)
            case _:
                _signal(command, nodes[name].all_processes["raylet"][0].process.pid)
        return {}

    for _ in range(num_nodes):
        add()
    answers.write(json.dumps({"address": cluster.address}) + "\n")
    answers.flush()
    for line in sys.stdin:
        answer = obey(*line.strip().partition(" ")[::2])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for node in (*nodes.values(), cluster.head_node):  # a graceful end would take 30 s each
        node.kill_all_processes(check_alive=False, allow_graceful=False)


def _signal(command: str, raylet: int) -> None:
    """`stop`, `freeze` or `continue` a node."""
    others = [] if command == "stop" else descendants(raylet)
    for pid in (raylet, *others):
        os.kill(pid, signal.SIGCONT if command == "continue" else signal.SIGSTOP)


if __name__ == "__main__":
    serve(*(int(argument) for argument in sys.argv[1:]))
