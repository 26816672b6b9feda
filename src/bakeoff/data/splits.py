"""Seeded splits of samples. Class labels are [N] in 0..C-1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import DataError
from bakeoff.records import Task

Indices = NDArray[np.int64]
Labels = NDArray[np.int64]

TEST_FRACTION = 0.2
"""Share of the samples that is reserved for testing if the data has no test set."""
TEST_SEED = 0
"""Fixed, so that the reserved test set is the same in every study."""


def stratified_order(labels: Labels, seed: int) -> Indices:
    """Return a random order of all samples in which every beginning is stratified.

    The first C samples hold one of each class, and any longer beginning holds the classes in their
    own proportions. So a split by this order is stratified, and a larger split contains every
    smaller one. The same labels and seed give the same order on every machine.
    """
    keys, ranks = _rank_within_classes(labels, seed)
    return np.lexsort((keys, ranks / np.bincount(labels)[labels])).astype(np.int64)


def hold_out(
    labels: NDArray[Any],
    task: Task,
    fraction: float,
    seed: int,
    class_names: Sequence[str] = (),
) -> tuple[Indices, Indices]:
    """Return the indices that are kept and the indices that are held out, each sorted.

    The share `fraction` of all samples, rounded, is held out. Classes are stratified, and at least
    one sample of each is held out. Of samples with several labels, sets of labels are stratified.
    In regression and segmentation, the held-out samples are drawn at random. Of text, the last part
    is held out whatever the seed, so that it touches the kept part only once.

    Raises:
        ValueError: There are too few samples, or too few of some class, for both sides.
    """
    if task == "classification":
        return _hold_out_stratified(labels, fraction, seed, class_names)
    num_samples = len(labels)
    num_held = max(1, round(fraction * num_samples))
    if num_held >= num_samples:
        raise ValueError(
            f"there are too few samples ({num_samples}) to hold out a share of {fraction:g}"
        )
    if task == "language":
        order = np.arange(num_samples)
        return order[:-num_held], order[-num_held:]
    if task == "multilabel":
        return _hold_out_label_sets(labels, num_held, seed)
    order = np.random.default_rng(seed).permutation(num_samples)
    return np.sort(order[num_held:]), np.sort(order[:num_held])


def hold_out_test(
    labels: NDArray[Any], task: Task, where: str, class_names: Sequence[str] = ()
) -> tuple[Indices, Indices]:
    """Reserve a fifth of the samples for testing, as `hold_out` does, always the same ones.

    Raises:
        DataError: There are too few samples; the message begins with `where`.
    """
    try:
        return hold_out(labels, task, TEST_FRACTION, TEST_SEED, class_names)
    except ValueError as error:
        raise DataError(f"{where}: no test set, and {error} as one") from None


def long_tail_counts(available: Indices, imbalance: float) -> Indices:
    """Return how many samples of each class [C] a long-tailed set keeps of those `available`.

    The counts fall exponentially with the class number, n_i = n_0 * imbalance^(-i / (C - 1)),
    rounded. n_0 is the largest count for which every class has enough samples. So class 0 keeps
    `imbalance` times as many samples as the last class, whose count may be 0.

    Source: CIFAR-LT, Cui et al. 2019, section 5.1, https://arxiv.org/abs/1901.05555
    """
    share = float(imbalance) ** (-np.arange(len(available)) / max(1, len(available) - 1))
    largest = (available / share).min()
    counts: Indices = np.rint(largest * share).astype(np.int64)
    return counts


def long_tail(labels: Labels, imbalance: float, seed: int) -> Indices:
    """Return the sorted indices of a long-tailed subset of the samples.

    The samples of a class are chosen at random. A set of greater imbalance is contained in one of
    less.

    Raises:
        ValueError: No sample of some class would be left.
    """
    counts = long_tail_counts(np.bincount(labels), imbalance)
    if counts.min() < 1:
        raise ValueError(
            f"no sample of class {len(counts) - 1} would be left ({int(counts[0])} of class 0)"
        )
    return np.flatnonzero(_rank_within_classes(labels, seed)[1] < counts[labels])


def _rank_within_classes(labels: Labels, seed: int) -> tuple[NDArray[np.float64], Indices]:
    """Draw a random key [N] for every sample, and rank the keys [N] within each class from 0."""
    keys = np.random.default_rng(seed).random(len(labels))
    counts = np.bincount(labels)
    ranks = np.empty(len(labels), dtype=np.int64)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    ranks[np.lexsort((keys, labels))] = np.arange(len(labels)) - starts
    return keys, ranks


def _hold_out_stratified(
    labels: Labels, fraction: float, seed: int, class_names: Sequence[str]
) -> tuple[Indices, Indices]:
    order = stratified_order(labels, seed)
    num_classes = int(labels.max()) + 1
    num_held = max(num_classes, round(fraction * len(labels)))
    held, kept = np.sort(order[:num_held]), np.sort(order[num_held:])
    left = np.bincount(labels[kept], minlength=num_classes)
    if not left.all():
        scarce = int(np.argmin(left))
        count = int((labels == scarce).sum())
        named = class_names[scarce] if class_names else str(scarce)
        name = named if named == str(scarce) else repr(named)
        raise ValueError(
            f"class {name} has too few samples ({count}) to hold out a share of {fraction:g}"
        )
    return kept, held


def _hold_out_label_sets(labels: NDArray[Any], num_held: int, seed: int) -> tuple[Indices, Indices]:
    """Stratify samples [N, K] that have several labels each.

    The samples are sorted by their labels, rarest label first, and at random among equal ones. Then
    every n-th one is held out. So each set of labels is held out in its proportion, give or take
    one sample, and sets that are too rare for that are held out together with similar ones.
    """
    generator = np.random.default_rng(seed)
    rarest_last = np.argsort(-labels.sum(axis=0, dtype=np.int64), kind="stable")
    keys = (generator.random(len(labels)), *(labels[:, label] for label in rarest_last))
    places = (np.arange(num_held) + generator.random()) * (len(labels) / num_held)
    is_held = np.zeros(len(labels), dtype=bool)
    is_held[np.lexsort(keys)[places.astype(np.int64)]] = True
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)
