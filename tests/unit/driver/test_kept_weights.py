from itertools import permutations
from pathlib import Path

import pytest

from bakeoff.driver.kept_weights import KeptWeights, best_run
from bakeoff.records import MetricInfo, Outcome, TrialRecord

ACCURACY = MetricInfo(name="accuracy", direction="maximize", low=0.0, high=1.0)
LOSS = MetricInfo(name="loss", direction="minimize", low=0.0, high=9.0)


def run(
    number: int, score: float | None, arm: str = "adam", outcome: Outcome = "complete"
) -> TrialRecord:
    return TrialRecord(
        number=number, arm=arm, params={}, outcome=outcome, score=score, purpose="confirm"
    )


RUNS = [
    run(0, 0.7),
    run(1, 0.9),
    run(2, 0.9),
    run(3, 0.1, outcome="diverged"),
    run(4, None, outcome="failed"),
    run(5, 0.2, arm="sgd"),
]


@pytest.mark.parametrize("order", list(permutations(range(6)))[::37])
def test_one_file_per_arm_is_kept_in_whatever_order_runs_end(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    kept = KeptWeights(tmp_path, ACCURACY)
    for index in order:
        record = RUNS[index]
        if record.outcome == "complete":
            Path(kept.path_of(f"confirm-{record.number}", "confirm")).write_bytes(b"weights")
        kept.ended(record)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "confirm-1.safetensors", "confirm-5.safetensors",
    ]  # fmt: skip


def test_only_confirmation_runs_write_their_weights(tmp_path: Path) -> None:
    assert KeptWeights(tmp_path, ACCURACY).path_of("search-1", "search") == ""


def test_the_best_run_is_the_lowest_where_lower_is_better() -> None:
    best = best_run(RUNS[:3], LOSS)
    assert best is not None
    assert best.number == 0


def test_there_is_no_best_run_where_none_is_complete() -> None:
    assert best_run(RUNS[3:5], ACCURACY) is None
