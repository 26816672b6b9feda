"""A Ray cluster on this machine whose nodes can be killed: run as a program, and its handle.

The program has one command a line on stdin and answers with a line of JSON. All its processes end
with it. Nodes are named by the first 8 digits of their ids; health checks are quicker than usual.
"""

import json
import os
import secrets
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

    def do(self, command: str) -> None:
        """Obey one of the commands of `serve`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        self._answer()


@contextmanager
def local_cluster(
    folder: Path, *, num_nodes: int = 2, token: bool = True, port: int = 0, gpus: int = 0
) -> Iterator[LocalCluster]:
    """A cluster of a head without room for workers and nodes with one CPU each.

    Args:
        folder: Gets the token, which `environment` names.
        num_nodes: Number of nodes besides the head.
        token: Whether the cluster asks for a token.
        port: Of the head; 0 for any.
        gpus: Made-up GPUs of each node.
    """
    command = [sys.executable, __file__, str(num_nodes), str(port), str(gpus)]
    with (folder / "cluster.log").open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(folder, token=token),
        )
    try:
        yield LocalCluster(process)
    finally:
        try:
            process.communicate(timeout=30)  # closes its stdin
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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

    `add` starts a node, `kill NODE` kills one, and `kill-head` the head's server. `stop NODE` stops
    the process with which the others speak, and `freeze NODE` all processes of a node; `continue
    NODE` ends both.
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

    def add() -> None:
        node = cluster.add_node(num_cpus=1, num_gpus=gpus, **shared)
        nodes[node.node_id[:8]] = node

    def obey(command: str, name: str) -> None:
        match command:
            case "add":
                add()
            case "kill":
                cluster.remove_node(nodes[name], allow_graceful=False)
            case "kill-head":
                cluster.head_node.kill_gcs_server(check_alive=False)
            case _:
                _signal(command, nodes[name].all_processes["raylet"][0].process.pid)

    for _ in range(num_nodes):
        add()
    answers.write(json.dumps({"address": cluster.address}) + "\n")
    answers.flush()
    for line in sys.stdin:
        obey(*line.strip().partition(" ")[::2])
        answers.write("{}\n")
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
