"""The published table of `tests/benchmarks/loop.py`."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(name="table", scope="module")
def _table():
    sys.path.insert(0, str(BENCHMARKS))
    import loop_table

    yield loop_table
    sys.path.remove(str(BENCHMARKS))


def row(ratio, at_least):
    found = {
        "ours_per_cpu_second": 5497, "theirs_per_cpu_second": 5578, "ratio": ratio,
        "at_least": at_least, "holds": ratio >= at_least,
    }  # fmt: skip
    return {"found": found, "rounds": 15, "machine": "a machine"}


def test_the_table_says_which_rows_miss_their_goal(table):
    text = table.format_table({"cnn": row(0.998, 1.0), "mlp": row(1.3, 1.2)})
    assert "| cnn | 5,497 | 5,578 | 1.00 | 1 | **no** | 15 | a machine |" in text
    assert "| mlp | 5,497 | 5,578 | 1.30 | 1.2 | yes | 15 | a machine |" in text
    assert text.endswith("\nRows that miss their goal: 1 of 2 (cnn).\n")
    assert table.format_table({"mlp": row(1.3, 1.2)}).endswith("\nEvery row reaches its goal.\n")


def test_the_published_table_is_that_of_the_rows_that_are_kept(table):
    published = table.STATE.with_suffix(".md").read_text()
    assert published == table.format_table(json.loads(table.STATE.read_text()))
