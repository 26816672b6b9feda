"""Does a study measure the same on a Ray cluster that loses what it can lose?

    python tests/benchmarks/cluster.py [--only NAME] [--output FOLDER]

The same repeatable study runs in eight ways: on this machine; on two nodes; with one node killed;
with one killed and another one joined; with its driver killed; with the head killed and started
again; with a node that cannot be reached for a while; and with a node that freezes, wakes up when
another one has finished its run, and writes on. One JSON line per way: the digest of all scores,
the attempts of all runs, the seconds in all, and the seconds until the loss was noticed. It exits
with 1 if a digest differs from the first one. With `--output` the lines so far are also written as
a table, `cluster.md`, after every way. Needs Ray, and Linux; takes about eight minutes on two cores.
"""

import argparse
import hashlib
import json
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bakeoff.child_process import num_cores
from bakeoff.production.gate_file import commit_of
from bakeoff.version import __version__
from ray_cluster import LocalCluster, environment, local_cluster
from ray_runs import (
    Watcher,
    bits_of,
    record_of,
    run_here,
    start_driver,
    wait_for_trials,
    write_study,
)

Way = Callable[[Path, Path], dict[str, object]]
GONE = "continuing from its checkpoint"
STOPPED_SECONDS = 12.0


def local(file: Path, output: Path) -> dict[str, object]:
    """Processes of this machine."""
    run_here(file, output, "local", Watcher(), os.environ)
    return {}


def _on_cluster(file: Path, output: Path, act: Callable[[LocalCluster, str], object]) -> Watcher:
    """On two nodes; `act` happens to the node of the fourth run."""
    with local_cluster(output) as cluster:
        watcher = Watcher(output, 4, lambda node: act(cluster, node))
        run_here(file, output, f"ray:{cluster.address}", watcher, environment(output))
    return watcher


def _noticed(watcher: Watcher, words: str = GONE) -> dict[str, object]:
    seconds = watcher.seconds_until(words)
    return {"noticed_s": None if seconds is None else round(seconds, 1)}


def two_nodes(file: Path, output: Path) -> dict[str, object]:
    """Nothing is lost."""
    _on_cluster(file, output, lambda *_: None)
    return {}


def node_killed(file: Path, output: Path) -> dict[str, object]:
    """One node is killed."""
    return _noticed(_on_cluster(file, output, lambda cluster, node: cluster.do(f"kill {node}")))


def killed_and_joined(file: Path, output: Path) -> dict[str, object]:
    """One node is killed, and another one joins."""

    def act(cluster: LocalCluster, node: str) -> None:
        cluster.do(f"kill {node}")
        cluster.do("add")

    return _noticed(_on_cluster(file, output, act))


def driver_killed(file: Path, output: Path) -> dict[str, object]:
    """The driver is killed, and the same command runs again."""
    with local_cluster(output) as cluster:
        engine, known = f"ray:{cluster.address}", environment(output)
        driver = start_driver(file, output, engine, known)
        wait_for_trials(output, 4)
        driver.kill()
        driver.communicate()
        run_here(file, output, engine, Watcher(), known)
    return {}


def head_killed(file: Path, output: Path) -> dict[str, object]:
    """The head is killed. The whole cluster ends, and is started again at the same address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    known = environment(output)
    first = local_cluster(output, port=port)
    cluster = first.__enter__()
    second = local_cluster(output, port=port)

    def restart(_: str) -> None:
        cluster.do("kill-head")
        time.sleep(40)  # the driver gives up waiting for the head after 30 s
        first.__exit__(None, None, None)
        second.__enter__()

    watcher = Watcher(output, 4, restart)
    try:
        run_here(file, output, f"ray:127.0.0.1:{port}", watcher, known)
    finally:
        second.__exit__(None, None, None)
    return _noticed(watcher, "cluster was lost")


def _for_a_while(cluster: LocalCluster, node: str, command: str) -> None:
    """Give the command, and let the node continue later, while the study runs on."""
    cluster.do(f"{command} {node}")
    time.sleep(STOPPED_SECONDS)
    cluster.do(f"continue {node}")


def partition(file: Path, output: Path) -> dict[str, object]:
    """A node cannot be reached while its worker trains on, and then can be again."""
    return _noticed(
        _on_cluster(file, output, lambda cluster, node: _for_a_while(cluster, node, "stop"))
    )


def zombie(file: Path, output: Path) -> dict[str, object]:
    """A node freezes, and wakes up when another one has long had its run."""
    return _noticed(
        _on_cluster(file, output, lambda cluster, node: _for_a_while(cluster, node, "freeze"))
    )


WAYS: tuple[Way, ...] = (
    local, two_nodes, node_killed, killed_and_joined, driver_killed, head_killed, partition, zombie,
)  # fmt: skip


def _processor() -> str:
    """The name of the CPU and the number of cores that this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {num_cores()} cores"


def write_table(lines: list[dict[str, object]], commit: str, folder: Path) -> None:
    """Write what was measured so far as `cluster.md`."""
    setting = (
        f"bakeoff {__version__}, commit {commit}, Ray {version('ray')},"
        f" torch {version('torch')}, {_processor()}, which other programs used,"
        " too. Two nodes of one CPU each on this machine. Ray looks after a node every 0.5 s and"
        " gives it up after 4 failures; by default this takes longer. Each way ran once."
    )
    what = {way.__name__: (way.__doc__ or "").splitlines()[0] for way in WAYS}
    rows = [
        f"| {what[str(line['way'])]} | `{line['digest']}` | {line['attempts']} |"
        f" {'-' if line.get('noticed_s') is None else line['noticed_s']} | {line['seconds']} |"
        for line in lines
    ]
    legend = (
        f"The digest is of all scores, metrics and losses of the study's {lines[0]['runs']} runs,"
        " in full precision. Attempts are the starts of all runs."
    )
    text = [
        "# A study on a Ray cluster that loses its parts", "",
        "    python tests/benchmarks/cluster.py --output results/published", "",
        setting, "",
        legend, "",
        "| what happens | digest | attempts | noticed after [s] | whole study [s] |",
        "|---|---|---|---|---|", *rows, "",
    ]  # fmt: skip
    (folder / "cluster.md").write_text("\n".join(text))


def main() -> int:
    """Run the study in every way and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[way.__name__ for way in WAYS], action="append")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    commit = commit_of(str(Path(__file__).parent))
    lines: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = write_study(Path(folder) / "study", epochs=40, trials=6)
        for way in WAYS:
            if given.only and way.__name__ not in given.only:
                continue
            output = Path(folder) / way.__name__
            output.mkdir()
            began = time.monotonic()
            found = way(file, output)
            digest = hashlib.sha256(repr(bits_of(output)).encode()).hexdigest()[:16]
            runs = record_of(output).trials
            line = {
                "way": way.__name__, "digest": digest, "runs": len(runs),
                "attempts": sum(run.attempts for run in runs),
                "seconds": round(time.monotonic() - began, 1), **found,
            }  # fmt: skip
            print(json.dumps(line), flush=True)
            lines.append(line)
            if given.output:
                write_table(lines, commit, given.output)
    return int(len({line["digest"] for line in lines}) > 1)


if __name__ == "__main__":
    sys.exit(main())
