"""The code of the metrics, imported only where a model is evaluated.

Every metric is computed from the predictions of one split (`predictions`).
The entry of each metric in `bakeoff.components.metrics` names the library function whose
definition it follows, and the tests compare the two.

They do not call torchmetrics (measured with 1.9), for three reasons. Importing it doubles the CPU
time in which a worker starts (10 s instead of 4.7 s on a busy core) and adds 233 MB of memory. An
evaluation takes 2.6 to 4.6 times the CPU time (55 ms instead of 21 ms for 10,000 samples of 10
classes). Its results are float32: an accuracy of 0.3387 becomes 0.33869999647.

Shapes: N samples, C classes, K labels, T targets.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, nll_loss

from bakeoff.training.pixel_predictions import PixelPredictions
from bakeoff.training.predictions import (
    ClassPredictions,
    LabelPredictions,
    Predictions,
    TargetPredictions,
    TokenPredictions,
    no_predictions,  # noqa: F401 - the programs of reports import it from here
)

NUM_BINS = 15
"""Bins of the calibration error. Source: Guo et al. 2017, arXiv:1706.04599, section 5"""


def loss(found: Predictions) -> Tensor:
    """Mean loss; NaN if any output is NaN.

    For classes, pixels and tokens it is the cross-entropy in nats, whatever label smoothing
    training uses; for several labels the binary one, whatever their weights; in regression it is
    the training loss, of standardised targets.
    """
    match found:
        case ClassPredictions():
            return nll_loss(found.log_probabilities, found.labels)
        case LabelPredictions():
            return binary_cross_entropy_with_logits(found.outputs, found.labels.float())
        case TargetPredictions():
            return found.criterion(found.outputs, found.labels)
        case PixelPredictions():
            return found.mean_loss
        case TokenPredictions():
            return found.means[0]


def accuracy(found: ClassPredictions) -> Tensor:
    """Share of samples whose label has the largest logit."""
    return found.right_counts.sum() / len(found.labels)


def macro_f1(found: ClassPredictions) -> Tensor:
    """Mean F1 score over classes; classes neither present nor predicted are left out."""
    counted = found.class_counts + found.count(found.predicted)
    scores = 2 * found.right_counts / counted.clamp(min=1)
    return scores.sum() / (counted > 0).sum()


def top5_accuracy(found: ClassPredictions) -> Tensor:
    """Share of samples whose label is among the five largest logits; 1 with up to five classes."""
    return found.in_top5.double().mean()


def balanced_accuracy(found: ClassPredictions) -> Tensor:
    """Mean recall over the classes that are present."""
    return (found.right_counts / found.class_counts).nanmean()


def auroc(found: ClassPredictions) -> Tensor:
    """Mean over classes of the area under the ROC curve of one class against the rest.

    The area is the probability that a sample of the class is given a larger probability of it than
    a sample of another class, ties counting one half. Classes that no sample or every sample has
    are left out. It is NaN if no class remains or a logit is NaN.

    Source: the ranks of Mann and Whitney 1947, which take a tenth of the time of torchmetrics.
    """
    mean = found.areas.nanmean()
    return torch.where(found.log_probabilities.isnan().any(), torch.nan, mean)


def calibration_error(found: ClassPredictions) -> Tensor:
    """Expected calibration error: by how much confidence and accuracy differ, in 15 equal bins.

    The confidence of a sample is the largest of its probabilities; bins count by their samples.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3. torchmetrics puts confidences of exactly
    1 into a bin of their own.
    """
    confidence = found.confidence
    gaps = (found.most_probable == found.labels).double() - confidence
    bins = (confidence * NUM_BINS).long().clamp(0, NUM_BINS - 1)
    sums = torch.zeros(NUM_BINS, dtype=torch.float64, device=gaps.device)
    return sums.index_add_(0, bins, gaps).abs().sum() / len(gaps)


def rmse(found: TargetPredictions) -> Tensor:
    """Root of the mean squared error, in units of the target, or of several targets' deviations."""
    return found.errors.square().mean().sqrt()


def mae(found: TargetPredictions) -> Tensor:
    """Mean absolute error, in units of the target, or of several targets' deviations."""
    return found.errors.abs().mean()


def r2(found: TargetPredictions) -> Tensor:
    """Share of the targets' variance that is explained; NaN where all targets are equal.

    With several targets it is the mean of their shares, without those whose values are all equal.
    """
    targets = found.deviation * found.labels.double()
    variance = (targets - targets.mean(0)).square().sum(0)
    explained = 1 - found.errors.square().sum(0) / variance
    counts = variance > 0
    return torch.where(counts, explained, 0.0).sum() / counts.sum()


def perplexity(found: TokenPredictions) -> Tensor:
    """Exponential of the mean cross-entropy: as many equally likely tokens would be as hard."""
    return found.means[0].exp()


def token_accuracy(found: TokenPredictions) -> Tensor:
    """Share of tokens with the largest logit."""
    return found.means[1]
