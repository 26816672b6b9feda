"""Does a study measure the same on a Ray cluster that loses what it can lose?

    python tests/benchmarks/cluster.py [--store s3] [--part refusals] [--only NAME] [--publish]

The same repeatable study runs in eight ways: on this machine; on two nodes; with one node killed;
with one killed and another one joined; with its driver killed; with the head killed and started
again; with a node that cannot be reached for a while; and with a node that freezes, wakes up when
another one has finished its run, and writes on. One JSON line per way: the digest of all scores and
kept weights, the attempts of all runs, the epochs that were read from checkpoints instead of trained
again, the seconds in all, and the seconds until the loss was noticed. It exits with 1 if a digest
differs from the first one.

Checkpoints are in a folder that all nodes see. With `--store s3` they are in a bucket of a server on
this machine, and an empty folder is mounted for the nodes over that of the driver, in which are the
study, its modules, its storage and its results. `--part refusals` shows what is said about clusters
and nodes that cannot be used (`cluster_refusals.py`). With `--publish` what was found so far is
written to `results/published/cluster.md` after every way. Needs Ray, Linux, and for S3 moto and the
right to mount; the eight ways take about twelve minutes on two cores.
"""

import argparse
import hashlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cluster_refusals import REFUSALS
from cluster_table import publish

from object_server import BUCKET, credentials, object_server
from ray_cluster import LocalCluster, environment, local_cluster
from ray_runs import (
    Watcher,
    bits_of,
    record_of,
    run_here,
    start_driver,
    wait_for_node,
    wait_for_trials,
    write_study,
)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Where a study and its cluster keep their files."""

    file: Path
    output: Path
    cluster: Path
    """The folder of the cluster's token and log."""
    checkpoints: str | None = None
    hidden: Path | None = None
    """What the nodes do not see."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def nodes(self, port: int = 0) -> Iterator[LocalCluster]:
        """A cluster of two nodes, which see what they may see."""
        with local_cluster(
            self.cluster, port=port, hidden=self.hidden, variables=self.variables
        ) as cluster:
            if cluster.sees(self.file) != (self.hidden is None):
                raise RuntimeError(f"what the nodes see of {self.file} is not what it should be")
            yield cluster

    @property
    def environment(self) -> dict[str, str]:
        """Of a driver."""
        return {**environment(self.cluster), **self.variables}

    def run(self, engine: str, watcher: Watcher) -> Watcher:
        """Run or continue the study."""
        run_here(
            self.file, self.output, engine, watcher, self.environment, checkpoints=self.checkpoints
        )
        if self.hidden is not None and (self.output / "toy" / "checkpoints").exists():
            raise RuntimeError("checkpoints were written to the driver's folder")
        return watcher


Found = dict[str, object]
Way = Callable[[Setup], Found]
GONE = "continuing from its checkpoint"
STOPPED_SECONDS = 12.0
AT_RUN, AT_EPOCH = 4, 28
"""A run of the first four loses what it loses after the epoch, when it has a checkpoint."""


def local(setup: Setup) -> Found:
    """Processes of this machine."""
    return {"restored": setup.run("local", Watcher()).restored}


def _on_cluster(setup: Setup, act: Callable[[LocalCluster, str], object]) -> Watcher:
    """On two nodes; `act` happens to the node of a run that has a checkpoint."""
    with setup.nodes() as cluster:
        watcher = Watcher(setup.output, AT_RUN, lambda node: act(cluster, node), at_epoch=AT_EPOCH)
        return setup.run(f"ray:{cluster.address}", watcher)


def _noticed(watcher: Watcher, words: str = GONE) -> Found:
    seconds = watcher.seconds_until(words)
    noticed = None if seconds is None else round(seconds, 1)
    return {"noticed_s": noticed, "restored": watcher.restored}


def two_nodes(setup: Setup) -> Found:
    """Nothing is lost."""
    return {"restored": _on_cluster(setup, lambda *_: None).restored}


def node_killed(setup: Setup) -> Found:
    """One node is killed."""
    return _noticed(_on_cluster(setup, lambda cluster, node: cluster.do(f"kill {node}")))


def killed_and_joined(setup: Setup) -> Found:
    """One node is killed, and another one joins."""

    def act(cluster: LocalCluster, node: str) -> None:
        cluster.do(f"kill {node}")
        cluster.add()

    return _noticed(_on_cluster(setup, act))


def driver_killed(setup: Setup) -> Found:
    """The driver is killed, and the same command runs again."""
    with setup.nodes() as cluster:
        engine = f"ray:{cluster.address}"
        place = [] if setup.checkpoints is None else ["--checkpoints", setup.checkpoints]
        driver = start_driver(setup.file, setup.output, engine, setup.environment, *place)
        wait_for_trials(setup.output, AT_RUN)
        wait_for_node(setup.output, AT_EPOCH)
        driver.kill()
        driver.communicate()
        setup.run(engine, Watcher())
    return {}


def head_killed(setup: Setup) -> Found:
    """The head is killed. The whole cluster ends, and is started again at the same address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first, second = setup.nodes(port), setup.nodes(port)
    cluster = first.__enter__()

    def restart(_: str) -> None:
        cluster.do("kill-head")
        time.sleep(40)  # the driver gives up waiting for the head after 30 s
        first.__exit__(None, None, None)
        second.__enter__()

    watcher = Watcher(setup.output, AT_RUN, restart, at_epoch=AT_EPOCH)
    try:
        setup.run(f"ray:127.0.0.1:{port}", watcher)
    finally:
        second.__exit__(None, None, None)
    return _noticed(watcher, "cluster was lost")


def _for_a_while(cluster: LocalCluster, node: str, command: str) -> None:
    """Give the command, and let the node continue later, while the study runs on."""
    cluster.do(f"{command} {node}")
    time.sleep(STOPPED_SECONDS)
    cluster.do(f"continue {node}")


def partition(setup: Setup) -> Found:
    """A node cannot be reached while its worker trains on, and then can be again."""
    return _noticed(_on_cluster(setup, lambda cluster, node: _for_a_while(cluster, node, "stop")))


def zombie(setup: Setup) -> Found:
    """A node freezes, and wakes up when another one has long had its run."""
    return _noticed(_on_cluster(setup, lambda cluster, node: _for_a_while(cluster, node, "freeze")))


WAYS: tuple[Way, ...] = (
    local, two_nodes, node_killed, killed_and_joined, driver_killed, head_killed, partition, zombie,
)  # fmt: skip


@contextmanager
def _setups(store: str, folder: Path) -> Iterator[Callable[[str], Setup]]:
    """Makes the folders of a way, with checkpoints in a folder or in a bucket."""
    driver = folder / "driver"
    file = write_study(
        driver / "study", epochs=40, step_seconds=0.03, confirm={"seeds": 2, "shortlist": 1}
    )
    with ExitStack() as stack:
        port = stack.enter_context(object_server()) if store == "s3" else None

        def setup(name: str) -> Setup:
            output, cluster = driver / name, folder / f"cluster-{name}"
            output.mkdir()
            cluster.mkdir()
            if port is None:
                return Setup(file=file, output=output, cluster=cluster)
            return Setup(
                file=file, output=output, cluster=cluster, hidden=driver,
                checkpoints=f"s3://{BUCKET}/{name}", variables=credentials(port),
            )  # fmt: skip

        yield setup


def _run_way(way: Way, setup: Setup) -> Found:
    began = time.monotonic()
    found = way(setup)
    record = record_of(setup.output)
    runs = [*record.trials, *record.confirmations]
    digest = hashlib.sha256(repr(bits_of(setup.output)).encode()).hexdigest()[:16]
    return {
        "way": way.__name__, "what": (way.__doc__ or "").splitlines()[0], "digest": digest,
        "runs": len(runs), "attempts": sum(run.attempts for run in runs),
        "seconds": round(time.monotonic() - began, 1), **found,
    }  # fmt: skip


def main() -> int:
    """Run the study in every way, or show the refusals, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["ways", "refusals"], default="ways")
    parser.add_argument("--store", choices=["folder", "s3"], default="folder")
    names = [one.__name__ for one in (*WAYS, *REFUSALS)]
    parser.add_argument("--only", choices=names, action="append")
    parser.add_argument("--publish", action="store_true")
    given = parser.parse_args()
    lines: list[Found] = []
    chosen = [one for one in WAYS if not given.only or one.__name__ in given.only]
    refusals = [one for one in REFUSALS if not given.only or one.__name__ in given.only]

    def add(line: Found, part: str) -> None:
        print(json.dumps(line), flush=True)
        lines.append(line)
        if given.publish:
            publish(part, lines)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.part == "refusals":
            for refusal in refusals:
                place = folder / refusal.__name__
                place.mkdir()
                add(refusal(place), "refusals")
            return 0
        with _setups(given.store, folder) as setup:
            for way in chosen:
                add(_run_way(way, setup(way.__name__)), given.store)
    return int(len({line["digest"] for line in lines}) > 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
