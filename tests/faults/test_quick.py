"""A few faults of every row of the full set, which is `python tests/faults/full.py`."""

import random
from pathlib import Path

import pytest

from faults.full import SEED, load_rows
from faults.rows import ROWS, Row, SkippedRowError, run_row
from faults.studies import warm_up

load_rows()
QUICK = [one for one in ROWS.values() if one.quick]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    warm_up()


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("one", QUICK, ids=[one.name for one in QUICK])
def test_nothing_is_lost_and_nothing_is_silent(one: Row, tmp_path: Path) -> None:
    seed = random.Random(one.name).getrandbits(32)
    print(f"python tests/faults/full.py --only {one.name} --count {one.quick} --seed {seed}")
    try:
        tally = run_row(one, one.quick, seed, tmp_path)
    except SkippedRowError as reason:
        pytest.skip(str(reason))
    assert tally.injected > 0
    assert tally.failures == []


def test_the_full_set_holds_the_promised_numbers() -> None:
    counts = {name: one.count for name, one in ROWS.items()}
    assert counts["worker-kill"] >= 300
    assert counts["driver-kill"] >= 100
    assert counts["worker-hang"] + counts["worker-crash"] >= 200
    assert counts["postgres-restart"] >= 50
    assert counts["postgres-sessions"] >= 1000
    assert counts["disk-full"] >= 20
    assert counts["checkpoint-flipped"] >= 5000
    assert counts["row-flipped"] >= 500
    assert counts["study-file-mutated"] >= 5000
    assert counts["data-file-mutated"] >= 2000
    assert {name for name, count in counts.items() if count == 0} == {
        "checkpoint-truncated",
        "save-every-call",
    }
    assert SEED == 20261128
