"""Faults of a SQLite file: flipped rows, flipped and truncated files, a file that is locked."""

import random
import shutil
import sqlite3
import struct
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bakeoff.errors import BakeoffError
from faults import oracle
from faults.rows import Tally, flip_bit, row
from faults.studies import Setup, running
from faults.study_rows import check_end, ends_well
from golden.stored_studies import SQL_FILE

TABLES = (
    "trials", "trial_params", "trial_values", "trial_user_attributes", "trial_system_attributes",
    "studies", "study_directions", "study_user_attributes", "study_system_attributes",
)  # fmt: skip
"""Of what bakeoff writes, all but the intermediate values, which nothing reads once a run ended."""
NAMES = ("toy", "begun")


def make(file: Path) -> None:
    """Make the golden studies, one finished and one not, as a database."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(SQL_FILE.read_text())


def read(file: Path) -> list[str]:
    """All that is read of both studies, as text."""
    with oracle.reading(f"sqlite:///{file}") as storage:
        return [oracle.described(storage.load_record(name)) for name in NAMES]


def judge(file: Path, expected: Sequence[str], place: str, tally: Tally) -> str:
    """Read a damaged database: it is refused, or read as it was."""
    tally.injected += 1
    before = file.read_bytes()
    try:
        found = read(file)
    except BakeoffError as error:
        if "\n" in str(error):
            tally.fail("traceback", f"{place}: a message of several lines: {error}")
        verdict = "refused"
    except Exception as error:  # noqa: BLE001 - what must not happen
        tally.fail("traceback", f"{place}: {type(error).__name__}: {error}")
        verdict = "traceback"
    else:
        verdict = "unchanged" if found == list(expected) else "silent"
        if verdict == "silent":
            tally.fail("silent", place)
    if file.read_bytes() != before:
        tally.fail("lost", f"{place}: the damaged file was written to")
    return verdict


@row(
    name="row-flipped", count=500, quick=25, fault="a bit flips in a row of a stored study",
    promise="refused by the name of the run or study, or of no consequence",
)  # fmt: skip
def flip_rows(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Flip one bit of one cell of one row."""
    make(folder / "base.db")
    expected, verdicts = read(folder / "base.db"), []
    for _ in range(count):
        file = Path(shutil.copy(folder / "base.db", folder / "hit.db"))
        place = _flip_cell(file, rng)
        verdicts.append(judge(file, expected, place, tally))
    tally.notes.append(f"{verdicts.count('refused')} refused")


def _flip_cell(file: Path, rng: random.Random) -> str:
    with closing(sqlite3.connect(file)) as connection:
        table = rng.choice(TABLES)
        columns = [one[1] for one in connection.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(columns)
        rows = connection.execute(
            f"SELECT rowid, {column}, typeof({column}) FROM {table}"  # noqa: S608 - of TABLES
            f" WHERE {column} IS NOT NULL"
        ).fetchall()
        if not rows:
            return f"{table}.{column} is empty"
        row_id, value, kind = rng.choice(rows)
        flipped, where = _flipped(value, kind, rng)
        cast = "CAST(? AS TEXT)" if kind == "text" else "?"
        connection.execute(
            f"UPDATE OR REPLACE {table} SET {column} = {cast} WHERE rowid = ?",  # noqa: S608
            (flipped, row_id),
        )
        connection.commit()
    return f"{table}.{column} row {row_id} {where}"


def _flipped(value: str | float, kind: str, rng: random.Random) -> tuple[bytes | float, str]:
    """The value with one bit flipped, as SQLite would find it, and which one."""
    if kind == "integer":
        bit = rng.randrange(16)
        return int(value) ^ (1 << bit), f"byte {bit // 8} bit {bit % 8}"
    data = struct.pack(">d", value) if kind == "real" else str(value).encode()
    if not data:
        return data, "empty"
    flipped, where = flip_bit(data, rng)
    return (struct.unpack(">d", flipped)[0] if kind == "real" else flipped), where


@row(
    name="database-flipped", count=500, quick=15, fault="a bit flips anywhere in a SQLite file",
    promise="refused in one line, or of no consequence; the file is not written to",
)  # fmt: skip
def flip_files(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Flip one bit of the file."""
    make(folder / "base.db")
    expected, data = read(folder / "base.db"), (folder / "base.db").read_bytes()
    verdicts = []
    for _ in range(count):
        flipped, where = flip_bit(data, rng)
        (folder / "hit.db").write_bytes(flipped)
        verdicts.append(judge(folder / "hit.db", expected, where, tally))
    tally.notes.append(f"{verdicts.count('refused')} refused")


@row(
    name="database-truncated", count=200, quick=10, fault="a SQLite file ends at any byte",
    promise="refused in one line; the file is not written to",
)  # fmt: skip
def truncate_files(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Cut the file."""
    make(folder / "base.db")
    expected, data = read(folder / "base.db"), (folder / "base.db").read_bytes()
    for _ in range(count):
        length = rng.randrange(1, len(data))
        (folder / "hit.db").write_bytes(data[:length])
        judge(folder / "hit.db", expected, f"{length} bytes", tally)


@row(
    name="database-locked", count=20, quick=0,
    fault="another program holds a write lock on the SQLite file for up to 3 s",
    promise="the study waits; same values and report as undisturbed",
)  # fmt: skip
def lock_files(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Lock the database of a study that runs."""
    while count > 0:
        place = f"study {tally.injected}"
        setup = Setup(output=folder / place / "out")
        with running(setup) as driver:
            while count > 0 and driver.wait_for(rng.randint(3, 12)) > 0:
                connection = sqlite3.connect(setup.output / "studies.db", timeout=30)
                connection.isolation_level = None
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(3 * rng.random())
                connection.execute("ROLLBACK")
                connection.close()
                tally.injected += 1
                count -= 1
            if not ends_well(driver, tally, place):
                continue
        check_end(setup, [driver], tally, place, folder)
