import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.components.splits import hold_out, stratified_order

LABELS = np.repeat(np.arange(4), (100, 50, 30, 20))


def test_order_holds_every_sample_once() -> None:
    assert sorted(stratified_order(LABELS, 0)) == list(range(200))


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(4, 200))
def test_every_beginning_of_the_order_is_stratified(seed: int, count: int) -> None:
    chosen = np.bincount(LABELS[stratified_order(LABELS, seed)[:count]], minlength=4)
    assert chosen.min() >= 1
    assert np.abs(chosen - count * np.bincount(LABELS) / 200).max() <= 2


def test_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    first, again, other = (stratified_order(LABELS, seed) for seed in (3, 3, 4))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_kept_and_held_out_samples_are_all_samples() -> None:
    kept, held = hold_out(LABELS, 0.2, 0)
    assert sorted([*kept, *held]) == list(range(200))
    assert len(held) == 40


def test_class_that_cannot_be_on_both_sides_is_named() -> None:
    with pytest.raises(ValueError, match=r"class 2 has too few samples \(1\)"):
        hold_out(np.array([0] * 10 + [1] * 10 + [2]), 0.2, 0)
