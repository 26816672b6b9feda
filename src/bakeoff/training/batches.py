"""Batches, selected from arrays in memory or fetched by a loader.

Shapes: inputs [N, F], [N, T, F] or [N, C, H, W] and labels [N], [N, K] if samples have several, or
[N, H, W] of images' pixels; of a language model tokens and next tokens [N, L]. A split is a list of
rows of arrays that all splits share. A position is a sample's place in its split.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.data.datasets import Dataset, load_dataset, redraw_test, split_indices
from bakeoff.data.inputs import Categories, Feature, code_counts
from bakeoff.data.sample_source import SampleInputs
from bakeoff.data.targets import TargetScale, measure_targets, standardise
from bakeoff.records import DataConfig, Task
from bakeoff.seeding import derive_seed
from bakeoff.training.loading import LoadedInputs, open_loader
from bakeoff.training.normalisation import Normalisation, choose_normalisation
from bakeoff.training.placement import KEPT_SAMPLES, DataKey, HostInputs
from bakeoff.training.weights_source import InputScale

CHUNK_BYTES = 1 << 20
"""Bytes of samples that are fetched and normalised at once. Calling torch takes as long as a small
batch, so several small batches share the calls; larger chunks would not fit a CPU cache."""

Augment = Callable[[Tensor, Tensor], Tensor]
"""Raw inputs, and for each the index of its random numbers -> changed inputs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Samples to train on, to validate on, or to test on."""

    inputs: Tensor | LoadedInputs | HostInputs
    """All rows, as stored; shared with other splits."""
    labels: Tensor
    """Classes as int64, labels [N, K] and masks [N, H, W] as uint8, standardised targets [N] or
    [N, T] as float32, or tokens as they are stored."""
    rows: Tensor
    """Rows that belong to this split, [n]."""
    normalisation: Normalisation | Callable[[Tensor], Tensor]
    """Converts inputs as stored into inputs of the model."""
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
        skip: int = 0,
        mask_augment: Augment | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised inputs and labels, batch by batch.

        Args:
            batch_size: Samples in a batch; the last batch may be smaller.
            order: Positions in the order of training; None takes all in their stored order.
            augment: Applied before normalisation.
            draws: For each position in `order`, the index of its random numbers for augmentation;
                None means the position itself.
            seed: Seed of the random numbers that a user's own data set draws for its samples.
            skip: Number of batches at the beginning that are left out.
            mask_augment: Applied to labels that are masks, with the same random numbers.
        """
        everything = torch.arange(len(self.rows), device=self.rows.device)
        positions = everything if order is None else order
        num_chunk = batch_size
        if isinstance(self.inputs, Tensor):
            num_chunk *= max(1, CHUNK_BYTES // self.sample_bytes // batch_size)
        chunks = torch.split(positions, num_chunk)
        chunk_draws = chunks if draws is None else torch.split(draws, num_chunk)
        chunk_rows = [self.rows[chunk] for chunk in chunks]
        # Whole chunks are skipped, so that the others are the same as without skipping.
        first, skip = divmod(skip, num_chunk // batch_size)
        if isinstance(self.inputs, Tensor):
            fetched: Iterator[Tensor] = map(
                partial(self.inputs.index_select, 0), chunk_rows[first:]
            )
        else:
            fetched = self.inputs.fetch(chunk_rows, seed, tune=order is not None, skip=first)
        for rows, numbers, raw in zip(
            chunk_rows[first:], chunk_draws[first:], fetched, strict=True
        ):
            inputs = self.normalisation(raw if augment is None else augment(raw, numbers))
            if self.memory_format is not torch.contiguous_format:
                inputs = inputs.contiguous(memory_format=self.memory_format)
            labels = self.labels.index_select(0, rows)
            labels = labels if mask_augment is None else mask_augment(labels, numbers)
            if not labels.is_floating_point():
                labels = labels.long()
            pairs = zip(
                torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True
            )
            yield from islice(pairs, skip, None)
            skip = 0

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
    """Samples of the test set, which are not read before someone iterates over them."""
    task: Task
    num_outputs: int
    """Number of classes, of labels, of tokens in the vocabulary, or of targets in regression."""
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    """Names of classes, labels or several targets, or tokens of a language model; else empty."""
    fingerprint: str
    target_scale: TargetScale | None = None
    """Mean and deviation by which regression targets were standardised."""
    features: tuple[Feature, ...] = ()
    """Features of a table, in the order of the inputs."""
    vocabulary: tuple[str, ...] = ()
    """The tokens in order of number, if they are the words or characters of texts with labels."""
    categories: Categories | None = None
    """The places of codes in the inputs, and how many there are; None unless the study asks for
    codes."""


def load_splits(
    config: DataConfig,
    split_seed: int,
    device: torch.device,
    *,
    channels_last: bool = False,
    test_seed: int | None = None,
    scale: InputScale | None = None,
) -> Splits:
    """Training, validation and test samples; on the CPU the arrays stay memory-mapped.

    On an accelerator they are kept for the next run of this process. Samples that would take too
    much of its memory stay in the host's, and are copied batch by batch.

    Args:
        config: The data.
        split_seed: Draws the validation samples.
        device: Where the samples are put.
        channels_last: Whether images are stored with their channels last.
        test_seed: Draws the test set, if the data came without one; None keeps it.
        scale: How the inputs of pretrained weights were normalised, for `normalize = "weights"`.

    Raises:
        DataError: As `bakeoff.data.datasets.load_dataset`.
        UsageError: As there; or the inputs cannot be normalised as the study asks.
    """
    dataset = redraw_test(load_dataset(config), test_seed)
    train_rows, validation_rows = split_indices(dataset, config, split_seed)
    inputs = dataset.train_inputs
    normalisation = choose_normalisation(dataset, config, train_rows, split_seed, device, scale)
    dataset, target_scale = _standardised(dataset, train_rows)
    is_image = inputs.ndim == 4  # noqa: PLR2004 - [N, C, H, W]
    memory_format = torch.channels_last if channels_last and is_image else torch.contiguous_format

    key = DataKey(repr(config), dataset.fingerprint, test_seed)

    def split(
        part: str,
        samples: NDArray[Any] | SampleInputs,
        labels: NDArray[Any],
        rows: NDArray[np.int64],
    ) -> Split:
        return Split(
            inputs=_place(part, samples, key, device),
            labels=torch.from_numpy(labels).to(device),
            rows=torch.from_numpy(rows).to(device),
            normalisation=normalisation,
            memory_format=memory_format,
        )

    train = split("train", inputs, dataset.train_labels, train_rows)
    given_inputs, given_labels = dataset.validation_inputs, dataset.validation_labels
    if given_inputs is None or given_labels is None:
        validation = replace(train, rows=torch.from_numpy(validation_rows).to(device))
    else:
        validation = split("validation", given_inputs, given_labels, validation_rows)
    test_labels = dataset.test_labels
    return Splits(
        train=train,
        validation=validation,
        test=split("test", dataset.test_inputs, test_labels, np.arange(len(test_labels))),
        task=dataset.task,
        num_outputs=dataset.num_outputs,
        input_shape=tuple(inputs.shape[1:]),
        class_names=dataset.class_names,
        fingerprint=dataset.fingerprint,
        target_scale=target_scale,
        features=dataset.features,
        vocabulary=dataset.vocabulary,
        categories=code_counts(dataset.features) if config.categories else None,
    )


def _standardised(
    dataset: Dataset, train_rows: NDArray[np.int64]
) -> tuple[Dataset, TargetScale | None]:
    """The data with regression targets in units of their deviation, and that scale."""
    if dataset.task != "regression":
        return dataset, None
    scale = measure_targets(np.asarray(dataset.train_labels)[train_rows])
    given = dataset.validation_labels
    scaled = replace(
        dataset,
        train_labels=standardise(dataset.train_labels, scale),
        test_labels=standardise(dataset.test_labels, scale),
        validation_labels=None if given is None else standardise(given, scale),
    )
    return scaled, scale


def _place(
    part: str, samples: NDArray[Any] | SampleInputs, key: DataKey, device: torch.device
) -> Tensor | LoadedInputs | HostInputs:
    """All samples, where there is room for them, or a loader that fetches them one by one."""
    if isinstance(samples, SampleInputs):
        return LoadedInputs(samples, open_loader(samples.source, key.fingerprint), device)
    return KEPT_SAMPLES.place(samples, key, part, device)


def epoch_order(num_samples: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """The positions of one epoch's samples, in an order that depends only on seed and epoch.

    A last batch of one sample is left out, because batch normalisation cannot train on it. It is
    another sample in each epoch.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(num_samples, generator=generator)[: num_drawn(num_samples, batch_size)]


def fetch_seed(seed: int, epoch: int) -> int:
    """Seed of the random numbers that a user's own data set draws in one epoch."""
    return derive_seed(seed, "fetch", epoch)


def steps_per_epoch(num_samples: int, batch_size: int, accumulation_steps: int = 1) -> int:
    """Optimizer steps in one epoch, each on `accumulation_steps` batches, the last on the rest."""
    return -(-num_drawn(num_samples, batch_size) // (batch_size * accumulation_steps))


def num_drawn(num_samples: int, batch_size: int) -> int:
    """Number of samples in one epoch."""
    return num_samples - (1 if batch_size > 1 and num_samples % batch_size == 1 else 0)
