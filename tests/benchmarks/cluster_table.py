"""What `cluster.py` found as a published table: every part is kept in a JSON file, with its setting."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestration_table import cpu_name

from bakeoff.child_process import num_cores
from bakeoff.production.gate_file import commit_of
from bakeoff.version import __version__

STATE = Path(__file__).parents[2] / "results" / "published" / "cluster.json"
PARTS = {
    "folder": ("Checkpoints in a folder that all nodes see", "--publish"),
    "s3": ("Checkpoints in a bucket, and no shared folder", "--store s3 --publish"),
    "refusals": ("Clusters and nodes that are refused", "--part refusals --publish"),
}
"""The heading of each part, and the options that measure it."""
ABOUT = {
    "folder": "",
    "s3": "The server (moto) is on this machine. For the nodes an empty folder is mounted over that"
    " of the driver, in which are the study, its modules, its storage and its results.",
    "refusals": "Each is a cluster that is really so. The lines are those of stderr; nodes have"
    " names of this machine.",
}
HEAD = """# A study on a Ray cluster that loses its parts

The digest is of all scores, metrics and losses of the study's runs, in full precision, and of the weights
that it keeps. Attempts are one for each run and one for each worker that it lost. Restored are epochs that
came again as they had been recorded, so that they were read from a checkpoint and not trained
again: of runs that were lost, and of those that paused and were promoted. A driver that is killed and
restarted does not see that. The seconds of a whole study depend on what else the machine did.
"""


def publish(part: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Store the lines of a part, and write the table of all parts.

    Lines of the same setting that were measured before and not now are kept.
    """
    setting = _setting()
    known = json.loads(STATE.read_text()) if STATE.exists() else {}
    before = known.get(part, {})
    kept = before["lines"] if before.get("setting") == setting else []
    merged = {line["what"]: line for line in (*kept, *lines)}
    known[part] = {"setting": setting, "lines": [*merged.values()]}
    STATE.write_text(
        json.dumps({one: known[one] for one in PARTS if one in known}, indent=1) + "\n"
    )
    STATE.with_suffix(".md").write_text(table(known))


@cache
def _setting() -> str:
    """When it is first asked for, because publishing changes tracked files."""
    commit = commit_of(str(Path(__file__).parent))
    return (
        f"bakeoff {__version__}, commit {commit}, Ray {version('ray')}, torch {version('torch')},"
        f" {cpu_name()}, {num_cores()} cores, which other programs used, too. Two nodes of one CPU each on this"
        " machine. Ray looks after a node every 0.5 s and gives it up after 4 failures; by default"
        " this takes longer. Each line was measured once."
    )


def table(known: Mapping[str, Any]) -> str:
    """All parts as Markdown."""
    text = [HEAD]
    for part, (heading, options) in PARTS.items():
        if part not in known:
            continue
        text += [f"## {heading}", "", f"    python tests/benchmarks/cluster.py {options}", ""]
        text += [" ".join(filter(None, (ABOUT[part], known[part]["setting"]))), ""]
        rows = _refusals if part == "refusals" else _ways
        text += [*rows(known[part]["lines"]), ""]
    return "\n".join(text)


def _ways(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    head = f"| what happens to {lines[0]['runs']} runs | digest | attempts | restored epochs |"
    return [
        f"{head} noticed after [s] | whole study [s] |",
        "|---|---|---|---|---|---|",
        *(
            f"| {line['what']} | `{line['digest']}` | {line['attempts']} |"
            f" {_shown(line.get('restored'))} | {_shown(line.get('noticed_s'))} |"
            f" {line['seconds']} |"
            for line in lines
        ),
    ]


def _refusals(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    said = ((line, " <br> ".join(f"`{one}`" for one in line["said"])) for line in lines)
    return [
        "| what is wrong | exit code | what is said |",
        "|---|---|---|",
        *(f"| {line['what']} | {line['exit']} | {text} |" for line, text in said),
    ]


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
