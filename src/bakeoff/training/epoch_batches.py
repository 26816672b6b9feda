"""The batches of one epoch: which samples, in which order, augmented and mixed.

They depend only on the run's seed, the epoch and a sample's place in it. A resumed run therefore
needs nothing saved about them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from bakeoff.seeding import derive_seed
from bakeoff.training.batches import Split, epoch_order, fetch_seed
from bakeoff.training.build import build_augment
from bakeoff.training.mixing import mix_batches
from bakeoff.training.state import TrainingState

Batch = tuple[Tensor, Tensor]
"""Inputs [N, ...]; labels [N], or class probabilities [N, C] where samples are mixed."""


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
