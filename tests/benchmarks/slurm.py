"""Runs the script of `study cluster slurm` on a SLURM cluster of this machine, and stops it.

    python tests/benchmarks/slurm.py
    python tests/benchmarks/slurm.py --part limit

One JSON line for each part: how often the job started, how it ended, the seconds it took, and
whether the scores of all its runs are those of `study run` without SLURM.

    requeue   `scontrol requeue` in the middle of the search, as after the loss of a node
    limit     the signal that comes before the time limit: the study pauses, the job returns to the
              queue, and continues
    cancel    `scancel`: the study is interrupted, the job does not return
    nodes     two nodes, whose workers run under Ray; skipped without Ray

SLURM lets a job wait for two minutes before it starts again, so that a part takes about three to
five minutes. The machine needs Debian's packages `slurm-wlm` and `munge`, and root.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tomli_w
from slurm_cluster import missing_parts, slurm_cluster

from bakeoff.records import StudyRecord
from bakeoff.storage import Storage

SOURCE = Path(__file__).parents[2] / "src"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
WAIT_SECONDS = 900.0
ENOUGH_TRIALS = 3
"""Trials that have ended before a job is disturbed."""


def study(trials: int, epochs: int) -> dict[str, Any]:
    """A study whose scores do not depend on the order in which its runs end."""
    return {
        "study": {"name": "batch"},
        "data": {"dataset": "digits"},
        "model": {"model": "mlp"},
        "training": {"epochs": epochs, "batch_size": 16, "precision": "fp32", "threads": 1},
        "search": {
            "optimizers": ["sgd", "adamw"], "schedulers": ["constant"], "trials_per_arm": trials,
            "repeatable": True, "pruner": "none",
        },
        "confirm": {"seeds": 2, "shortlist": 1, "shortlist_seeds": 1},
    }  # fmt: skip


def digest(record: StudyRecord) -> str:
    """A hash of what every run of a study scored."""
    runs = sorted(
        (one.purpose, one.number, one.arm, one.outcome, one.score, sorted(one.test_metrics.items()))
        for one in (*record.trials, *record.confirmations)
    )
    return hashlib.sha256(json.dumps(runs).encode()).hexdigest()[:16]


class Job:
    """A batch script of a study in a folder of its own, submitted to the cluster."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *options: str) -> None:
        self.folder, self._environment = folder, environment
        self._bakeoff("cluster", "slurm", "study.toml", "--workers", "2", *options)
        submitted = self.slurm("sbatch", "batch.sbatch")
        self.number = submitted.split()[-1]

    def _bakeoff(self, *words: str) -> None:
        command = [sys.executable, "-m", "bakeoff", *words]
        subprocess.run(
            command, cwd=self.folder, env=self._environment, check=True, stdout=sys.stderr
        )

    def slurm(self, *words: str) -> str:
        """What a command of SLURM prints."""
        ran = subprocess.run(
            words, cwd=self.folder, env=self._environment, check=True, capture_output=True,
            text=True,
        )  # fmt: skip
        return ran.stdout

    def described(self) -> tuple[str, int]:
        """The job's state, and the number of times that it was put back into the queue."""
        text = self.slurm("scontrol", "show", "job", self.number)
        fields = dict(re.findall(r"(\w+)=(\S*)", text))
        return fields["JobState"], int(fields["Restarts"])

    def record(self) -> StudyRecord | None:
        """The study as it is stored; None before it is."""
        file = self.folder / "results" / "studies.db"
        storage = Storage(f"sqlite:///{file}") if file.exists() else None
        if storage is None or not storage.has("batch"):
            return None
        record = storage.load_record("batch")
        storage.optuna_storage.engine.dispose()
        return record

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for something.

        Raises:
            TimeoutError: It does not happen; the job's log is in the message.
        """
        end = time.monotonic() + WAIT_SECONDS
        while not holds():
            if time.monotonic() > end:
                log = (self.folder / f"batch-{self.number}.log").read_text()[-2000:]
                raise TimeoutError(
                    f"{what}: not after {WAIT_SECONDS:.0f} s; {self.described()}\n{log}"
                )
            time.sleep(1)

    def has_some_trials(self) -> bool:
        """Whether the search has begun to give results."""
        record = self.record()
        ended = [] if record is None else [t for t in record.trials if t.outcome != "running"]
        return len(ended) >= ENOUGH_TRIALS


def try_requeue(folder: Path, environment: Mapping[str, str]) -> tuple[Job, bool]:
    """Put a job back into the queue in the middle of its search."""
    job = Job(folder, environment)
    job.wait_until("trials", job.has_some_trials)
    job.slurm("scontrol", "requeue", job.number)
    job.wait_until("end", lambda: job.described()[0] in ENDED)
    return job, job.described() == ("COMPLETED", 1)


def try_limit(folder: Path, environment: Mapping[str, str]) -> tuple[Job, bool]:
    """Send the script what SLURM sends before the time limit, in the middle of the search."""
    job = Job(folder, environment)
    job.wait_until("trials", job.has_some_trials)
    job.slurm("scancel", "--batch", "--signal=USR1", job.number)
    job.wait_until("end", lambda: job.described()[0] in ENDED)
    log = (job.folder / f"batch-{job.number}.log").read_text()
    paused = log.count("stopped before the time limit; back into the queue")
    return job, job.described() == ("COMPLETED", 1) and paused == 1


def try_cancel(folder: Path, environment: Mapping[str, str]) -> tuple[Job, bool]:
    """Cancel the job, and continue its study without SLURM."""
    job = Job(folder, environment)
    job.wait_until("trials", job.has_some_trials)
    job.slurm("scancel", job.number)
    job.wait_until("end", lambda: job.described()[0] in ENDED)
    ended = job.described()
    time.sleep(5)
    listed = subprocess.run(
        [sys.executable, "-m", "bakeoff", "list", "--json"],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    [found] = json.loads(listed.stdout)
    is_right = ended == ("CANCELLED", 0) and found["state"] == "interrupted"
    run_plainly(folder, environment)
    return job, is_right


def try_nodes(folder: Path, environment: Mapping[str, str]) -> tuple[Job, bool]:
    """Run a study on two nodes."""
    job = Job(folder, environment, "--nodes", "2")
    job.wait_until("end", lambda: job.described()[0] in ENDED)
    return job, job.described() == ("COMPLETED", 0)


def run_plainly(folder: Path, environment: Mapping[str, str]) -> None:
    """Run the study of a folder without SLURM."""
    command = [sys.executable, "-m", "bakeoff", "run", "study.toml", "--workers", "2"]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


PARTS = {"requeue": try_requeue, "limit": try_limit, "cancel": try_cancel, "nodes": try_nodes}
NUM_NODES = {"nodes": 2}
"""Nodes of the cluster of a part; one for the others."""


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--trials", type=int, default=5, help="of each arm")
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    if lacking := missing_parts():
        print(f"skipped: {lacking}")
        return
    path = os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="slurm-") as temporary:
        root = Path(temporary)
        folders = {name: root / name / "a study's folder" for name in ("plain", *PARTS)}
        for folder in folders.values():
            folder.mkdir(parents=True)
            (folder / "study.toml").write_text(tomli_w.dumps(study(given.trials, given.epochs)))
        began = time.monotonic()
        run_plainly(folders["plain"], environment)
        expected = digest(stored(folders["plain"]))
        print(json.dumps({"part": "plain", "seconds": round(time.monotonic() - began, 1)}))
        for name in given.part or PARTS:
            if name == "nodes" and find_spec("ray") is None:
                print("nodes skipped: Ray is not installed")
                continue
            began, cluster = time.monotonic(), root / f"slurm-{name}"
            cluster.mkdir()
            with slurm_cluster(cluster, NUM_NODES.get(name, 1)) as settings:
                job, is_right = PARTS[name](folders[name], environment | settings)
                state, restarts = job.described()
            line = {
                "part": name, "as expected": is_right, "state": state, "restarts": restarts,
                "same scores": digest(stored(folders[name])) == expected,
                "seconds": round(time.monotonic() - began, 1),
            }  # fmt: skip
            print(json.dumps(line), flush=True)


def stored(folder: Path) -> StudyRecord:
    """The study of a folder."""
    return Storage(f"sqlite:///{folder / 'results' / 'studies.db'}").load_record("batch")


if __name__ == "__main__":
    main()
