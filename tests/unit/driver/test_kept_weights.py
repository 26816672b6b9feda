from itertools import permutations
from pathlib import Path

import pytest

from bakeoff.driver.kept_weights import KeptWeights, best_run
from bakeoff.errors import StorageError, StoreError
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


def write(target: Path) -> bool:
    target.write_bytes(b"weights")
    return True


@pytest.mark.parametrize("order", list(permutations(range(6)))[::37])
def test_one_file_per_arm_is_kept_in_whatever_order_runs_end(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    kept = KeptWeights(tmp_path, ACCURACY)
    for index in order:
        record = RUNS[index]
        assert kept.ended(record, write) == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "confirm-1.safetensors", "confirm-5.safetensors",
    ]  # fmt: skip


def test_only_weights_that_are_kept_are_taken(tmp_path: Path) -> None:
    kept, taken = KeptWeights(tmp_path, ACCURACY), []

    def take(target: Path) -> bool:
        taken.append(target.stem)
        return write(target)

    for record in (*RUNS, RUNS[1]):  # the last as by a driver that continues
        kept.ended(record, take)
    assert taken == ["confirm-0", "confirm-1", "confirm-5"]


def test_damaged_weights_are_named_and_cost_nothing_else(tmp_path: Path) -> None:
    def take(target: Path) -> bool:
        raise ValueError("its SHA-256 does not match")

    lost = KeptWeights(tmp_path, ACCURACY).ended(RUNS[0], take)
    assert lost == (
        "the weights of confirm-0 are damaged and not kept (its SHA-256 does not match)"
    )


def test_a_store_that_does_not_answer_ends_the_study_which_may_continue(tmp_path: Path) -> None:
    def take(target: Path) -> bool:
        raise StoreError("s3://bucket: no answer")

    with pytest.raises(StorageError, match=r"s3://bucket: no answer\); the same command tries"):
        KeptWeights(tmp_path, ACCURACY).ended(RUNS[0], take)


def test_only_confirmation_runs_store_their_weights(tmp_path: Path) -> None:
    assert KeptWeights(tmp_path, ACCURACY).keeps("confirm")
    assert not KeptWeights(tmp_path, ACCURACY).keeps("search")
    assert not KeptWeights(None, ACCURACY).keeps("confirm")


def test_the_best_run_is_the_lowest_where_lower_is_better() -> None:
    best = best_run(RUNS[:3], LOSS)
    assert best is not None
    assert best.number == 0


def test_there_is_no_best_run_where_none_is_complete() -> None:
    assert best_run(RUNS[3:5], ACCURACY) is None
