"""Says what looks wrong with arrays of samples but may be meant, each as a sentence."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = NDArray[Any]
MANY = 0.01
"""Share of samples from which on repeated ones are said."""
FAR = 10.0
"""Deviations of the training samples, or ratio of deviations, by which another part is far off."""
MOST_SAMPLES = 4096
"""Samples, evenly spaced, whose mean and deviation are compared."""
CHANNELS = (1, 3, 4)
"""Numbers of channels of pictures: grey, colour, and colour with transparency."""
IMAGES = 4
"""Dimensions of [N, C, H, W]."""


def train_notes(train: Inputs, *, splits_test: bool) -> Iterator[str]:
    """Notes about training inputs [N, ...], off which a test set may be split."""
    if (train == train[0]).all():
        yield "all samples are the same, so there is nothing to learn from"
    elif train.ndim == 2:  # noqa: PLR2004 - [N, F]
        constant = int((train == train[0]).all(axis=0).sum())
        if constant:
            yield f"{constant} of {train.shape[1]} features have one value only and tell nothing"
    if train.ndim == IMAGES and _may_be_channels_last(train.shape[1:]):
        channels, height, width = train.shape[1:]
        yield (
            f"samples of shape {list(train.shape[1:])} are taken as {channels} channels of"
            f" {height} x {width} pixels; channels come first"
        )
    repeated = len(train) - len(set(_hashes(train))) if splits_test else 0
    if repeated >= max(1, MANY * len(train)):
        yield (
            f"{repeated:,} of {len(train):,} samples repeat another one, so training and test set"
            " share some"
        )


def part_notes(train: Inputs, parts: Mapping[str, Inputs]) -> Iterator[str]:
    """Notes about inputs to validate or to test on, by the name to give them."""
    known = set(_hashes(train)) if parts else set()
    for name, other in parts.items():
        shared = sum(one in known for one in _hashes(other))
        if shared >= max(1, MANY * len(other)):
            yield f"{shared:,} of {len(other):,} samples of {name} are training samples too"
        yield from _scale_notes(train, other, name)


def _may_be_channels_last(shape: tuple[int, ...]) -> bool:
    return shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS)


def _hashes(inputs: Inputs) -> list[bytes]:
    """A hash of every sample."""
    return [
        blake2b(np.ascontiguousarray(one).view(np.uint8).data, digest_size=16).digest()
        for one in inputs
    ]


def _scale_notes(train: Inputs, other: Inputs, name: str) -> Iterator[str]:
    (mean, deviation), (its_mean, its_deviation) = map(_mean_and_deviation, (train, other))
    low, high = sorted((deviation, its_deviation))
    if abs(its_mean - mean) > FAR * deviation or high > FAR * low:
        yield (
            f"values of {name} are {its_mean:.3g} with a deviation of {its_deviation:.3g}, those of"
            f" the training samples {mean:.3g} with {deviation:.3g}"
        )


def _mean_and_deviation(inputs: Inputs) -> tuple[float, float]:
    rows = np.unique(np.linspace(0, len(inputs) - 1, MOST_SAMPLES).astype(int))
    sample = np.asarray(inputs[rows], dtype=np.float64)
    return float(sample.mean()), float(sample.std())
