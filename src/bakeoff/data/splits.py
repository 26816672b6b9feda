"""Seeded splits of samples, stratified by class and others; labels are [N] in 0..C-1."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Labels = NDArray[np.int64]


def stratified_order(labels: Labels, seed: int) -> Indices:
    """A random order of all samples in which every beginning is stratified.

    The first C samples hold one of each class, and any further beginning holds the classes in
    their own proportions. So a split by this order is stratified, and a smaller one is contained
    in a larger one. The same labels and seed give the same order everywhere.
    """
    keys = np.random.default_rng(seed).random(len(labels))
    by_class = np.lexsort((keys, labels))
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    share = np.empty(len(labels))
    rank = np.arange(len(labels)) - np.repeat(starts, counts)
    share[by_class] = rank / np.repeat(counts, counts)
    return np.lexsort((keys, share)).astype(np.int64)


def hold_out(labels: Labels, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Indices that are kept and indices that are held out, each sorted.

    `fraction` of all samples, rounded, is held out; at least one of each class.

    Raises:
        ValueError: Too few samples of some class to have one on each side.
    """
    order = stratified_order(labels, seed)
    num_classes = int(labels.max()) + 1
    num_held = max(num_classes, round(fraction * len(labels)))
    held, kept = np.sort(order[:num_held]), np.sort(order[num_held:])
    left = np.bincount(labels[kept], minlength=num_classes)
    if not left.all():
        scarce = int(np.argmin(left))
        count = int((labels == scarce).sum())
        raise ValueError(
            f"class {scarce} has too few samples ({count}) to hold out a share of {fraction:g}"
        )
    return kept, held


def long_tail_counts(available: Indices, imbalance: float) -> Indices:
    """How many samples of each class [C] a long-tailed set keeps of those that are `available`.

    The counts fall exponentially with the class's number, n_i = n_0 * imbalance^(-i / (C - 1)),
    rounded; n_0 is the largest for which no class lacks samples. So class 0 has `imbalance` times
    as many as the last one, which may be 0.

    Source: CIFAR-LT, Cui et al. 2019, section 5.1, https://arxiv.org/abs/1901.05555
    """
    share = float(imbalance) ** (-np.arange(len(available)) / max(1, len(available) - 1))
    largest = (available / share).min()
    counts: Indices = np.rint(largest * share).astype(np.int64)
    return counts


def long_tail(labels: Labels, imbalance: float, seed: int) -> Indices:
    """Indices of the samples that make a long-tailed set of `labels`, sorted.

    Which samples of a class are kept is random; the fewer are always among the more.

    Raises:
        ValueError: Nothing would be left of some class.
    """
    available = np.bincount(labels)
    counts = long_tail_counts(available, imbalance)
    if counts.min() < 1:
        raise ValueError(
            f"no sample of class {len(counts) - 1} would be left ({int(counts[0])} of class 0)"
        )
    by_class = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    starts = np.cumsum(available) - available
    rank = np.arange(len(labels)) - np.repeat(starts, available)
    return np.sort(by_class[rank < np.repeat(counts, available)]).astype(np.int64)


def hold_out_any(num_samples: int, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """As `hold_out`, for samples without classes: any of them, at least one.

    Raises:
        ValueError: Too few samples to have one on each side.
    """
    order = np.random.default_rng(seed).permutation(num_samples)
    num_held = _num_held(num_samples, fraction)
    return np.sort(order[num_held:]), np.sort(order[:num_held])


def hold_out_last(num_samples: int, fraction: float) -> tuple[Indices, Indices]:
    """As `hold_out`, for samples in an order that matters: the last of them, at least one.

    Raises:
        ValueError: Too few samples to have one on each side.
    """
    num_kept = num_samples - _num_held(num_samples, fraction)
    order = np.arange(num_samples)
    return order[:num_kept], order[num_kept:]


def _num_held(num_samples: int, fraction: float) -> int:
    num_held = max(1, round(fraction * num_samples))
    if num_held >= num_samples:
        raise ValueError(
            f"there are too few samples ({num_samples}) to hold out a share of {fraction:g}"
        )
    return num_held
