"""Seconds from the command to the first training step, and the wall time of the README's study.

    python tests/benchmarks/start.py [--rounds 5] [--output results/published]

Two studies start with `precision = "auto"` on two workers, each with no kept probe and with that of
an earlier round; the studies take turns. Then `study run studies/digits.toml` runs to its report
with one worker and with two. Writes `start.md` and `start.json`. The first step is when the first
epoch was stored, less the seconds that the epoch took, which are stored when its trial pauses or ends;
the storage is looked at 50 times a second.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from orchestration_table import cpu_name
from study import PEERS, compile_sources, cores_elsewhere
from study_table import QUIET_CORES
from study_workloads import WORKLOADS, write_arrays

from bakeoff.production.gate_file import commit_of
from bakeoff.records import EpochResult
from bakeoff.storage import Storage

ROOT = Path(__file__).parents[2]
STARTED = ("digits", "cnn")
"""Workloads of `study.py` whose start is timed."""
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 300
GOALS = {"new": 5.0, "kept": 3.0, "152 runs, 2 workers": 12.0, "200 runs, 2 workers": 15.0}
"""Seconds: to the first step without and with a kept probe, and of the whole study, by its runs."""
Row = Mapping[str, Any]
Found = TypeVar("Found")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("results/published"))
    arguments = parser.parse_args()
    compile_sources()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds + 1):  # the first round warms the page cache
            for name in STARTED:
                for probe in ("new", "kept"):
                    row = start(Path(folder), name, is_new=probe == "new")
                    rows += [{"what": name, "probe": probe, **row}] if number else []
                    print(json.dumps({"round": number, **(rows[-1] if number else {})}), flush=True)
        for _ in range(arguments.rounds):
            for workers in (2, 1):
                rows.append(whole(Path(folder), workers))
                print(json.dumps(rows[-1]), flush=True)
    facts = {
        "commit": commit_of(str(ROOT))[:12],
        "versions": f"torch {version('torch')}, optuna {version('optuna')}",
        "cpu": cpu_name(),
        "rows": rows,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "start.json").write_text(json.dumps(facts, indent=1) + "\n")
    (arguments.output / "start.md").write_text(page(facts))
    print(page(facts))


def start(folder: Path, name: str, *, is_new: bool) -> dict[str, Any]:
    """Start a study, and end it after its first epoch."""
    place, data, workload = folder / name, folder / "data", WORKLOADS[name]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if is_new:
        shutil.rmtree(data, ignore_errors=True)
    write_arrays(workload, folder / f"{name}.npz")
    shutil.copy(PEERS / "networks.py", place)
    (place / "study.toml").write_text(workload.study_file(folder / f"{name}.npz", 0))
    elsewhere, began = cores_elsewhere(), time.time()
    process = _run([str(place / "study.toml")], place, data)
    try:
        number = _wait(process, partial(_first_trained, place / "studies.db"))
        stored = time.time() - began
        epoch = _wait(process, partial(_first_epoch, place / "studies.db", number))
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        process.wait()
    return {
        "seconds": round(stored - epoch.train_seconds - epoch.evaluate_seconds, 2),
        "epoch_seconds": round(epoch.train_seconds + epoch.evaluate_seconds, 2),
        "cores_elsewhere": elsewhere,
    }


def _wait(process: "subprocess.Popen[bytes]", find: Callable[[], Found | None]) -> Found:
    """What is found as soon as there is something."""
    end = time.time() + PATIENCE_SECONDS
    while (found := find()) is None:
        if process.poll() is not None or time.time() > end:
            raise SystemExit("the study did not start")
        time.sleep(LOOK_SECONDS)
    return found


def _first_trained(database: Path) -> int | None:
    """The number of the trial whose first epoch was stored first; None before that."""
    query = """
        SELECT number FROM trial_intermediate_values JOIN trials USING (trial_id)
        WHERE step = 1 ORDER BY trial_intermediate_value_id LIMIT 1
    """
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0)) as connection,
    ):
        for (number,) in connection.execute(query):
            return int(number)
    return None


def _first_epoch(database: Path, number: int) -> EpochResult | None:
    """The first epoch of a trial, once its seconds are stored, when it pauses or ends."""
    runs = Storage(f"sqlite:///{database}").load_runs("ours", "search")
    (trial,) = (record for _, record in runs if record.number == number)
    return trial.history[0] if trial.history and trial.history[0].train_seconds else None


def whole(folder: Path, workers: int) -> dict[str, Any]:
    """Run the study of the README to its report."""
    place = folder / "whole"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    elsewhere, began = cores_elsewhere(), time.perf_counter()
    command = [str(ROOT / "studies" / "digits.toml"), "--workers", str(workers)]
    process = _run(command, place, folder / "data-of-whole")
    if process.wait():
        raise SystemExit(f"digits.toml failed: {place}")
    seconds = time.perf_counter() - began
    record = Storage(f"sqlite:///{place / 'studies.db'}").load_record("digits")
    num_runs = len(record.trials) + len(record.confirmations)
    return {
        "what": f"digits, {num_runs} runs, {workers} workers",
        "seconds": round(seconds, 2),
        "cores_elsewhere": elsewhere,
    }


def _run(arguments: Sequence[str], place: Path, data: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "run", *arguments, "--output", str(place)],
        env={**os.environ, "BAKEOFF_DATA": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=(place / "errors.txt").open("w"),
    )


def page(facts: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    rows: Sequence[Row] = facts["rows"]
    loads = [row["cores_elsewhere"] for row in rows]
    quiet = "" if max(loads) <= QUIET_CORES else "; the machine was not quiet"
    about = (
        f"Commit {facts['commit']}, {facts['versions']}, {facts['cpu']}, {os.cpu_count()} cores, load"
        f" at most {max(loads)} cores elsewhere before a run{quiet}. Seconds from the command; medians,"
        " smallest and largest. The libraries are in the page cache, and all source files are compiled. The studies are those of"
        " [peers.md](peers.md), with the precision chosen by measuring.\n"
    )
    lines = [
        "# How soon a study trains, and how long the README's study takes\n",
        "    python tests/benchmarks/start.py\n",
        about,
        "| what | rounds | seconds | from | to | goal | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, found in _grouped(rows).items():
        goal = next((GOALS[key] for key in GOALS if what.endswith(key)), None)
        reached = "" if goal is None else "yes" if median(found) < goal else "**no**"
        shown = "" if goal is None else f"below {goal:g}"
        lines.append(
            f"| {what} | {len(found)} | {median(found):.1f} | {min(found):.1f} | {max(found):.1f} |"
            f" {shown} | {reached} |"
        )
    return "\n".join(lines) + "\n"


def _grouped(rows: Sequence[Row]) -> dict[str, list[float]]:
    def title(row: Row) -> str:
        if "probe" not in row:
            return f"`study run studies/digits.toml`: {row['what']}"
        return f"first step of the {row['what']} study, probe {row['probe']}"

    ordered = sorted(rows, key=title)
    return {key: [row["seconds"] for row in some] for key, some in groupby(ordered, title)}


if __name__ == "__main__":
    main()
