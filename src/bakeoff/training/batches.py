"""Batches: index selections from arrays in memory, or samples that a loader fetches.

Shapes: inputs [N, F], [N, T, F] or [N, C, H, W] and labels [N]; of a language model tokens and next
tokens [N, L]. A split is a list of rows of the arrays it
shares with the other splits; a position is a sample's place in its split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.data.datasets import Dataset, load_dataset, split_indices
from bakeoff.data.inputs import Feature
from bakeoff.data.sample_source import SampleInputs
from bakeoff.data.targets import TargetScale, measure_targets, standardise
from bakeoff.records import DataConfig, Task
from bakeoff.seeding import derive_seed
from bakeoff.training.loading import LoadedInputs, open_loader

CHUNK_BYTES = 1 << 20
"""Samples are fetched and normalised this many bytes at a time: several small batches at once,
since each call of torch costs as much as a small batch, but not more than fits a cache."""

STATISTICS_BYTES = 1 << 26
"""Mean and deviation are taken from as many training samples as fit this, as float64."""
MIN_STATISTICS_SAMPLES = 256

Augment = Callable[[Tensor, Tensor], Tensor]
"""Raw inputs and, for each, whose random numbers it takes -> changed inputs."""


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
    """Tokens as the int64 that embeddings take; nothing is normalised."""
    return inputs.long()


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Samples to train on, to validate on, or to test on."""

    inputs: Tensor | LoadedInputs
    """All rows, as stored; shared with other splits."""
    labels: Tensor
    """Classes as int64, standardised targets as float32, or tokens as they are stored."""
    rows: Tensor
    """Rows that belong to this split, [n]."""
    normalisation: Normalisation | Callable[[Tensor], Tensor]
    """What turns inputs as stored into those that the model takes."""
    memory_format: torch.memory_format = torch.contiguous_format

    def __len__(self) -> int:
        return len(self.rows)

    def batches(
        self,
        batch_size: int,
        order: Tensor | None = None,
        augment: Augment | None = None,
        draws: Tensor | None = None,
        *,
        seed: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised inputs and labels, batch by batch.

        Args:
            batch_size: Samples in a batch; the last one may be smaller.
            order: Positions in the order they are wanted; None takes all as they come.
            augment: Applied before normalisation.
            draws: For each position in `order`, whose random numbers its augmentation takes; None
                takes those of the position itself.
            seed: Of the random numbers that a data set of the user's own draws for its samples.
        """
        positions = torch.arange(len(self.rows)) if order is None else order
        num_chunk = max(1, CHUNK_BYTES // self.sample_bytes // batch_size) * batch_size
        if isinstance(self.inputs, LoadedInputs):
            num_chunk = batch_size
        chunks = torch.split(positions, num_chunk)
        chunk_draws = chunks if draws is None else torch.split(draws, num_chunk)
        fetched = self._fetch(chunks, seed, order is not None)
        for chunk, numbers, raw in zip(chunks, chunk_draws, fetched, strict=True):
            rows = self.rows[chunk]
            inputs = self.normalisation(raw if augment is None else augment(raw, numbers))
            if self.memory_format is not torch.contiguous_format:
                inputs = inputs.contiguous(memory_format=self.memory_format)
            labels = self.labels.index_select(0, rows)
            if not labels.is_floating_point():
                labels = labels.long()
            yield from zip(
                torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True
            )

    def _fetch(self, chunks: Sequence[Tensor], seed: int, tunes: bool) -> Iterator[Tensor]:
        """Raw inputs of each chunk of positions."""
        if isinstance(self.inputs, LoadedInputs):
            return self.inputs.fetch([self.rows[chunk] for chunk in chunks], seed, tunes=tunes)
        inputs = self.inputs
        return (inputs.index_select(0, self.rows[chunk]) for chunk in chunks)

    @property
    def sample_bytes(self) -> int:
        """Memory of one normalised sample."""
        return prod(self.inputs.shape[1:]) * torch.float32.itemsize


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """The data of one run."""

    train: Split
    validation: Split
    test: Split
    """Its pages are not touched before someone iterates over it."""
    task: Task
    num_outputs: int
    """Classes, tokens of the vocabulary, or 1 in regression."""
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    """Of a language model the tokens; empty in regression."""
    fingerprint: str
    target_scale: TargetScale | None = None
    """By which regression targets were standardised."""
    features: tuple[Feature, ...] = ()
    """Of a table, in the order of the inputs."""


def load_splits(
    config: DataConfig, split_seed: int, device: torch.device, *, channels_last: bool = False
) -> Splits:
    """Training, validation and test samples on `device`; on the CPU the arrays stay mapped.

    Raises:
        DataError: As `bakeoff.data.datasets.load_dataset`.
        UsageError: As there.
    """
    dataset = load_dataset(config)
    train_rows, validation_rows = split_indices(dataset, config, split_seed)
    normalisation = (
        token_ids
        if dataset.task == "language"
        else measure_normalisation(dataset.train_inputs, train_rows, split_seed, device)
    )
    train_labels, test_labels, target_scale = _standardise_targets(dataset, train_rows)
    is_image = dataset.train_inputs.ndim == 4  # noqa: PLR2004 - [N, C, H, W]
    memory_format = torch.channels_last if channels_last and is_image else torch.contiguous_format

    def split(
        inputs: NDArray[Any] | SampleInputs, labels: NDArray[Any], rows: NDArray[np.int64]
    ) -> Split:
        return Split(
            inputs=_place_inputs(inputs, dataset.fingerprint, device),
            labels=torch.from_numpy(labels).to(device),
            rows=torch.from_numpy(rows).to(device),
            normalisation=normalisation,
            memory_format=memory_format,
        )

    train = split(dataset.train_inputs, train_labels, train_rows)
    test_rows = np.arange(len(test_labels))
    return Splits(
        train=train,
        validation=Split(
            inputs=train.inputs,
            labels=train.labels,
            rows=torch.from_numpy(validation_rows).to(device),
            normalisation=normalisation,
            memory_format=memory_format,
        ),
        test=split(dataset.test_inputs, test_labels, test_rows),
        task=dataset.task,
        num_outputs=dataset.num_outputs,
        input_shape=tuple(dataset.train_inputs.shape[1:]),
        class_names=dataset.class_names,
        fingerprint=dataset.fingerprint,
        target_scale=target_scale,
        features=dataset.features,
    )


def _place_inputs(
    inputs: NDArray[Any] | SampleInputs, fingerprint: str, device: torch.device
) -> Tensor | LoadedInputs:
    if isinstance(inputs, SampleInputs):
        return LoadedInputs(inputs, open_loader(inputs.source, fingerprint), device)
    return torch.from_numpy(inputs).to(device)


def _standardise_targets(
    dataset: Dataset, train_rows: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], TargetScale | None]:
    """Labels to train and to test with, and the scale if they are targets of regression."""
    train, test = dataset.train_labels, dataset.test_labels
    if dataset.task != "regression":
        return train, test, None
    scale = measure_targets(np.asarray(train)[train_rows])
    return standardise(train, scale), standardise(test, scale), scale


def measure_normalisation(
    inputs: NDArray[Any] | SampleInputs, rows: NDArray[np.int64], seed: int, device: torch.device
) -> Normalisation:
    """Mean and scale of the training rows, computed in float64 by NumPy.

    Per channel for images, per feature for numbers and for rows in order, all alike for rows of
    pixels. Where the data are large, or fetched sample by sample, a random sample that depends only
    on `seed` stands for all.
    """
    num_samples = MIN_STATISTICS_SAMPLES
    if not isinstance(inputs, SampleInputs):
        num_samples = max(num_samples, STATISTICS_BYTES // (8 * prod(inputs.shape[1:])))
    if len(rows) > num_samples:
        generator = np.random.default_rng(derive_seed(seed, "normalisation"))
        rows = np.sort(generator.choice(rows, num_samples, replace=False))
    sample = np.asarray(inputs[rows], dtype=np.float64)
    axes = _statistics_axes(inputs.ndim, inputs.dtype)
    mean = sample.mean(axis=axes, keepdims=True)[0]
    deviation = sample.std(axis=axes, keepdims=True)[0]
    scale = 1 / np.where(deviation > 0, deviation, 1.0)
    return Normalisation(
        mean=torch.from_numpy(mean.astype(np.float32)).to(device),
        scale=torch.from_numpy(scale.astype(np.float32)).to(device),
    )


def _statistics_axes(ndim: int, dtype: "np.dtype[Any]") -> tuple[int, ...]:
    if ndim == 4:  # noqa: PLR2004 - [N, C, H, W]
        return 0, 2, 3
    if ndim == 3 and dtype == np.uint8:  # noqa: PLR2004 - [N, T, F] of pixels
        return 0, 1, 2
    return tuple(range(ndim - 1))


def epoch_order(num_samples: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """The positions of one epoch's samples, in an order that depends only on seed and epoch.

    A last batch of one sample is left out, because batch normalisation cannot take it; which
    sample that is changes from epoch to epoch.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(num_samples, generator=generator)[: num_drawn(num_samples, batch_size)]


def fetch_seed(seed: int, epoch: int) -> int:
    """Seed of the random numbers that a data set of the user's own draws in one epoch."""
    return derive_seed(seed, "fetch", epoch)


def steps_per_epoch(num_samples: int, batch_size: int, accumulation_steps: int = 1) -> int:
    """Optimizer steps in one epoch of `epoch_order`, each on so many batches but for the last."""
    return -(-num_drawn(num_samples, batch_size) // (batch_size * accumulation_steps))


def num_drawn(num_samples: int, batch_size: int) -> int:
    """Samples in one epoch of `epoch_order`."""
    return num_samples - (1 if batch_size > 1 and num_samples % batch_size == 1 else 0)
