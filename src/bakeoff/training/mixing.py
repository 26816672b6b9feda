"""Mixup and cutmix: every sample of a batch is mixed with another one, and so are their labels.

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

Box = tuple[slice, slice]
"""Rows and columns of a rectangle."""


def mix_batches(
    batches: Iterable[tuple[Tensor, Tensor]],
    training: TrainingConfig,
    *,
    num_classes: int,
    seed: int,
    epoch: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Mixed inputs and class probabilities, whose rows sum to 1, batch by batch.

    The shares come from Beta(alpha, alpha): of whole inputs for mixup, of the image's area for
    cutmix. An alpha of 0 switches its method off; with both above 0, a fair coin decides for each
    batch. All draws depend only on the run's seed, the epoch and the batch.

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
