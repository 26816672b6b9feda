import numpy as np
import pytest
from hypothesis import given, strategies as st

from bakeoff.data.splits import hold_out, long_tail, long_tail_counts, stratified_order
from bakeoff.records import Task

LABELS = np.repeat(np.arange(4), (100, 50, 30, 20))


def test_order_contains_every_sample_once() -> None:
    assert sorted(stratified_order(LABELS, 0)) == list(range(200))


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(4, 200))
def test_every_prefix_of_the_order_is_stratified(seed: int, count: int) -> None:
    chosen = np.bincount(LABELS[stratified_order(LABELS, seed)[:count]], minlength=4)
    assert chosen.min() >= 1
    assert np.abs(chosen - count * np.bincount(LABELS) / 200).max() <= 2


def test_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    first, again, other = (stratified_order(LABELS, seed) for seed in (3, 3, 4))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_kept_and_held_out_samples_are_all_samples() -> None:
    kept, held = hold_out(LABELS, "classification", 0.2, 0)
    assert sorted([*kept, *held]) == list(range(200))
    assert len(held) == 40


RARE = np.random.default_rng(0).random((500, 4)) < np.array([0.5, 0.2, 0.1, 0.03])
"""Label sets [N, K], whose last label is rare."""


@given(seed=st.integers(0, 2**31 - 1), fraction=st.floats(0.05, 0.5))
def test_sets_of_labels_are_held_out_in_their_proportions(seed: int, fraction: float) -> None:
    kept, held = hold_out(RARE, "multilabel", fraction, seed)
    assert sorted([*kept, *held]) == list(range(500))
    assert len(held) == round(fraction * 500)
    sets, of_set = np.unique(RARE, axis=0, return_inverse=True)
    share = len(held) / 500
    expected = share * np.bincount(of_set.ravel())
    found = np.bincount(of_set.ravel()[held], minlength=len(sets))
    assert np.abs(found - expected).max() <= 1
    assert abs(RARE[held][:, 3].sum() - share * RARE[:, 3].sum()) <= 1


def test_held_out_sets_of_labels_follow_the_seed() -> None:
    first, again, other = (hold_out(RARE, "multilabel", 0.2, seed)[1] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_message_names_a_class_too_small_for_both_sides() -> None:
    with pytest.raises(ValueError, match=r"class 2 has too few samples \(1\)"):
        hold_out(np.array([0] * 10 + [1] * 10 + [2]), "classification", 0.2, 0)


def test_long_tail_of_cifar_has_the_published_counts() -> None:
    """Source: CIFAR-10-LT with imbalance 100, as in LDAM (Cao et al. 2019): 5000 down to 50."""
    counts = long_tail_counts(np.full(10, 5000), 100)
    published = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert np.abs(counts - published).max() <= 1  # they truncate, we round


@given(imbalance=st.floats(1, 40), seed=st.integers(0, 2**31 - 1))
def test_long_tail_keeps_the_counts_it_should(imbalance: float, seed: int) -> None:
    kept = long_tail(LABELS, imbalance, seed)
    counts = np.bincount(LABELS[kept])
    assert counts.tolist() == long_tail_counts(np.bincount(LABELS), imbalance).tolist()
    assert (counts <= np.bincount(LABELS)).all()
    assert counts[0] / imbalance == pytest.approx(counts[-1], abs=1)
    assert kept.tolist() == sorted(set(kept))


def test_long_tail_of_more_imbalance_is_contained_in_one_of_less() -> None:
    labels = np.repeat(np.arange(4), 60)
    assert set(long_tail(labels, 30, 0)) < set(long_tail(labels, 3, 0))
    assert long_tail(labels, 1, 0).tolist() == list(range(240))


def test_long_tail_depends_on_its_seed() -> None:
    first, again, other = (long_tail(LABELS, 9, seed) for seed in (3, 3, 4))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_long_tail_without_a_sample_of_some_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no sample of class 3 would be left \(60 of class 0\)"):
        long_tail(np.repeat(np.arange(4), 60), 200, 0)


# ---------------------------------------------------------------- samples without classes


def test_regression_samples_are_held_out_at_random() -> None:
    kept, held = hold_out(np.zeros(50), "regression", 0.2, 3)
    assert sorted([*kept, *held]) == list(range(50))
    assert len(held) == 10
    assert not np.array_equal(held, np.arange(40, 50))
    assert np.array_equal(held, hold_out(np.zeros(50), "regression", 0.2, 3)[1])
    assert not np.array_equal(held, hold_out(np.zeros(50), "regression", 0.2, 4)[1])


def test_last_samples_of_a_text_are_held_out() -> None:
    kept, held = hold_out(np.zeros(50), "language", 0.1, 0)
    assert (kept.tolist(), held.tolist()) == (list(range(45)), list(range(45, 50)))


@pytest.mark.parametrize("task", ["regression", "language"])
def test_at_least_one_sample_is_on_each_side(task: Task) -> None:
    assert [len(part) for part in hold_out(np.zeros(2), task, 0.6, 0)] == [1, 1]
    with pytest.raises(ValueError, match=r"too few samples \(1\)"):
        hold_out(np.zeros(1), task, 0.6, 0)
