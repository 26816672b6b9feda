"""The batches of one epoch: which samples, in which order, augmented and mixed.

They depend only on the run's seed, the epoch and a sample's place in it. A resumed run therefore
needs nothing saved about them.

Shapes: inputs [N, ...], labels [N], class probabilities [N, C].
"""

from collections.abc import Iterable, Iterator, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.records import TrainingConfig
from bakeoff.seeding import derive_seed
from bakeoff.training.batches import Augment, Split, epoch_order, fetch_seed
from bakeoff.training.build import build_augment, mask_augment_of
from bakeoff.training.device import to_device
from bakeoff.training.ranks import ALONE, Ranks
from bakeoff.training.state import TrainingState

Batch = tuple[Tensor, Tensor]
"""Inputs [N, ...]; labels [N], or class probabilities [N, C] where samples are mixed."""
Box = tuple[slice, slice]
"""Rows and columns of a rectangle."""


class EpochSamples(NamedTuple):
    """Which training samples an epoch takes, and how it changes them."""

    order: Tensor
    """Positions in the order of training, [n]."""
    draws: Tensor
    """For each, the index of its random numbers for augmentation, [n]."""
    augment: Augment | None


def epoch_samples(state: TrainingState) -> EpochSamples:
    """The samples of the epoch in training; they depend on the run's seed and the epoch only."""
    config, split, epoch = state.config, state.splits.train, state.epoch + 1
    batch_size = config.training.batch_size
    order = epoch_order(len(split), batch_size, config.seed, epoch)
    draws = order
    if config.training.sampling == "weighted":
        # A sample may be drawn several times, and is then augmented differently each time.
        draws = torch.arange(len(order))
        order = weighted_order(split, len(order), config.seed, epoch)
    augment = build_augment(
        config.data.augment,
        num_samples=len(split),
        seed=config.seed,
        epoch=epoch,
        device=state.device,
        batch_size=batch_size,
    )
    return EpochSamples(order.to(state.device), draws.to(state.device), augment)


def plain_batches(
    state: TrainingState,
    max_batches: int | None = None,
    skip: int = 0,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """Augmented batches of the epoch in training, or only the first `max_batches` of them.

    The first `skip` batches are left out. With several ranks these are this rank's parts of them.
    """
    config, split, epoch = state.config, state.splits.train, state.epoch + 1
    batch_size = config.training.batch_size
    samples = epoch_samples(state)
    num_used = None if max_batches is None else max_batches * batch_size
    order, draws = samples.order[:num_used], samples.draws[:num_used]
    if not ranks.is_alone:
        own = own_places(len(order), batch_size, ranks)
        order, draws, batch_size = order[own.places], draws[own.places], own.batch_size
    return split.batches(
        batch_size,
        order,
        samples.augment,
        draws=draws,
        seed=fetch_seed(config.seed, epoch),
        skip=skip,
        mask_augment=mask_augment_of(config.data, len(split), config.seed, epoch, state.device),
    )


class OwnPlaces(NamedTuple):
    """This rank's parts of an epoch's batches."""

    places: Tensor
    """Places in the order of the epoch, [n]."""
    batch_size: int
    """Samples in each part but the last one, which may be smaller."""


def own_places(num_samples: int, batch_size: int, ranks: Ranks) -> OwnPlaces:
    """This rank's parts of the batches of `num_samples` samples, in their order."""
    num_whole, rest = divmod(num_samples, batch_size)
    whole, last = ranks.part_of(batch_size), ranks.part_of(rest)
    places = torch.arange(num_samples)
    parts = places[: num_whole * batch_size].view(num_whole, batch_size)[
        :, whole.start : whole.stop
    ]
    tail = places[num_whole * batch_size :][last.start : last.stop]
    return OwnPlaces(torch.cat([parts.flatten(), tail]), whole.size)


def training_batches(state: TrainingState, skip: int = 0) -> Iterator[Batch]:
    """The batches of the epoch in training, mixed if the run uses mixup or cutmix.

    The first `skip` batches are left out; the others are the same as without skipping.
    """
    training, batches = state.config.training, plain_batches(state, skip=skip)
    if not training.mixup_alpha and not training.cutmix_alpha:
        return batches
    draws = MixDraws(training, state.config.seed, state.epoch + 1)
    for _ in range(skip):
        draws.next(training.batch_size, state.splits.input_shape)
    return mix_batches(batches, draws, num_classes=state.splits.num_outputs)


def weighted_order(split: Split, num_drawn: int, seed: int, epoch: int) -> Tensor:
    """Positions drawn with replacement so that every class is equally likely.

    They depend only on the labels, the seed and the epoch.
    """
    labels = split.labels[split.rows].cpu()
    weights = 1 / torch.bincount(labels).double()
    edges = weights[labels].cumsum(0)
    generator = torch.Generator().manual_seed(derive_seed(seed, "weighted order", epoch))
    draws = torch.rand(num_drawn, generator=generator, dtype=torch.float64) * edges[-1]
    return torch.searchsorted(edges, draws, right=True).clamp_(max=len(labels) - 1)


class Mix(NamedTuple):
    """How the samples of one batch are mixed with others of the batch."""

    partners: NDArray[np.int64]
    """[N], the place of each sample's partner."""
    share: float
    """What each sample keeps of itself."""
    box: Box | None
    """The rectangle that comes from the partner; None mixes whole inputs."""


class MixDraws:
    """Draws how the batches of one epoch are mixed, batch after batch.

    The shares come from Beta(alpha, alpha): of whole inputs for mixup, of the image's area for
    cutmix. An alpha of 0 switches its method off; with both above 0, a fair coin decides for each
    batch. All draws depend only on the run's seed, the epoch and the batch.

    Source: mixup, Zhang et al. 2018, https://arxiv.org/abs/1710.09412; cutmix, Yun et al. 2019,
    https://arxiv.org/abs/1905.04899; the choice per batch as in timm
    """

    def __init__(self, training: TrainingConfig, seed: int, epoch: int) -> None:
        kinds = ((training.mixup_alpha, False), (training.cutmix_alpha, True))
        self._used = [(alpha, cuts) for alpha, cuts in kinds if alpha > 0]
        self._draws = np.random.default_rng(derive_seed(seed, "mix", epoch))

    def next(self, num_samples: int, shape: Sequence[int]) -> Mix:
        """How the next batch, of `num_samples` samples of this shape, is mixed."""
        partners = self._draws.permutation(num_samples)
        alpha, cuts = self._used[int(self._draws.integers(len(self._used)))]
        share = float(self._draws.beta(alpha, alpha))
        if not cuts:
            return Mix(partners, share, None)
        box, share = _draw_box(self._draws, share, shape[-2], shape[-1])
        return Mix(partners, share, box)


def mix_batches(batches: Iterable[Batch], draws: MixDraws, *, num_classes: int) -> Iterator[Batch]:
    """Batches whose samples are mixed with others of the batch by mixup or cutmix.

    Labels become class probabilities, whose rows sum to 1.
    """
    for inputs, labels in batches:
        mix = draws.next(len(labels), inputs.shape[1:])
        partners = to_device(torch.from_numpy(mix.partners), inputs.device)
        if mix.box is None:
            mixed = inputs.lerp(inputs[partners], 1 - mix.share)
        else:
            mixed = cut_and_paste(inputs, partners, mix.box)
        yield mixed, mix_labels(labels, partners, mix.share, num_classes)


def _draw_box(
    draws: np.random.Generator, share: float, height: int, width: int
) -> tuple[Box, float]:
    """A rectangle of about `1 - share` of the area anywhere in the image, and the share outside it.

    A rectangle that reaches over the edge is cut off there, and the share is corrected.
    """
    side = sqrt(1 - share)
    rows = _span(int(draws.integers(height)), int(side * height), height)
    columns = _span(int(draws.integers(width)), int(side * width), width)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return (rows, columns), 1 - area / (height * width)


def _span(centre: int, length: int, size: int) -> slice:
    return slice(max(0, centre - length // 2), min(size, centre + (length + 1) // 2))


def cut_and_paste(images: Tensor, partners: Tensor, box: Box) -> Tensor:
    """Images [N, ..., H, W] with the rectangle `box` taken from their partners."""
    rows, columns = box
    mixed = images.clone()
    mixed[..., rows, columns] = images[partners][..., rows, columns]
    return mixed


def mix_labels(labels: Tensor, partners: Tensor, share: float, num_classes: int) -> Tensor:
    """Class probabilities [N, C]: `share` for the own class, the rest for the partner's."""
    # As one_hot, which reads the largest label back from some devices.
    own = (labels[:, None] == torch.arange(num_classes, device=labels.device)).float()
    return torch.lerp(own[partners], own, share)
