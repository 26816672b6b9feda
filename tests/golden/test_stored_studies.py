"""The studies that a release has stored are read by all later ones."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bakeoff.storage import Storage
from driven_study import drive
from golden.stored_studies import RECORDS_FILE, SQL_FILE, UNFINISHED, read
from study_examples import SimulatedEngine


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The stored studies as a database."""
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection:
        connection.executescript(SQL_FILE.read_text())
    return tmp_path / "studies.db"


def check_contains(found: Any, expected: Any, place: str = "") -> None:
    """Every stored value is found again; later releases may know more."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            check_contains(found[key], value, f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for number, value in enumerate(expected):
            check_contains(found[number], value, f"{place}[{number}]")
    else:
        assert found == expected, place


def test_the_studies_that_this_format_stores_are_read_as_they_were(file):
    expected = json.loads(RECORDS_FILE.read_text())
    outcomes = {run["outcome"] for run in expected["toy"]["trials"]}
    assert outcomes >= {"complete", "pruned", "diverged"}
    begun = expected["begun"]["trials"]
    assert any(run["is_paused"] for run in begun)
    assert any(run["outcome"] == "running" and not run["is_paused"] for run in begun)
    assert {run["attempts"] for run in expected["toy"]["trials"]} == {1, 2}
    assert any(run["spared_at"] for run in expected["toy"]["trials"])
    check_contains(read(Storage(f"sqlite:///{file}")), expected)


def test_an_unfinished_study_that_this_format_stores_is_continued_to_its_end(file, tmp_path):
    record = drive(UNFINISHED, SimulatedEngine(), f"sqlite:///{file}", tmp_path)
    assert {run.outcome for run in record.trials} <= {"complete", "pruned", "diverged"}
    assert record.finished
    before = json.loads(RECORDS_FILE.read_text())["begun"]["trials"]
    assert [(run.arm, run.seed, run.params) for run in record.trials[: len(before)]] == [
        (run["arm"], run["seed"], run["params"]) for run in before
    ]
