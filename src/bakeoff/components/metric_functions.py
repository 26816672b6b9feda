"""The code behind the metrics; imported only where a model is evaluated.

The predictions of one split are gathered batch by batch, then every metric is read from them; what
several metrics need (a confusion matrix, summed losses) is computed once.
Shapes: N samples, C classes, L tokens in a sample, V tokens in the vocabulary.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_confusion_matrix

from bakeoff.records import Task

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
    def confusion(self) -> Tensor:
        """Samples by label and predicted class, [C, C], as float64.

        Source: `torchmetrics.functional.classification.multiclass_confusion_matrix`.
        """
        counts = multiclass_confusion_matrix(
            self.logits, self.labels, num_classes=self.logits.shape[1], validate_args=False
        )
        return counts.double()


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
            return cross_entropy(found.logits, found.labels)
        case TargetPredictions():
            return found.criterion(found.predictions, found.targets)
        case TokenPredictions():
            return found.loss


def accuracy(found: ClassPredictions) -> Tensor:
    """Share of samples whose largest logit is the label's.

    Source: as `torchmetrics.functional.classification.multiclass_accuracy`, micro average.
    """
    return found.confusion.trace() / found.confusion.sum()


def macro_f1(found: ClassPredictions) -> Tensor:
    """Mean over classes of the F1 score; classes neither present nor predicted are left out.

    Source: as `torchmetrics.functional.classification.multiclass_f1_score`, macro average.
    """
    counted = found.confusion.sum(0) + found.confusion.sum(1)
    scores = 2 * found.confusion.diagonal() / counted.clamp(min=1)
    return scores.sum() / (counted > 0).sum()


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
