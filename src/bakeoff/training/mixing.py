"""Mixup and cutmix: batches mixed with themselves, and their labels alike.

Shapes: inputs [N, ...], labels [N], class probabilities [N, C].
"""

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bakeoff.seeding import derive_seed

Box = tuple[slice, slice]
"""Rows and columns of a rectangle."""


class Mixer:
    """Mixes every batch of one epoch, with draws that depend only on seed, epoch and batch.

    With both alphas above 0, a fair coin decides between mixup and cutmix for each batch.

    Source: mixup, Zhang et al. 2018, https://arxiv.org/abs/1710.09412; cutmix, Yun et al. 2019,
    https://arxiv.org/abs/1905.04899; the choice per batch as in timm

    Args:
        mixup_alpha: Shares come from Beta(alpha, alpha); 0 never mixes whole inputs.
        cutmix_alpha: The same for rectangles of images; 0 never cuts.
        num_classes: C.
        seed: Of the run.
        epoch: That the batches belong to.
    """

    def __init__(
        self,
        *,
        mixup_alpha: float,
        cutmix_alpha: float,
        num_classes: int,
        seed: int,
        epoch: int,
    ) -> None:
        kinds = ((mixup_alpha, False), (cutmix_alpha, True))
        self._kinds = [(alpha, cuts) for alpha, cuts in kinds if alpha > 0]
        self._num_classes = num_classes
        self._draws = np.random.default_rng(derive_seed(seed, "mix", epoch))

    def mix(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Mixed inputs and class probabilities, whose rows sum to 1, batch by batch."""
        return (self._mix_one(inputs, labels) for inputs, labels in batches)

    def _mix_one(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        partners = torch.from_numpy(self._draws.permutation(len(labels))).to(inputs.device)
        alpha, cuts = self._kinds[int(self._draws.integers(len(self._kinds)))]
        share = float(self._draws.beta(alpha, alpha))
        if cuts:
            box, share = self._draw_box(share, inputs.shape[-2], inputs.shape[-1])
            mixed = cut_and_paste(inputs, partners, box)
        else:
            mixed = inputs.lerp(inputs[partners], 1 - share)
        return mixed, mix_labels(labels, partners, share, self._num_classes)

    def _draw_box(self, share: float, height: int, width: int) -> tuple[Box, float]:
        """A rectangle of about `1 - share` of the area anywhere in the image, and what it leaves.

        Where the rectangle would reach over the edge it is cut off, and the share is corrected.
        """
        side = sqrt(1 - share)
        rows = _span(int(self._draws.integers(height)), int(side * height), height)
        columns = _span(int(self._draws.integers(width)), int(side * width), width)
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return (rows, columns), 1 - area / (height * width)


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


def _span(centre: int, length: int, size: int) -> slice:
    start = max(0, centre - length // 2)
    return slice(start, min(size, centre + (length + 1) // 2))
