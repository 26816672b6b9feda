"""Whole studies, from the command to its end, against a plain Optuna script and Ray Tune with ASHA.

    python tests/benchmarks/study.py --peers-python PATH/TO/python [WORKLOAD ...] [--seeds 5]

The peers' scripts are in `peers/`. They need `optuna`, `torch` and `ray[tune]`; without
--peers-python a virtual environment with them is made in the work folder. All contenders get the
same arrays, network, ranges and number of trials. For each study seed they run in turns, and the
best configuration of each is then trained anew by one common trainer. A round that has ended is
kept in results/published/peers.json, and the same command continues with the next one; --fresh
measures the workloads anew. `results/published/peers.md` is written from the kept rounds.
"""

import argparse
import compileall
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from study_table import OURS, read_rows, write_rows
from study_workloads import WORKLOADS, Workload, write_arrays

import bakeoff
from bakeoff.production.gate_file import commit_of
from bakeoff.storage import Storage

PEERS = Path(__file__).parent / "peers"

RAY = "ray tune, asha"
CONTENDERS = (OURS, "optuna", "optuna, two processes", RAY)
TRAINED_AGAIN = 5
"""Seeds on which the chosen configurations are trained anew."""
AT_ONCE = 2
"""Configurations that are trained anew at one time, on one thread each; nothing is timed then."""
POLL_SECONDS = 0.2
LOOK_SECONDS = 2.0
"""For so long the cores that other programs use are counted before a contender starts."""
SAME_VERSION = ("torch", "optuna", "numpy")
"""Packages that the peers get in the versions that bakeoff has."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The files of one contender's run."""

    task: Path
    """What the peers are to search, as JSON."""
    folder: Path
    """An empty folder for what it writes."""
    python: str
    """The interpreter of the peers."""


@dataclass
class Watch:
    """The scores that a contender stores while it runs, with the seconds since it was started."""

    started: float
    trace: list[tuple[float, float]] = field(default_factory=list)
    """Seconds and best score so far, at each improvement."""

    def saw(self, now: float, score: float) -> None:
        """Keep a score if it is better than all before."""
        if not self.trace or score > self.trace[-1][1]:
            self.trace.append((round(now - self.started, 2), score))


def main() -> None:
    """Measure the rounds that are missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}"
    )
    parser.add_argument("--seeds", type=int, default=5, help="study seeds, from 0")
    parser.add_argument(
        "--ray-seeds", type=int, help="study seeds of Ray Tune, which takes longest; as the others"
    )
    parser.add_argument(
        "--peers-python", help="an interpreter that has optuna, torch and ray[tune]"
    )
    parser.add_argument("--work", type=Path, default=Path("results/study-benchmark"))
    parser.add_argument("--output", type=Path, default=Path("results/published"))
    parser.add_argument("--fresh", action="store_true", help="leave out kept rounds")
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    arguments = parser.parse_args()
    chosen = [WORKLOADS[name] for name in arguments.workloads or WORKLOADS]
    store = arguments.output / "peers.json"
    rows = read_rows(store)
    if arguments.fresh:
        names = {one.name for one in chosen}
        rows = [row for row in rows if row["workload"] not in names]
    if not arguments.table:
        compile_sources()
        python = arguments.peers_python or make_environment(arguments.work)
        for seed in range(arguments.seeds):
            left_out = RAY if seed >= (arguments.ray_seeds or arguments.seeds) else ""
            names = [name for name in CONTENDERS if name != left_out]
            for workload in chosen:
                if not any((row["workload"], row["seed"]) == (workload.name, seed) for row in rows):
                    rows += run_round(workload, seed, names, python, arguments.work)
                    write_rows(store, rows)
    write_rows(store, rows)
    print((arguments.output / "peers.md").read_text())


def compile_sources() -> None:
    """Compile the source files of bakeoff, as pip does with those of a package that it installs.

    Without this a checkout would be compiled in every process where the environment variable
    PYTHONDONTWRITEBYTECODE is set, which takes a second of each study.
    """
    compileall.compile_dir(Path(bakeoff.__file__).parent, quiet=1)


def make_environment(work: Path) -> str:
    """The interpreter of a virtual environment with the peers, which is made if it is missing."""
    folder = work.resolve() / "peers-venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        packages = [f"{name}=={version(name).partition('+')[0]}" for name in SAME_VERSION]
        subprocess.run([python, "-m", "pip", "install", "ray[tune]", *packages], check=True)
    return str(python)


def run_round(
    workload: Workload, seed: int, names: Sequence[str], python: str, work: Path
) -> list[dict[str, Any]]:
    """Every contender once, in an order that turns with the seed, then their choices anew."""
    folder = work.resolve() / workload.name / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_arrays(workload, folder / "data.npz")
    task = folder / "task.json"
    task.write_text(json.dumps(workload.task(folder / "data.npz")))
    versions = peer_versions(python)
    turn = seed % len(names)
    rows = []
    for name in (*names[turn:], *names[:turn]):
        own = folder / name.replace(",", "").replace(" ", "-")
        own.mkdir()
        place = Place(task=task, folder=own, python=python)
        row = {"workload": workload.name, "contender": name, "seed": seed}
        row |= {"commit": commit_of(str(Path(__file__).parent))[:12], "versions": versions}
        row |= {"cores_elsewhere": cores_elsewhere(), **measure(workload, name, seed, place)}
        rows.append(row)
        print(json.dumps({key: row[key] for key in row if key != "trace"}), flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        chosen = [row["params"] for row in rows]
        found = pool.map(partial(train_again, task, python=python), chosen)
        for row, scores in zip(rows, found, strict=True):
            row["test_scores"] = scores
            print(json.dumps({"again": row["contender"], "scores": scores}), flush=True)
    return rows


def peer_versions(python: str) -> str:
    """Versions of what the contenders use, and whether the peers have the same torch."""
    code = (
        "import optuna, ray, torch; print(optuna.__version__, ray.__version__, torch.__version__)"
    )
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    optuna, ray, torch = found.stdout.split()
    if torch.partition("+")[0] != version("torch").partition("+")[0]:
        raise SystemExit(f"the peers have torch {torch}, and bakeoff has {version('torch')}")
    return f"torch {torch}, optuna {optuna}, ray {ray}"


def cores_elsewhere() -> float:
    """Cores that other programs use now, counted while nothing of this benchmark runs."""

    def busy() -> int:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        return sum(map(int, fields[:3])) + sum(map(int, fields[5:8]))

    before = busy()
    time.sleep(LOOK_SECONDS)
    return round((busy() - before) / os.sysconf("SC_CLK_TCK") / LOOK_SECONDS, 2)


# ---------------------------------------------------------------- one contender


def measure(workload: Workload, name: str, seed: int, place: Place) -> dict[str, Any]:
    """Run one contender's whole process: its wall time, its scores over time, and its choice."""
    command = (
        our_command(workload, seed, place) if name == OURS else peer_command(name, seed, place)
    )
    log = place.folder / "log.txt"
    watch = Watch(time.time())
    with log.open("w") as output, watching(name, place, watch):
        began = time.perf_counter()
        ended = subprocess.run(
            command, cwd=place.folder, stdout=output, stderr=subprocess.STDOUT, check=False
        )
        seconds = time.perf_counter() - began
    if ended.returncode:
        raise SystemExit(f"{name}: exit {ended.returncode}\n{log.read_text()[-3000:]}")
    see_reports(name, place, watch)
    found = (
        our_choice(place) if name == OURS else json.loads((place.folder / "found.json").read_text())
    )
    return {
        "seconds": round(seconds, 2),
        "score": found["score"],
        "trials": found["trials"],
        "epochs": found["epochs"],
        "params": found["params"],
        "precision": found.get("precision", "fp32"),  # the peers' scripts have no other
        "trace": watch.trace,
    }


def our_command(workload: Workload, seed: int, place: Place) -> list[str]:
    """`study run` with a study file of the workload."""
    shutil.copy(PEERS / "networks.py", place.folder)
    file = place.folder / "study.toml"
    file.write_text(workload.study_file(place.task.with_name("data.npz"), seed))
    return [sys.executable, "-m", "bakeoff", "run", str(file), "--output", str(place.folder)]


def peer_command(name: str, seed: int, place: Place) -> list[str]:
    """The peer's script."""
    script = PEERS / ("with_ray.py" if name == RAY else "with_optuna.py")
    processes = ["--processes", "2"] if name.endswith("two processes") else []
    command = [place.python, str(script), str(place.task), str(place.folder), *processes]
    return [*command, "--seed", str(seed)]


@contextmanager
def watching(name: str, place: Place, watch: Watch) -> Iterator[None]:
    """Read what the contender has stored several times a second, in a thread."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(POLL_SECONDS):
            if name == RAY:
                continue  # its trials write down the time themselves
            database = place.folder / ("studies.db" if name == OURS else "peer.db")
            with suppress(sqlite3.Error):  # it is not there yet, or is being written
                watch.saw(time.time(), best_stored(database))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def see_reports(name: str, place: Place, watch: Watch) -> None:
    """Add the scores whose times the trials of Ray Tune have written down."""
    if name == RAY:
        for line in (place.folder / "epochs.jsonl").read_text().splitlines():
            row = json.loads(line)
            watch.saw(row["time"], row["score"])


def best_stored(database: Path) -> float:
    """The best score after any epoch of any trial in a SQLite database of Optuna's.

    Raises:
        sqlite3.Error: It cannot be read, or has no score.
    """
    query = "SELECT MAX(intermediate_value) FROM trial_intermediate_values"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0)) as connection:
        (best,) = connection.execute(query).fetchone()
    if best is None:
        raise sqlite3.DataError
    return float(best)


def our_choice(place: Place) -> dict[str, Any]:
    """The best configuration of our study, by the names of the common trainer."""
    stored = Storage(f"sqlite:///{place.folder / 'studies.db'}")
    trials = [record for _, record in stored.load_runs("ours", "search")]
    complete = [one for one in trials if one.outcome == "complete" and one.score is not None]
    best = max(complete, key=lambda one: one.score or 0.0)
    params: Mapping[str, Any] = best.params
    return {
        "params": {
            "optimizer": params["optimizer"],
            "learning_rate": params[f"{params['optimizer']}.learning_rate"],
            "weight_decay": params[f"{params['optimizer']}.weight_decay"],
            "dropout": params["model.dropout"],
        },
        "score": best.score,
        "precision": stored.load_facts("ours").precision,
        "trials": len(trials),
        "epochs": sum(one.epochs_run for one in trials),
    }


def train_again(task: Path, params: Mapping[str, Any], *, python: str) -> list[float]:
    """Test accuracies of a configuration on seeds that no search has used."""
    seeds = [str(seed) for seed in range(10_000, 10_000 + TRAINED_AGAIN)]
    command = [python, str(PEERS / "plain_training.py"), str(task), json.dumps(params)]
    ended = subprocess.run(
        [*command, "--seeds", *seeds], check=True, capture_output=True, text=True
    )
    return [json.loads(line)["test_accuracy"] for line in ended.stdout.splitlines()]


if __name__ == "__main__":
    main()
