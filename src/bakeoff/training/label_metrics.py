"""The code of the metrics of samples that have several labels each.

A label is predicted where its logit is above 0, which is a probability above one half. The entry of
each metric in `bakeoff.components.metrics` names the library function whose definition it follows.

Shapes: N samples, K labels.
"""

import torch
from torch import Tensor

from bakeoff.training.metric_functions import LabelPredictions


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
    scores, given = _by_label(found)
    at_least = scores.shape[1] - torch.searchsorted(scores.sort(1).values, scores)
    own = scores.masked_fill(~given, -torch.inf).sort(1).values
    own_at_least = scores.shape[1] - torch.searchsorted(own, scores)
    precisions = torch.where(given, own_at_least.double() / at_least, 0.0)
    return _mean_over_labels(precisions.sum(1), given.sum(1), scores)


def auroc(found: LabelPredictions) -> Tensor:
    """Mean over labels of the area under the ROC curve.

    The area is the probability that a sample with the label has a larger logit than one without it,
    ties counting one half. Labels that no sample or every sample has are left out. It is NaN if no
    label remains or a logit is NaN.

    Source: the ranks of Mann and Whitney 1947.
    """
    scores, given = _by_label(found)
    others = scores.masked_fill(given, torch.inf).sort(1).values
    below = torch.searchsorted(others, scores) + torch.searchsorted(others, scores, right=True)
    twice = torch.where(given, below, 0).double().sum(1)
    positives = given.sum(1)
    return _mean_over_labels(twice / 2, positives * (scores.shape[1] - positives), scores)


def _by_label(found: LabelPredictions) -> tuple[Tensor, Tensor]:
    """Logits and whether the label is given, each [K, N]."""
    return found.outputs.T.contiguous(), (found.labels > 0).T.contiguous()


def _mean_over_labels(sums: Tensor, counts: Tensor, scores: Tensor) -> Tensor:
    """Mean of `sums / counts` [K] over the labels with a count; NaN if a score is."""
    mean = torch.where(counts > 0, sums / counts.clamp(min=1), torch.nan).nanmean()
    return torch.where(scores.isnan().any(), torch.nan, mean)
