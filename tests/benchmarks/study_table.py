"""The kept rounds of `study.py`, and the page that is made of them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from math import inf
from pathlib import Path
from statistics import mean, median
from typing import Any

from orchestration_table import cpu_name
from study_workloads import WORKLOADS, Workload

OURS = "bakeoff"
MOST_WALL = 0.6
"""Goal: our wall time over that of the quicker peer."""
MOST_TO_BEST = 0.4
"""Goal: our time to the best score of a peer over the time that the peer takes to it."""
MOST_LOSS = 0.005
"""Goal: our choice is no worse than the best peer's by this accuracy."""
QUIET_CORES = 0.2
"""With more cores in use elsewhere when a contender began, its times are not those of a quiet
machine."""
Row = Mapping[str, Any]
HEAD = """\
# Whole studies against their peers

    python tests/benchmarks/study.py --peers-python PATH/TO/python

Wall time of whole processes, from the command to its end: `study run` with its report (library
defaults and confirmation off, which the peers do not have), a plain Optuna script (TPE, median
pruner, SQLite; in one process with torch's own number of threads, and in two processes with one
thread each, as Optuna's documentation advises), and Ray Tune with ASHA (one core per trial). All get
the same arrays, network, ranges and number of trials; the scripts are in `tests/benchmarks/peers/`.
They run in turns, and the order turns with the study seed. bakeoff's source files are compiled
before, as pip does when it installs a package; the peers' packages were installed by pip. Every
number is a median over study seeds; [peers.json](peers.json) has each run.

* **Quality**: the best configuration of each is trained anew on 5 other seeds by one common trainer,
  a plain PyTorch loop, and scored on test data. The table has the mean accuracy over these runs.
* **Time to a peer's best**: seconds from our command until a validation score as good as the peer's
  best is stored, over the seconds that the peer takes to it; infinite where it is never reached.
* **Load**: cores that other programs used just before a contender began. Times are those of a quiet
  machine only where it is near 0.
"""


def read_rows(store: Path) -> list[dict[str, Any]]:
    """The kept rows: one for each workload, study seed and contender."""
    return json.loads(store.read_text())["rows"] if store.exists() else []


def write_rows(store: Path, rows: Sequence[Row]) -> None:
    """Keep the rows, one a line, and write the page."""
    store.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rows, key=lambda row: (row["workload"], row["seed"], row["contender"]))
    lines = ",\n".join(json.dumps(row) for row in ordered)
    store.write_text(f'{{"rows": [\n{lines}\n]}}\n')
    store.with_suffix(".md").write_text(page(ordered))


def page(rows: Sequence[Row]) -> str:
    """The page of all workloads that have a row."""
    parts = [HEAD]
    for name, found in groupby(rows, key=lambda row: row["workload"]):
        parts.append(section(WORKLOADS[name], list(found)))
    return "\n".join(parts)


def section(workload: Workload, rows: Sequence[Row]) -> str:
    """One workload: where it was measured, a table of the contenders, and what follows."""
    names = sorted({row["contender"] for row in rows}, key=lambda name: (name != OURS, name))
    seeds = sorted({row["seed"] for row in rows})
    commits = ", ".join(sorted({row["commit"] for row in rows}))
    versions = "; ".join(sorted({row["versions"] for row in rows}))
    lines = [
        f"## {workload.title}",
        "",
        (
            f"{workload.num_trials} trials of {workload.epochs} epochs, batches of"
            f" {workload.batch_size}, {len(seeds)} study seed{'s' * (len(seeds) > 1)}. Commit {commits},"
            f" {versions}, {cpu_name()}, load {load(rows)}."
        ),
        "",
        (
            "| contender | study seeds | seconds | epochs trained | best validation score"
            " | test accuracy again | our time to its best, over its own |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        own = [row for row in rows if row["contender"] == name]
        ratio = "" if name == OURS else shown(median(times_to_best(rows, name)))
        seconds, epochs = (median(row[key] for row in own) for key in ("seconds", "epochs"))
        lines.append(
            f"| {name} | {len(own)} | {seconds:.1f} | {epochs:.0f}"
            f" | {median(row['score'] for row in own):.4f}"
            f" | {quality(own):.4f} | {ratio} |"
        )
    return "\n".join([*lines, "", *verdict(rows, names), precisions(rows), ""])


def precisions(rows: Sequence[Row]) -> str:
    """A line on the precisions that we chose by measuring."""
    chosen = Counter(row["precision"] for row in rows if row["contender"] == OURS)
    counted = ", ".join(
        f"{name} in {count} stud{'y' if count == 1 else 'ies'}" for name, count in chosen.items()
    )
    return f"* Precision, which we measure before a study: {counted}. The peers train in fp32."


def load(rows: Sequence[Row]) -> str:
    """How many cores other programs used: the median, and the most."""
    found = [row["cores_elsewhere"] for row in rows]
    note = "" if max(found) <= QUIET_CORES else "; the machine was not quiet"
    return f"{median(found):.1f} cores elsewhere (at most {max(found):.1f}{note})"


def quality(rows: Sequence[Row]) -> float:
    """The mean test accuracy of what a contender chose, over study and training seeds."""
    return mean(score for row in rows for score in row["test_scores"])


def times_to_best(rows: Sequence[Row], peer: str) -> list[float]:
    """For each study seed, our time to the peer's best score over the peer's own time to it."""
    found = []
    for _, same in groupby(rows, key=lambda row: row["seed"]):
        by_name = {row["contender"]: row for row in same}
        if {OURS, peer} <= by_name.keys():
            theirs = by_name[peer]["trace"]
            seconds, best = theirs[-1]
            ours = (now for now, score in by_name[OURS]["trace"] if score >= best)
            found.append(next(ours, inf) / seconds)
    return found


def verdict(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """A line for each goal: whether it was met; a loss is called one."""
    own = {name: [row for row in rows if row["contender"] == name] for name in names}
    seconds = {name: median(row["seconds"] for row in found) for name, found in own.items()}
    peers = [name for name in names if name != OURS]
    if OURS not in seconds or not peers:
        return ["Not all contenders have run."]
    quickest = min(peers, key=lambda name: seconds[name])
    ratio = seconds[OURS] / seconds[quickest]
    losses = {name: loss_against(own[name], own[OURS]) for name in peers}
    best = max(peers, key=lambda name: losses[name])
    loss = losses[best]
    slowest = max(median(times_to_best(rows, name)) for name in peers)
    won = "we are quicker" if ratio < 1 else "**we lose**"
    return [
        (
            f"* Wall time: {shown(ratio)} of the quicker peer's ({quickest}): {won}; the goal of"
            f" {MOST_WALL} is {met(ratio <= MOST_WALL)}."
        ),
        (
            f"* Quality: {abs(loss):.4f} {'worse' if loss > 0 else 'better'} than the best peer's choice"
            f" ({best}); the goal, no worse by {MOST_LOSS}, is {met(loss <= MOST_LOSS)}."
        ),
        (
            f"* Time to a peer's best: {shown(slowest)} of the peer's own, for the peer where it is"
            f" longest; the goal of {MOST_TO_BEST} is {met(slowest <= MOST_TO_BEST)}."
        ),
    ]


def loss_against(theirs: Sequence[Row], ours: Sequence[Row]) -> float:
    """How much better a peer's choices are than ours, on the study seeds that it was run with."""
    seeds = {row["seed"] for row in theirs}
    return quality(theirs) - quality([row for row in ours if row["seed"] in seeds])


def shown(ratio: float) -> str:
    """A ratio, or that there is none."""
    return "never" if ratio == inf else f"{ratio:.2f}"


def met(holds: bool) -> str:
    """Whether a goal was met."""
    return "met" if holds else "**not met**"
