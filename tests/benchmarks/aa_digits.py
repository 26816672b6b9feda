"""Studies of one algorithm under two names: how often does a report name a winner?

    python tests/benchmarks/aa_digits.py [--studies N] [--first SEED] [--workers N] [--output DIR]

Runs `studies/aa-digits.toml` with the seeds 0 to N - 1, each as `study run` would, and writes one
row per study to `results.csv` in the folder, then `README.md` with the table and the counts. A
study that is there already is continued, so that an interrupted run loses nothing; one that is
finished is only read, and rows of other seeds in the table stay. Adam and AdamW without weight
decay are the same algorithm: every winner is wrong.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bakeoff.analysis.comparison import compare
from bakeoff.storage import Storage
from bakeoff.version import __version__

STUDY_FILE = Path(__file__).parents[2] / "studies" / "aa-digits.toml"
NAME = "aa-digits"


@dataclass(frozen=True)
class Row:
    """What one study found."""

    seed: int
    level: str
    status: str
    repeats: int
    mean_difference: float
    ci_low: float
    ci_high: float
    p_holm: float
    first_search_status: str
    """The status of the pair of configurations that the first search found (level L1)."""
    headline: str


def write_study(seed: int, folder: Path) -> Path:
    """The study file with another seed and a name of its own."""
    text = STUDY_FILE.read_text()
    named = (f'name = "{NAME}"', f'name = "{NAME}-{seed}"')
    for old, new in (named, ("seed = 0", f"seed = {seed}")):
        if text.count(old) != 1:
            raise ValueError(f"{STUDY_FILE}: {old} is expected once")
        text = text.replace(old, new)
    path = folder / f"{NAME}-{seed}.toml"
    path.write_text(text)
    return path


def run_study(seed: int, folder: Path, storage: str, workers: int) -> None:
    """Run a study to its end in a process of its own.

    Raises:
        subprocess.CalledProcessError: The study failed.
    """
    command = [
        sys.executable, "-m", "bakeoff", "run", str(write_study(seed, folder)),
        "--storage", storage, "--output", str(folder / "reports"), "--workers", str(workers),
    ]  # fmt: skip
    with (folder / f"{NAME}-{seed}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, env=os.environ)


def read_row(seed: int, storage: str) -> Row:
    """What the report of a finished study says, and what its first search alone would say."""
    record = Storage(storage).load_record(f"{NAME}-{seed}")
    comparison = compare(record)
    first = compare(record.first_search)
    (pair,) = comparison.pairs
    return Row(
        seed=seed,
        level=comparison.level,
        status=pair.status,
        repeats=comparison.repeats_counted,
        mean_difference=pair.mean,
        ci_low=pair.ci[0],
        ci_high=pair.ci[1],
        p_holm=pair.p_holm,
        first_search_status=first.pairs[0].status,
        headline=comparison.verdict.headline,
    )


def read_results(folder: Path) -> dict[int, Row]:
    """The rows of the table that is there, by seed."""
    path = folder / "results.csv"
    if not path.exists():
        return {}
    number: dict[str, Callable[[str], Any]] = {"seed": int, "repeats": int}
    number |= dict.fromkeys(("mean_difference", "ci_low", "ci_high", "p_holm"), float)
    with path.open(newline="") as file:
        rows = [
            Row(**{name: number.get(name, str)(text) for name, text in row.items()})
            for row in csv.DictReader(file)
        ]
    return {row.seed: row for row in rows}


def write_results(rows: list[Row], folder: Path) -> None:
    """The table as CSV and Markdown, with the counts that matter."""
    names = [field.name for field in fields(Row)]
    with (folder / "results.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    better = ("better", "clearly_better")
    winners = sum(row.status in better for row in rows)
    firsts = sum(row.first_search_status in better for row in rows)
    what = (
        f"{len(rows)} studies of [`studies/aa-digits.toml`](../../../studies/aa-digits.toml) with the"
        " seeds in the table: Adam and AdamW, both without weight decay, which are the same"
        " algorithm. Made by `tests/benchmarks/aa_digits.py` with bakeoff"
        f" {__version__} on CPU."
    )
    once = (
        f"* After the first search alone (level L1), {firsts} of {len(rows)} found the"
        " configuration of one arm better than that of the other. Read as a statement about"
        " optimizers, as reports did before levels were kept apart, each of these would be wrong."
    )
    repeated = (
        f"* Over repeated searches (level L2), **{winners} of {len(rows)}** named a winner; an error"
        f" rate of 5 % allows {len(rows) / 20:g} on average."
    )
    lines = [
        "# One algorithm under two names",
        "",
        what,
        "",
        repeated,
        once,
        "",
        "| seed | level | result | repeats | mean difference | interval | Holm p | first search |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.seed} | {row.level} | {row.status.replace('_', ' ')} | {row.repeats}"
            f" | {row.mean_difference:.4f} | {row.ci_low:.4f} to {row.ci_high:.4f}"
            f" | {row.p_holm:.3f} | {row.first_search_status.replace('_', ' ')} |"
            for row in rows
        ),
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines))
    print("\n".join(lines))


def main() -> None:
    """Run the studies and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first study")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results/published/aa"))
    parser.add_argument("--work", type=Path, default=Path("results/aa-digits"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{options.work.resolve() / 'studies.db'}"
    begun = time.monotonic()
    rows = read_results(options.output)
    for seed in range(options.first, options.first + options.studies):
        run_study(seed, options.work, storage, options.workers)
        rows[seed] = row = read_row(seed, storage)
        print(f"seed {seed}: {row.level} {row.status}, {time.monotonic() - begun:.0f} s")
        write_results([rows[seed] for seed in sorted(rows)], options.output)


if __name__ == "__main__":
    main()
