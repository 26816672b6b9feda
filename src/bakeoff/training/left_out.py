"""The score on the test set without each of some groups of its samples.

From these values the analysis estimates how much a difference between two runs depends on the
samples that happen to be in the test set (a delete-a-group jackknife). They serve every metric,
also those that are no mean over samples. Their number is bounded, however large the test set is.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bakeoff.training.metric_functions import (
    accuracy,
    auroc,
    balanced_accuracy,
    loss,
    macro_f1,
    mae,
    rmse,
    top5_accuracy,
)
from bakeoff.training.predictions import ClassPredictions, Predictions

MOST_GROUPS = 200
"""Groups at most. The jackknife's error estimate has G - 1 degrees of freedom, and the time and the
bytes that a run needs grow with G."""
CHUNK_VALUES = 1 << 22
"""Scores whose ranks are computed at once."""


def group_numbers(num_samples: int, *, contiguous: bool) -> Tensor:
    """The group of each sample, [N], from 0; of unequal groups, the first ones are the larger.

    Args:
        num_samples: Samples of the test set.
        contiguous: Whether a group is a block of neighbours, as in text, where neighbours are
            alike. Otherwise sample i is in group i % G.
    """
    places = torch.arange(num_samples)
    numbers = places % min(num_samples, MOST_GROUPS)
    return numbers.sort().values if contiguous else numbers


def scores_without_groups(
    found: Predictions, groups: Tensor, compute: Callable[[Predictions], Tensor]
) -> tuple[float, ...]:
    """The metric without each group, [G]; NaN where it is undefined. Empty with one group.

    Args:
        found: The predictions of all N samples.
        groups: The group of each sample, [N].
        compute: The metric.
    """
    num_groups = int(groups.max()) + 1
    if num_groups == 1:
        return ()
    quickly = _at_once(found, groups, num_groups, compute)
    if quickly is not None:
        return tuple(quickly.tolist())
    kept = [(groups != number).nonzero()[:, 0] for number in range(num_groups)]
    scores = [compute(found.part(rows)).double() for rows in kept]
    return tuple(torch.stack(scores).tolist())


def _at_once(
    found: Predictions, groups: Tensor, num_groups: int, compute: Callable[[Predictions], Tensor]
) -> Tensor | None:
    """The metric without each group, [G], from sums that lack one; None where there are none."""
    if compute in MEANS and (compute is not loss or isinstance(found, ClassPredictions)):
        means = _means_without(MEANS[compute](found).double(), groups, num_groups)
        return means if compute is not rmse or means is None else means.sqrt()
    if not isinstance(found, ClassPredictions):
        return None
    if compute is auroc and not found.outputs.isnan().any():
        return auroc_without_groups(found, groups, num_groups)
    if compute in (balanced_accuracy, macro_f1):
        return _by_classes(found, groups, num_groups, compute)
    return None


def _means_without(values: Tensor, groups: Tensor, num_groups: int) -> Tensor | None:
    """The mean of values [N] or [N, T] without each group, [G]; None if one is not finite."""
    if not values.isfinite().all():
        return None
    values = values if values.ndim == 1 else values.mean(1)
    sums = torch.zeros(num_groups, dtype=torch.float64, device=groups.device)
    sums.index_add_(0, groups, values)
    # The other groups are added up, because a large group that is taken off again leaves rounding.
    is_own = torch.eye(num_groups, dtype=torch.bool, device=groups.device)
    others = sums.expand(num_groups, -1).masked_fill(is_own, 0.0).sum(1)
    return others / (len(groups) - torch.bincount(groups, minlength=num_groups))


def _by_classes(
    found: ClassPredictions, groups: Tensor, num_groups: int, compute: Callable[..., Tensor]
) -> Tensor:
    """`balanced_accuracy` or `macro_f1` without each group, [G]."""
    is_right = found.predicted == found.labels
    right = _counts_without(found, groups[is_right], found.labels[is_right], num_groups)
    labelled = _counts_without(found, groups, found.labels, num_groups)
    if compute is balanced_accuracy:
        return (right / labelled).nanmean(1)
    counted = labelled + _counts_without(found, groups, found.predicted, num_groups)
    return (2 * right / counted.clamp(min=1)).sum(1) / (counted > 0).sum(1)


def _counts_without(
    found: ClassPredictions, groups: Tensor, classes: Tensor, num_groups: int
) -> Tensor:
    """How often each class occurs in the samples of all groups but one, [G, C]."""
    num_classes = found.outputs.shape[1]
    counts = torch.bincount(groups * num_classes + classes, minlength=num_groups * num_classes)
    by_group = counts.view(num_groups, num_classes).double()
    return by_group.sum(0) - by_group


MEANS: Mapping[Callable[..., Tensor], Callable[[Any], Tensor]] = {
    accuracy: lambda found: found.predicted == found.labels,
    top5_accuracy: lambda found: found.in_top5,
    loss: lambda found: -found.log_probabilities.gather(1, found.labels[:, None])[:, 0],
    mae: lambda found: found.errors.abs(),
    rmse: lambda found: found.errors.square(),
}
"""Metrics that are a mean over samples, or its root: what gives the value of each sample, [N] or
[N, T], from predictions."""


def auroc_without_groups(found: ClassPredictions, groups: Tensor, num_groups: int) -> Tensor:
    """`auroc` without each group, [G], in the time of a few whole ones instead of G.

    The area of a class counts the pairs of one of its samples and one other sample in which the
    class's sample has the larger probability of the class. A group that is left out takes away the
    pairs of each of its samples with all others. The pairs within the group are taken away twice,
    so they are added again.
    """
    labels, num_samples = found.labels, len(found.labels)
    num_classes = found.log_probabilities.shape[1]
    counts = torch.bincount(groups * num_classes + labels, minlength=num_groups * num_classes)
    counts = counts.view(num_groups, num_classes)
    positives = counts.sum(0) - counts
    pairs = positives * (num_samples - counts.sum(1, keepdim=True) - positives)
    size = max(1, CHUNK_VALUES // num_samples)
    twice = [
        _twice_the_pairs(found, groups, counts, first, min(first + size, num_classes))
        for first in range(0, num_classes, size)
    ]
    areas = torch.cat(twice, 1).double() / (2 * pairs)
    return torch.where(pairs > 0, areas, torch.nan).nanmean(1)


def _twice_the_pairs(
    found: ClassPredictions, groups: Tensor, counts: Tensor, first: int, last: int
) -> Tensor:
    """Twice the pairs without each group, [G, c], for the classes from `first` to below `last`."""
    scores, labels = found.log_probabilities[:, first:last].T.contiguous(), found.labels
    is_own = labels == torch.arange(first, last, device=labels.device)[:, None]  # [c, N]
    counts = counts[:, first:last]
    ordered = scores.sort(1).values
    ranks = torch.searchsorted(ordered, scores)
    above_all = ranks + torch.searchsorted(ordered, scores, right=True)
    # Samples of other classes come last, so that they are never counted as lower.
    own = torch.where(is_own, ranks, scores.shape[1]).sort(1).values
    above_own = torch.searchsorted(own, ranks) + torch.searchsorted(own, ranks, right=True)
    of_sample = torch.where(is_own, above_all, 2 * counts.sum(0)[:, None]) - above_own
    removed = torch.zeros_like(counts).index_add_(0, groups, of_sample.T)
    whole = torch.where(is_own, of_sample, 0).sum(1)
    # Within a group: the samples in the order of group and rank.
    keys = groups * (scores.shape[1] + 1) + ranks
    in_order = keys.sort(1).values
    starts = torch.bincount(groups, minlength=len(counts)).cumsum(0).roll(1)
    starts[0] = 0
    places = torch.searchsorted(in_order, keys) + torch.searchsorted(in_order, keys, right=True)
    places = torch.where(is_own, places - 2 * starts[groups], 0)
    within = torch.zeros_like(counts).index_add_(0, groups, places.T) - counts.square()
    return whole - removed + within
