"""The code behind the metrics; imported only where a model is evaluated.

The predictions of one split are gathered batch by batch, then every metric is read from them; what
several metrics need (class counts, summed losses) is computed once. The tests compare each with
torchmetrics, which is not imported here, because that would cost every worker a second.
Shapes: N samples, C classes, L tokens in a sample, V tokens in the vocabulary.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from bakeoff.records import Task

NUM_BINS = 15
"""Of confidence, for the calibration error. Source: Guo et al. 2017, arXiv:1706.04599, section 5"""
MAX_RANK = 5
"""Of `top5_accuracy`."""

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Outputs and labels, as the model gives and takes them -> mean loss."""


class ClassPredictions:
    """Logits [N, C] and labels [N] in 0..C-1."""

    def __init__(self) -> None:
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in a batch."""
        self._logits.append(logits.float())
        self._labels.append(labels)

    @cached_property
    def logits(self) -> Tensor:
        """[N, C], as float32."""
        return torch.cat(self._logits)

    @cached_property
    def labels(self) -> Tensor:
        """[N]."""
        return torch.cat(self._labels)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """[N, C], in nats."""
        return self.logits.log_softmax(1)

    @cached_property
    def guesses(self) -> Tensor:
        """Class with the largest logit, [N]."""
        return self.logits.argmax(1)

    @cached_property
    def class_counts(self) -> Tensor:
        """Samples of each class, [C], as float64."""
        return self._count(self.labels)

    @cached_property
    def guessed_counts(self) -> Tensor:
        """Samples that are taken for each class, [C], as float64."""
        return self._count(self.guesses)

    @cached_property
    def right_counts(self) -> Tensor:
        """Samples of each class that are recognised, [C], as float64."""
        return self._count(self.labels[self.guesses == self.labels])

    def _count(self, classes: Tensor) -> Tensor:
        return torch.bincount(classes, minlength=self.logits.shape[1]).double()

    @cached_property
    def confusion(self) -> Tensor:
        """Samples by label and predicted class, [C, C], as float64.

        No metric reads it, because it is too large where there are very many classes.

        Source: as `torchmetrics.functional.classification.multiclass_confusion_matrix`.
        """
        num_classes = self.logits.shape[1]
        pairs = num_classes * self.labels + self.guesses
        counts = torch.bincount(pairs, minlength=num_classes**2)
        return counts.double().view(num_classes, num_classes)


class TargetPredictions:
    """Predictions and targets [N], both standardised by the training targets.

    Args:
        criterion: That the model trains with.
        deviation: Of the training targets; turns errors into units of the target.
    """

    def __init__(self, criterion: Criterion, deviation: float) -> None:
        self.criterion = criterion
        self.deviation = deviation
        self._predictions: list[Tensor] = []
        self._targets: list[Tensor] = []

    def add(self, predictions: Tensor, targets: Tensor) -> None:
        """Take in a batch: [n, 1] and [n]."""
        self._predictions.append(predictions.float())
        self._targets.append(targets)

    @cached_property
    def predictions(self) -> Tensor:
        """[N, 1]."""
        return torch.cat(self._predictions)

    @cached_property
    def targets(self) -> Tensor:
        """[N]."""
        return torch.cat(self._targets)

    @cached_property
    def errors(self) -> Tensor:
        """Target minus prediction, [N], in units of the target, as float64."""
        return self.deviation * (self.targets.double() - self.predictions[:, 0].double())


class TokenPredictions:
    """Logits [N, L, V] and next tokens [N, L], of which only sums are kept."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._right: list[Tensor] = []
        self.num_tokens = 0

    def add(self, logits: Tensor, tokens: Tensor) -> None:
        """Take in a batch."""
        logits, tokens = logits.flatten(0, 1).float(), tokens.flatten()
        self._losses.append(cross_entropy(logits, tokens, reduction="sum"))
        self._right.append((logits.argmax(1) == tokens).sum())
        self.num_tokens += len(tokens)

    @cached_property
    def loss(self) -> Tensor:
        """Mean cross-entropy in nats, as float64."""
        return torch.stack(self._losses).double().sum() / self.num_tokens

    @cached_property
    def accuracy(self) -> Tensor:
        """Share of the tokens whose logit was the largest."""
        return torch.stack(self._right).double().sum() / self.num_tokens


Predictions = ClassPredictions | TargetPredictions | TokenPredictions


def gather(task: Task, criterion: Criterion, target_deviation: float = 1.0) -> Predictions:
    """Nothing yet, to which a split's predictions are added batch by batch."""
    if task == "regression":
        return TargetPredictions(criterion, target_deviation)
    return TokenPredictions() if task == "language" else ClassPredictions()


def loss(found: Predictions) -> Tensor:
    """Mean loss; NaN where an output is.

    Cross-entropy in nats, whatever label smoothing training uses; in regression the loss that is
    trained, of standardised targets.

    Source: `torch.nn.functional.cross_entropy`, `mse_loss`, `l1_loss`, `huber_loss`.
    """
    match found:
        case ClassPredictions():
            return nll_loss(found.log_probabilities, found.labels)
        case TargetPredictions():
            return found.criterion(found.predictions, found.targets)
        case TokenPredictions():
            return found.loss


def accuracy(found: ClassPredictions) -> Tensor:
    """Share of samples whose largest logit is the label's.

    Source: as `torchmetrics.functional.classification.multiclass_accuracy`, micro average.
    """
    return found.right_counts.sum() / len(found.labels)


def macro_f1(found: ClassPredictions) -> Tensor:
    """Mean over classes of the F1 score; classes neither present nor predicted are left out.

    Source: as `torchmetrics.functional.classification.multiclass_f1_score`, macro average.
    """
    counted = found.class_counts + found.guessed_counts
    scores = 2 * found.right_counts / counted.clamp(min=1)
    return scores.sum() / (counted > 0).sum()


def top5_accuracy(found: ClassPredictions) -> Tensor:
    """Share of samples whose label is among the five largest logits; 1 with up to five classes.

    Source: as `torchmetrics.functional.classification.multiclass_accuracy` with `top_k=5`.
    """
    rank = min(MAX_RANK, found.logits.shape[1])
    best = found.logits.topk(rank, dim=1, sorted=False).indices
    return (best == found.labels[:, None]).any(1).double().mean()


def balanced_accuracy(found: ClassPredictions) -> Tensor:
    """Mean over the classes that are present of the share of their samples that is recognised.

    Source: as `sklearn.metrics.balanced_accuracy_score`.
    """
    recalls = found.right_counts / found.class_counts
    return recalls.nanmean()


def auroc(found: ClassPredictions) -> Tensor:
    """Mean over classes of the area under the ROC curve of one class against the rest.

    It is the probability that a sample of the class is given a larger probability of it than one
    of another class, ties counting one half. Classes that no sample has, or every one, are left
    out; NaN if that leaves none, or if a logit is.

    Source: as `torchmetrics.functional.classification.multiclass_auroc`, macro average, by the
    ranks of Mann and Whitney 1947, because it takes a tenth of the time
    """
    scores, labels = found.log_probabilities, found.labels
    counts = found.class_counts.long()
    ordered = scores.T.contiguous().sort(1).values
    own, padding = _by_class(scores.gather(1, labels[:, None])[:, 0], labels, counts)
    places = torch.searchsorted(ordered, own) + torch.searchsorted(ordered, own, right=True)
    # Each place is counted from both sides, so that ties count one half; padding comes last.
    twice = (places.sum(1) - 2 * len(labels) * padding).double()
    positives = counts.double()
    pairs = positives * (len(labels) - positives)
    areas = (twice - positives.square()) / (2 * pairs)
    mean = torch.where(pairs > 0, areas, torch.nan).nanmean()
    return torch.where(scores.isnan().any(), torch.nan, mean)


def _by_class(values: Tensor, labels: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Values [N] in a row for each class, filled up with infinity, and how many were filled."""
    order = labels.argsort(stable=True)
    rows = labels[order]
    starts = counts.cumsum(0) - counts
    columns = torch.arange(len(labels), device=labels.device) - starts[rows]
    longest = int(counts.max())
    table = values.new_full((len(counts), longest), torch.inf)
    table[rows, columns] = values[order]
    return table, longest - counts


def calibration_error(found: ClassPredictions) -> Tensor:
    """Expected calibration error: by how much confidence and accuracy differ, in 15 equal bins.

    The confidence of a sample is the largest of its probabilities; bins count by their samples.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3; as
    `torchmetrics.functional.classification.multiclass_calibration_error` with 15 bins, which puts
    confidences of exactly 1 into a bin of their own
    """
    highest, guessed = found.log_probabilities.max(1)
    confidence = highest.exp().double()
    gaps = (guessed == found.labels).double() - confidence
    bins = (confidence * NUM_BINS).long().clamp(0, NUM_BINS - 1)
    sums = torch.zeros(NUM_BINS, dtype=torch.float64, device=gaps.device)
    return sums.index_add_(0, bins, gaps).abs().sum() / len(gaps)


def rmse(found: TargetPredictions) -> Tensor:
    """Root of the mean squared error, in units of the target.

    Source: as `torchmetrics.functional.mean_squared_error` with `squared=False`.
    """
    return found.errors.square().mean().sqrt()


def mae(found: TargetPredictions) -> Tensor:
    """Mean absolute error, in units of the target.

    Source: as `torchmetrics.functional.mean_absolute_error`.
    """
    return found.errors.abs().mean()


def r2(found: TargetPredictions) -> Tensor:
    """Share of the targets' variance that is explained; NaN where all targets are equal.

    Source: as `torchmetrics.functional.r2_score`.
    """
    targets = found.deviation * found.targets.double()
    variance = (targets - targets.mean()).square().sum()
    explained = 1 - found.errors.square().sum() / variance
    return torch.where(variance > 0, explained, torch.nan)


def perplexity(found: TokenPredictions) -> Tensor:
    """Exponential of the mean cross-entropy: as many equally likely tokens would be as hard.

    Source: as `torchmetrics.functional.text.perplexity`.
    """
    return found.loss.exp()


def token_accuracy(found: TokenPredictions) -> Tensor:
    """Share of the tokens whose logit was the largest.

    Source: as `torchmetrics.functional.classification.multiclass_accuracy` over tokens.
    """
    return found.accuracy
