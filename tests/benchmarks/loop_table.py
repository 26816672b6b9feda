"""The measurements of `loop.py` as a published table.

    python tests/benchmarks/loop_table.py    # writes it anew, and measures nothing

Every row is kept in a JSON file with the code and the machine that it was measured on, and the
table is written anew from all of them.
"""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestration_table import cpu_name

from bakeoff.production.gate_file import commit_of

STATE = Path(__file__).parents[2] / "results" / "published" / "loop.json"
HEAD = """# How fast a step is

    python tests/benchmarks/loop.py --publish

A row compares what trains the same model on the same data, with one thread each: `bare loop` is a
loop that is written by hand for speed, with fused steps, clipping in one call and an epoch's samples
gathered at once; `weight by weight` is ours without buffers; `usual script` is torchvision's data
set, a `DataLoader` and `.item()`. The mlp trains on digits with batches of 64 and clips gradients by
norm, the cnn on Fashion-MNIST with batches of 128. Both take turns. The ratio, the median over rounds,
is of samples per CPU second, which depends little on what else the machine does; that is its load,
the mean number of processes that wanted a core in the last minute of the measurement. The goal is the
ratio that a row is to reach.

| row | samples per CPU second | of the other | ratio | goal | reached | rounds | measured with |
|---|---|---|---|---|---|---|---|
"""


def publish(row: str, found: Mapping[str, Any], rounds: int) -> None:
    """Store a row, and write the table; a row that compares nothing is left out."""
    if "at_least" not in found:
        return
    known = json.loads(STATE.read_text()) if STATE.exists() else {}
    known[row] = {"found": found, "rounds": rounds, "machine": describe_machine()}
    STATE.write_text(json.dumps(known, indent=1) + "\n")
    STATE.with_suffix(".md").write_text(format_table(known))


def format_table(known: Mapping[str, Any]) -> str:
    """The page with all rows, which says how many miss their goal.

    Args:
        known: What was kept of each row, by its name.
    """
    missed = [row for row, kept in known.items() if not kept["found"]["holds"]]
    summary = "Every row reaches its goal."
    if missed:
        summary = f"Rows that miss their goal: {len(missed)} of {len(known)} ({'; '.join(missed)})."
    return HEAD + "".join(map(_line, known, known.values())) + f"\n{summary}\n"


def describe_machine() -> str:
    """Code, versions, processor and load."""
    commit = commit_of(str(Path(__file__).parent))
    return (
        f"commit {str(commit)[:12]}, Python {platform.python_version()}, torch {version('torch')},"
        f" {cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def _line(row: str, kept: Mapping[str, Any]) -> str:
    found = kept["found"]
    cells = (
        row,
        f"{found['ours_per_cpu_second']:,}",
        f"{found['theirs_per_cpu_second']:,}",
        f"{found['ratio']:.2f}",
        f"{found['at_least']:g}",
        "yes" if found["holds"] else "**no**",
        kept["rounds"],
        kept["machine"],
    )
    return f"| {' | '.join(map(str, cells))} |\n"


if __name__ == "__main__":
    STATE.with_suffix(".md").write_text(format_table(json.loads(STATE.read_text())))
