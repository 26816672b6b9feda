"""The batches of one epoch: which samples, in which order, augmented and mixed.

They depend only on the run's seed, the epoch and a sample's place in it. A resumed run therefore
needs nothing saved about them.

Shapes: inputs [N, ...], labels [N], class probabilities [N, C].
"""

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bakeoff.records import TrainingConfig
from bakeoff.seeding import derive_seed
from bakeoff.training.batches import Split, epoch_order, fetch_seed
from bakeoff.training.build import build_augment
from bakeoff.training.state import TrainingState

Batch = tuple[Tensor, Tensor]
"""Inputs [N, ...]; labels [N], or class probabilities [N, C] where samples are mixed."""
Box = tuple[slice, slice]
"""Rows and columns of a rectangle."""


def plain_batches(state: TrainingState, max_batches: int | None = None) -> Iterator[Batch]:
    """Augmented batches of the epoch in training, or only the first `max_batches` of them."""
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
    )
    num_used = None if max_batches is None else max_batches * batch_size
    return split.batches(
        batch_size,
        order[:num_used].to(state.device),
        augment,
        draws=draws[:num_used].to(state.device),
        seed=fetch_seed(config.seed, epoch),
    )


def training_batches(state: TrainingState) -> Iterator[Batch]:
    """The batches of the epoch in training, mixed if the run uses mixup or cutmix."""
    training, batches = state.config.training, plain_batches(state)
    if not training.mixup_alpha and not training.cutmix_alpha:
        return batches
    num_classes, seed = state.splits.num_outputs, state.config.seed
    return mix_batches(batches, training, num_classes=num_classes, seed=seed, epoch=state.epoch + 1)


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


def mix_batches(
    batches: Iterable[Batch], training: TrainingConfig, *, num_classes: int, seed: int, epoch: int
) -> Iterator[Batch]:
    """Batches whose samples are mixed with others of the batch by mixup or cutmix.

    Labels become class probabilities, whose rows sum to 1. The shares come from Beta(alpha, alpha):
    of whole inputs for mixup, of the image's area for cutmix. An alpha of 0 switches its method
    off; with both above 0, a fair coin decides for each batch. All draws depend only on the run's
    seed, the epoch and the batch.

    Source: mixup, Zhang et al. 2018, https://arxiv.org/abs/1710.09412; cutmix, Yun et al. 2019,
    https://arxiv.org/abs/1905.04899; the choice per batch as in timm
    """
    kinds = ((training.mixup_alpha, False), (training.cutmix_alpha, True))
    used = [(alpha, cuts) for alpha, cuts in kinds if alpha > 0]
    draws = np.random.default_rng(derive_seed(seed, "mix", epoch))
    for inputs, labels in batches:
        partners = torch.from_numpy(draws.permutation(len(labels))).to(inputs.device)
        alpha, cuts = used[int(draws.integers(len(used)))]
        share = float(draws.beta(alpha, alpha))
        if cuts:
            box, share = _draw_box(draws, share, inputs.shape[-2], inputs.shape[-1])
            mixed = cut_and_paste(inputs, partners, box)
        else:
            mixed = inputs.lerp(inputs[partners], 1 - share)
        yield mixed, mix_labels(labels, partners, share, num_classes)


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
    own = one_hot(labels, num_classes).float()
    return torch.lerp(own[partners], own, share)
