"""The measurements of `orchestration.py` as a published table.

Every part is kept in a JSON file with the code and the machine that it was measured on, and the
table is written anew from all of them.
"""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bakeoff.production.gate_file import commit_of

STATE = Path(__file__).parents[2] / "results" / "published" / "orchestration.json"
PROMISES = {
    "large": "10,000 trials are stored, read and reported within 10 minutes (`total_seconds`)",
    "workers": "workers wait less than 5 % of their time for the driver (`waiting_share`)",
    "cost": "at most 0.8 ms of a core per epoch where several events share a poll (`16 per poll`)",
}
HEAD = """# What the search costs beside the training

    python tests/benchmarks/orchestration.py --part {parts} --publish

The workers train nothing. Clock times depend on what else the machine did: beside each part is its
load, the mean number of processes that wanted a core in the last minute of the measurement.
"""


def cpu_name() -> str:
    """The processor as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def publish(part: str, found: Mapping[str, Any]) -> None:
    """Store a part, and write the table."""
    known = json.loads(STATE.read_text()) if STATE.exists() else {}
    known[part] = {"machine": describe_machine(), "found": found}
    STATE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    STATE.with_suffix(".md").write_text(table(known))


def describe_machine() -> str:
    """Code, versions, processor and load."""
    commit = commit_of(str(Path(__file__).parent))
    versions = ", ".join(f"{name} {version(name)}" for name in ("optuna", "SQLAlchemy", "numpy"))
    return (
        f"commit {commit}, Python {platform.python_version()}, {versions}, {cpu_name()},"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def table(known: Mapping[str, Any]) -> str:
    """All parts as Markdown."""
    lines = [HEAD.format(parts=" --part ".join(known))]
    for part, measured in sorted(known.items()):
        promise = f" Promised: {PROMISES[part]}." if part in PROMISES else ""
        lines += [f"## {part}", "", f"Measured with {measured['machine']}.{promise}", ""]
        lines += ["| what | measured |", "|---|---|"]
        for name, value in measured["found"].items():
            shown = (
                ", ".join(f"{key} {one}" for key, one in value.items())
                if isinstance(value, Mapping)
                else str(value)
            )
            lines.append(f"| {name} | {shown} |")
        lines.append("")
    return "\n".join(lines)
