"""What is kept of the predictions of pixels, and the metrics that follow from it.

Counts are kept, never the predictions themselves: a matrix of classes, and for a test set a few
counts of each image. Pixels with the value `IGNORED` are in none of them.

Shapes: N images, C classes, P pixels that count.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bakeoff.data.masks import IGNORED


def counted_pixels(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [P, C] as float32 and classes [P] of the pixels that are not ignored.

    Args:
        logits: [N, C, H, W].
        masks: [N, H, W].
    """
    is_counted = masks != IGNORED
    return logits.movedim(1, -1)[is_counted].float(), masks[is_counted]


class PixelPredictions:
    """Counts over logits [N, C, H, W] and masks [N, H, W], which are not kept themselves.

    Args:
        keeps_samples: Whether a `part` of the images may be asked for.
    """

    def __init__(self, *, keeps_samples: bool = False) -> None:
        self._keeps_samples = keeps_samples
        self._confusions: list[Tensor] = []
        """The sum of the matrices [C, C] of all batches, as one element."""
        self._losses: list[Tensor] = []
        self._sample_losses: list[Tensor] = []
        """Summed cross-entropy of each image, [n] of every batch."""
        self._sample_counts: list[Tensor] = []
        """Hits, pixels of the class and pixels predicted to be of it, [n, 3, C] of every batch."""
        self._followers: list[Callable[[Tensor, Tensor], None]] = []

    def follow(self, update: Callable[[Tensor, Tensor], None]) -> None:
        """Call `update` with the logits [P, C] and the classes [P] of every batch."""
        self._followers.append(update)

    def add(self, logits: Tensor, masks: Tensor) -> None:
        """Add a batch."""
        num_classes = logits.shape[1]
        if logits.device.type == "cpu" or self._followers or self._keeps_samples:
            values, classes = counted_pixels(logits, masks)
        else:  # selecting pixels waits for the device, which alone knows their number
            values, classes = logits.movedim(1, -1).flatten(0, 2).float(), masks.flatten()
        for update in self._followers:
            update(values, classes)
        losses = cross_entropy(values, classes, ignore_index=IGNORED, reduction="none").double()
        predicted = values.argmax(1)
        found = _count_pairs(classes, predicted, num_classes)
        self._confusions = [sum(self._confusions, found)]
        self._losses = [sum(self._losses, losses.sum())]
        if self._keeps_samples:
            self._keep(masks, classes, predicted, losses, num_classes)

    def _keep(
        self, masks: Tensor, classes: Tensor, predicted: Tensor, losses: Tensor, num_classes: int
    ) -> None:
        num_images = len(masks)
        images = (masks != IGNORED).nonzero()[:, 0]
        is_hit = classes == predicted
        kinds = ((images[is_hit], classes[is_hit]), (images, classes), (images, predicted))
        counts = [
            torch.bincount(rows * num_classes + chosen, minlength=num_images * num_classes)
            for rows, chosen in kinds
        ]
        self._sample_counts.append(torch.stack(counts).view(3, num_images, -1).movedim(1, 0))
        # Added up image by image: adding to places is not deterministic on a GPU.
        ends = (masks != IGNORED).flatten(1).sum(1)
        parts = torch.split(losses, ends.tolist())
        self._sample_losses.append(torch.stack([part.sum() for part in parts]))

    def part(self, rows: Tensor) -> "PixelPredictions":
        """The predictions of the images `rows` [n]; it has no confusion matrix."""
        part = PixelPredictions()
        part.counts = torch.cat(self._sample_counts)[rows].sum(0).double()
        part.mean_loss = torch.cat(self._sample_losses)[rows].sum() / part.counts[1].sum()
        return part

    @property
    def confusion(self) -> Tensor:
        """Pixels by class and predicted class, [C, C]."""
        return self._confusions[0]

    @cached_property
    def counts(self) -> Tensor:
        """Hits, pixels of the class and pixels predicted to be of it, [3, C], as float64."""
        hits = self.confusion.diagonal()
        return torch.stack([hits, self.confusion.sum(1), self.confusion.sum(0)]).double()

    @cached_property
    def mean_loss(self) -> Tensor:
        """Mean cross-entropy of the pixels that count, in nats, as float64; NaN without any."""
        return self._losses[0] / self.confusion.sum()


def _count_pairs(classes: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """Pixels by class and predicted class, [C, C], without those that are ignored."""
    pairs, size = num_classes * classes + predicted, num_classes**2
    if pairs.device.type == "cpu":
        counts = torch.bincount(pairs[classes != IGNORED], minlength=size)
    else:  # bincount waits for the device, which alone knows the largest number
        places = torch.where(classes == IGNORED, size, pairs)
        counts = torch.zeros(size + 1, dtype=torch.int64, device=pairs.device)
        counts = counts.scatter_add_(0, places, torch.ones_like(places))[:size]
    return counts.view(num_classes, num_classes)


def mean_iou(found: PixelPredictions) -> Tensor:
    """Mean over classes of the intersection over union of their pixels.

    Classes that no pixel has and none is predicted to have are left out. It is NaN if a logit is.
    """
    hits, given, predicted = found.counts
    union = given + predicted - hits
    mean = (hits / union.clamp(min=1)).sum() / (union > 0).sum()
    return torch.where(found.mean_loss.isnan(), torch.nan, mean)


def pixel_accuracy(found: PixelPredictions) -> Tensor:
    """Share of the pixels that count whose class has the largest logit; NaN if a logit is."""
    hits, given, _ = found.counts
    return torch.where(found.mean_loss.isnan(), torch.nan, hits.sum() / given.sum())
