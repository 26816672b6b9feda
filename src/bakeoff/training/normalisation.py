"""How inputs are normalised: as a study names it, or by mean and deviation of its samples."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.data.datasets import Dataset
from bakeoff.data.inputs import Categories, code_counts
from bakeoff.data.sample_source import SampleInputs
from bakeoff.errors import UsageError
from bakeoff.records import DataConfig, Normalize
from bakeoff.seeding import derive_seed
from bakeoff.training.weights_source import BYTE, IMAGENET, InputScale

STATISTICS_BYTES = 1 << 26
"""Mean and deviation are computed from as many training samples as fit this, as float64."""
MIN_STATISTICS_SAMPLES = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalisation:
    """Mean and scale of the training samples, per channel or feature."""

    mean: Tensor
    scale: Tensor
    """One over the standard deviation; 1 where that is 0."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs as float32 with mean 0 and deviation 1."""
        return (inputs - self.mean).mul_(self.scale)


def token_ids(inputs: Tensor) -> Tensor:
    """Tokens as int64, which embeddings need; tokens are not normalised."""
    return inputs.long()


def choose_normalisation(
    dataset: Dataset,
    config: DataConfig,
    train_rows: NDArray[np.int64],
    split_seed: int,
    device: torch.device,
    scale: InputScale | None,
) -> Normalisation | Callable[[Tensor], Tensor]:
    """The normalisation that the study names, or that of the training samples; texts have none.

    Raises:
        UsageError: As `given_normalisation`.
    """
    if dataset.task == "language" or config.text is not None:
        return token_ids
    inputs = dataset.train_inputs
    given = given_normalisation(config.normalize, scale, inputs, device)
    found = given or measure_normalisation(inputs, train_rows, split_seed, device)
    return keep_codes(found, code_counts(dataset.features))


def given_normalisation(
    normalize: Normalize | None,
    scale: InputScale | None,
    inputs: NDArray[Any] | SampleInputs,
    device: torch.device,
) -> Normalisation | None:
    """The normalisation that a study names; None if the training samples decide.

    A grey image has the mean of the three channels' values.

    Raises:
        UsageError: The inputs are no images, have another number of channels, or are numbers that
            cannot be pictures from 0 to 1.
    """
    if normalize in (None, "data") or (normalize == "weights" and scale is None):
        return None
    key = f'data.normalize = "{normalize}"'
    is_image = inputs.ndim == 4  # noqa: PLR2004 - [N, C, H, W]
    if normalize == "imagenet" and not is_image:
        raise UsageError(f"{key}: is for images [N, C, H, W], not for {list(inputs.shape)}")
    if normalize == "imagenet":
        scale = InputScale(mean=IMAGENET[0], deviation=IMAGENET[1])
    if normalize == "none" or scale is None:
        scale = InputScale(mean=(0.0,), deviation=(1.0,), is_share=inputs.dtype == np.uint8)
    num = inputs.shape[1 if is_image else -1]
    mean, deviation = (np.asarray(one) for one in (scale.mean, scale.deviation))
    if len(mean) not in (1, num):
        if not is_image or num != 1:
            raise UsageError(
                f"{key}: is for {len(mean)} channels or features, and the data has {num}"
            )
        mean, deviation = mean.mean(keepdims=True), deviation.mean(keepdims=True)
    if scale.is_share and inputs.dtype == np.uint8:
        mean, deviation = mean * BYTE, deviation * BYTE
    elif scale.is_share:
        _check_shares(key, np.asarray(inputs[np.arange(min(len(inputs), MIN_STATISTICS_SAMPLES))]))
    shape = (-1, 1, 1) if is_image else (-1,)
    mean, deviation = (np.broadcast_to(one, num).reshape(shape) for one in (mean, deviation))
    return Normalisation(
        mean=torch.from_numpy(mean.astype(np.float32)).to(device),
        scale=torch.from_numpy((1 / deviation).astype(np.float32)).to(device),
    )


def _check_shares(key: str, sample: NDArray[Any]) -> None:
    """Numbers that are no bytes must be from 0 to 1, as the stated mean and deviation are."""
    low, high = float(sample.min()), float(sample.max())
    if low < 0 or high > 1:
        raise UsageError(
            f"{key}: is for bytes, or numbers from 0 to 1, and the data has {low:g} to {high:g};"
            ' set data.normalize = "none" if it is normalised already, or "data"'
        )


def keep_codes(normalisation: Normalisation, categories: Categories) -> Normalisation:
    """The normalisation of a table's numbers, which leaves codes as they are."""
    if not categories:
        return normalisation
    places = [place for place, _ in categories]
    mean, scale = normalisation.mean.clone(), normalisation.scale.clone()
    mean[places], scale[places] = 0.0, 1.0
    return Normalisation(mean=mean, scale=scale)


def measure_normalisation(
    inputs: NDArray[Any] | SampleInputs, rows: NDArray[np.int64], seed: int, device: torch.device
) -> Normalisation:
    """Mean and scale of the training rows, computed in float64 by NumPy.

    They are measured per channel of images, per feature of numbers and of sequences, and over
    everything in sequences of pixels. Where the data are large, or fetched sample by sample, they
    are estimated from a random sample that depends only on `seed`.
    """
    num_samples = MIN_STATISTICS_SAMPLES
    if not isinstance(inputs, SampleInputs):
        num_samples = max(num_samples, STATISTICS_BYTES // (8 * prod(inputs.shape[1:])))
    if len(rows) > num_samples:
        generator = np.random.default_rng(derive_seed(seed, "normalisation"))
        rows = np.sort(generator.choice(rows, num_samples, replace=False))
    sample = np.asarray(inputs[rows], dtype=np.float64)
    axes = tuple(range(inputs.ndim - 1))
    if inputs.ndim == 4:  # noqa: PLR2004 - [N, C, H, W]
        axes = (0, 2, 3)
    elif inputs.ndim == 3 and inputs.dtype == np.uint8:  # noqa: PLR2004 - [N, T, F] of pixels
        axes = (0, 1, 2)
    mean = sample.mean(axis=axes, keepdims=True)[0]
    deviation = sample.std(axis=axes, keepdims=True)[0]
    scale = 1 / np.where(deviation > 0, deviation, 1.0)
    return Normalisation(
        mean=torch.from_numpy(mean.astype(np.float32)).to(device),
        scale=torch.from_numpy(scale.astype(np.float32)).to(device),
    )
