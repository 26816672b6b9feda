"""The full fault set: `python tests/faults/full.py [--only NAME]... [--count N] [--seed S]`.

It injects the faults of every row, one row after the other, and writes what was counted to
`results/published/reliability.md`. The result of each row is stored when it ends, so that a second
call continues; `--again` begins anew. A failure names the seed that replays it.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported
ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from faults.rows import ROWS, SkippedRowError, Tally, run_row  # noqa: E402
from faults.studies import warm_up  # noqa: E402

COMMAND = "python tests/faults/full.py"
STATE = ROOT / "results" / "published" / "reliability.json"
TABLE = STATE.with_suffix(".md")
SEED = 20261128
HEAD = """# What happens when things break

Written by `{command}` on a machine of two cores; one row again: `{command} --only NAME`.
Lost: trials, acknowledged writes or checkpoints that are gone, doubled or not ended, or that have
other values than undisturbed. Silent: a difference that nothing says, or a file left behind.
Traceback: a traceback or a hang instead of a message. s: wall time, next to other work.

| row | fault | promise | injected | lost | silent | traceback | s |
|---|---|---|--:|--:|--:|--:|--:|
"""


def load_rows() -> None:
    """Import the modules that register rows."""
    from faults import (  # noqa: F401
        disk_rows,
        file_rows,
        input_rows,
        postgres_rows,
        sequence_rows,
        storage_rows,
        store_rows,
        study_rows,
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", default=[], choices=sorted(ROWS), metavar="NAME")
    parser.add_argument("--count", type=int, help="faults per row instead of the full number")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--again", action="store_true", help="forget the rows that have ended")
    parser.add_argument("--list", action="store_true", help="print the rows")
    return parser.parse_args()


def main() -> int:
    """Run the rows that have not ended; return 1 if a promise was broken."""
    load_rows()
    warm_up()
    chosen = parse()
    if chosen.list:
        print("\n".join(f"{one.name:24} {one.count:6} {one.fault}" for one in ROWS.values()))
        return 0
    is_full = chosen.count is None and chosen.seed == SEED
    known = json.loads(STATE.read_text()) if STATE.exists() and not chosen.again else {}
    broken = False
    for name in chosen.only or list(ROWS):
        if is_full and not chosen.only and name in known:
            continue
        found = measure(name, chosen.count, chosen.seed)
        print(f"{name}: {found}", flush=True)
        broken |= bool(found.get("failures"))
        if is_full:
            known[name] = found
            STATE.write_text(json.dumps(known, indent=1) + "\n")
            TABLE.write_text(table(known))
    return int(broken)


def measure(name: str, count: int | None, seed: int) -> dict[str, object]:
    """Run one row and return what was counted."""
    one = ROWS[name]
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{name}-"))
    os.environ["BAKEOFF_DATA"] = str(folder / "data")
    try:
        tally = run_row(one, one.count if count is None else count, seed, folder)
    except SkippedRowError as reason:
        return {"skipped": str(reason)}
    else:
        return asdict(tally)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(known: dict[str, dict[str, object]]) -> str:
    """The published table."""
    lines = HEAD.format(command=COMMAND).splitlines()
    lines += [_line(name, known.get(name)) for name in ROWS]
    done = [one for one in known.values() if "skipped" not in one]
    tallies = [Tally(**one) for one in done]  # type: ignore[arg-type]
    total = [sum(getattr(one, key) for one in tallies) for key in
             ("injected", "lost", "silent", "traceback", "seconds")]  # fmt: skip
    lines.append("| all | | | " + " | ".join(f"{one:.0f}" for one in total) + " |")
    failures = [
        f"* {name}: {text.splitlines()[0]}"
        for name, one in known.items()
        for text in one.get("failures", [])  # type: ignore[attr-defined]
    ]
    if failures:
        lines += ["", "## Broken promises", "", *failures]
    return "\n".join(lines) + "\n"


def _line(name: str, found: dict[str, object] | None) -> str:
    one = ROWS[name]
    head = f"| {name} | {one.fault} | {one.promise} | "
    if found is None:
        return head + "not run | | | | |"
    if "skipped" in found:
        return head + f"skipped: {found['skipped']} | | | | |"
    tally = Tally(**found)  # type: ignore[arg-type]
    notes = "".join(f"; {note}" for note in tally.notes)
    counts = (tally.injected, tally.lost, tally.silent, tally.traceback, round(tally.seconds))
    return f"| {name} | {one.fault}{notes} | {one.promise} | " + " | ".join(map(str, counts)) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
