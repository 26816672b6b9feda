"""The code of the metrics of samples that have several labels each.

A label is predicted where its logit is above 0, which is a probability above one half. The entry of
each metric in `bakeoff.components.metrics` names the library function whose definition it follows.

Shapes: N samples, K labels.
"""

import torch
from torch import Tensor

from bakeoff.training.predictions import LabelPredictions


def _is_right(found: LabelPredictions) -> Tensor:
    """Whether each label is predicted rightly, [N, K]; NaN never is."""
    is_equal = (found.outputs > 0) == (found.labels > 0)
    return is_equal & ~found.outputs.isnan()


def _hits_and_counts(found: LabelPredictions) -> tuple[Tensor, Tensor]:
    """Samples that rightly have each label, and those that have it plus those predicted to, [K]."""
    predicted, given = found.outputs > 0, found.labels > 0
    hits = (predicted & given).sum(0).double()
    return hits, predicted.sum(0).double() + given.sum(0)


def macro_f1(found: LabelPredictions) -> Tensor:
    """Mean F1 score over labels; labels neither present nor predicted are left out."""
    hits, counts = _hits_and_counts(found)
    return (2 * hits / counts.clamp(min=1)).sum() / (counts > 0).sum()


def micro_f1(found: LabelPredictions) -> Tensor:
    """F1 score of all pairs of a sample and a label together; NaN without any."""
    hits, counts = _hits_and_counts(found)
    return 2 * hits.sum() / counts.sum()


def exact_match(found: LabelPredictions) -> Tensor:
    """Share of samples of which every label is right."""
    return _is_right(found).all(1).double().mean()


def hamming_accuracy(found: LabelPredictions) -> Tensor:
    """Share of all pairs of a sample and a label that are right."""
    return _is_right(found).double().mean()


def mean_average_precision(found: LabelPredictions) -> Tensor:
    """Mean over labels of the average precision.

    Average precision is the mean, over the samples that have the label, of the precision among all
    samples with at least their score. Labels that no sample has are left out. It is NaN if no label
    remains or a logit is NaN.
    """
    own, others = _count_ranks(found)
    own_at_least, at_least = (one.flip(1).cumsum(1).flip(1) for one in (own, own + others))
    sums = (own * own_at_least / at_least.clamp(min=1)).sum(1)
    return _mean_over_labels(sums, own.sum(1), found)


def auroc(found: LabelPredictions) -> Tensor:
    """Mean over labels of the area under the ROC curve.

    The area is the probability that a sample with the label has a larger logit than one without it,
    ties counting one half. Labels that no sample or every sample has are left out. It is NaN if no
    label remains or a logit is NaN.

    Source: the ranks of Mann and Whitney 1947.
    """
    own, others = _count_ranks(found)
    pairs = (own * (others.cumsum(1) - others / 2)).sum(1)
    return _mean_over_labels(pairs, own.sum(1) * others.sum(1), found)


def _count_ranks(found: LabelPredictions) -> tuple[Tensor, Tensor]:
    """Samples with and without each label by the rank of their logit, each [K, R] of R ranks.

    The ranks are those of all samples, so that a part of them needs no sorting.
    """
    num_ranks = len((found.whole or found).labels)
    num_labels = found.labels.shape[1]
    first = num_ranks * torch.arange(num_labels, device=found.labels.device)
    places, given = found.ranks + first, found.labels > 0
    own, others = (
        torch.bincount(places[chosen], minlength=num_labels * num_ranks).double()
        for chosen in (given, ~given)
    )
    return own.view(num_labels, num_ranks), others.view(num_labels, num_ranks)


def _mean_over_labels(sums: Tensor, counts: Tensor, found: LabelPredictions) -> Tensor:
    """Mean of `sums / counts` [K] over the labels with a count; NaN if a logit is."""
    mean = torch.where(counts > 0, sums / counts.clamp(min=1), torch.nan).nanmean()
    return torch.where(found.outputs.isnan().any(), torch.nan, mean)
