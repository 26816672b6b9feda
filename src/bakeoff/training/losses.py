"""The training loss of each task.

Shapes: logits [N, C] and labels [N] or class probabilities [N, C] of C classes; logits and labels
[N, K] of K labels; of pixels logits [N, C, H, W] and masks [N, H, W]; of a language model
logits [N, L, V] and next tokens [N, L], with L tokens in a sample and V in the vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
)

from bakeoff.components.losses import LOSSES
from bakeoff.data.masks import IGNORED, count_pixels
from bakeoff.data.targets import HUBER_DELTA
from bakeoff.errors import UsageError
from bakeoff.records import Loss, TrainingConfig, TrialConfig
from bakeoff.registry import is_reference
from bakeoff.training.batches import Split, Splits
from bakeoff.training.own_loss import build_own_loss
from bakeoff.training.predictions import of_targets

MIN_UNCERTAINTY = 1e-6
"""Lower bound of `1 - p` in the focal loss: float32 cannot resolve less near 1, and a power below 1
has no derivative at 0."""


class TokenCrossEntropy(nn.CrossEntropyLoss):
    """Mean cross-entropy over every token: logits [N, L, V], next tokens [N, L]."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002 - torch's names
        """The mean over all tokens."""
        return super().forward(input.flatten(0, 1), target.flatten())


class LabelLoss(nn.Module):
    """Mean binary cross-entropy over every label of every sample: logits and labels [N, K].

    Args:
        positive_weights: One for each label, [K], by which the samples that have it count; None
            counts all samples alike.
    """

    def __init__(self, positive_weights: Tensor | None = None) -> None:
        super().__init__()
        self.positive_weights: Tensor | None
        self.register_buffer("positive_weights", positive_weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples and labels."""
        weights = self.positive_weights
        return binary_cross_entropy_with_logits(logits, labels.float(), pos_weight=weights)


class TargetLoss(nn.Module):
    """Mean of `criterion` between predictions and standardised targets.

    Predictions are [N, 1] for targets [N], and [N, T] for T targets [N, T], which count alike.
    """

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """The mean over all samples and targets."""
        loss: Tensor = self.criterion(of_targets(predictions, targets), targets)
        return loss


class WeightedLoss(nn.Module):
    """A loss of logits [N, C] and labels in which each class has a weight.

    Args:
        weights: One for each class, [C].
        label_smoothing: Share of each label that is spread evenly over all classes.
    """

    def __init__(self, weights: Tensor, label_smoothing: float) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing


class WeightedCrossEntropy(WeightedLoss):
    """Cross-entropy in which every sample counts with the weight of its class.

    It is the mean over the samples of a batch, whereas torch divides by the sum of their weights.
    Accumulating the gradients of small batches therefore gives the gradient of the large batch.
    With smoothed or mixed labels each class's share has that class's weight, as in torch.
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples."""
        total = cross_entropy(
            logits, labels, self.weights, label_smoothing=self.label_smoothing, reduction="sum"
        )
        return total / len(labels)


class PixelCrossEntropy(WeightedLoss):
    """Cross-entropy of the pixels that are not ignored: logits [N, C, H, W] and masks [N, H, W].

    Every pixel counts with the weight of its class. It is the mean over the pixels that count, as
    in `WeightedCrossEntropy` not over their weights, and 0 if a batch has none.
    """

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The mean over all pixels that count."""
        # Selecting the pixels that count would wait for the device, which alone knows their number.
        values, classes = logits.movedim(1, -1).reshape(-1, logits.shape[1]), masks.reshape(-1)
        total = cross_entropy(
            values.float(),
            classes,
            self.weights,
            ignore_index=IGNORED,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return total / (classes != IGNORED).sum().clamp(min=1)


class FocalLoss(WeightedLoss):
    """Cross-entropy in which confident predictions count less: w (1 - p)^gamma (-log p).

    With smoothed or mixed labels it is the sum over classes, each times its probability.

    Source: Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5
    """

    def __init__(self, weights: Tensor, label_smoothing: float, gamma: float) -> None:
        super().__init__(weights, label_smoothing)
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples."""
        log_p = log_softmax(logits.float(), dim=1)
        num_classes = log_p.shape[1]
        target = labels
        if not labels.is_floating_point():  # as one_hot, which reads labels back from some devices
            classes = torch.arange(num_classes, device=labels.device)
            target = (labels[:, None] == classes).float()
        target = torch.lerp(target, torch.full_like(target, 1 / num_classes), self.label_smoothing)
        uncertainty = (-torch.expm1(log_p)).clamp_min(MIN_UNCERTAINTY)
        total = (self.weights * target * uncertainty.pow(self.gamma) * log_p).sum()
        return -total / len(labels)


TARGET_LOSSES: dict[Loss, nn.Module] = {
    "mse": nn.MSELoss(),
    "l1": nn.L1Loss(),
    "huber": nn.HuberLoss(delta=HUBER_DELTA),
}


def build_loss(config: TrialConfig, splits: Splits, device: torch.device) -> nn.Module:
    """The loss of a run, a mean over the batch, as a function of outputs and labels.

    Regression compares predictions [N, 1] with standardised targets [N], or [N, T] with [N, T].

    Raises:
        UsageError: The task has no such loss, or one of the user's own cannot be used.
    """
    loss, smoothing = config.training.loss, config.training.label_smoothing
    if is_reference(loss):
        weights = None
        if config.training.class_weights == "balanced":
            weights = train_weights(splits.train, splits.num_outputs)
        return build_own_loss(loss, splits.task, splits.num_outputs, weights).to(device)
    if loss not in LOSSES[splits.task]:
        raise UsageError(f"training.loss = {loss!r} is not a loss for {splits.task}")
    if splits.task == "regression":
        return TargetLoss(TARGET_LOSSES[loss]).to(device)
    if splits.task == "multilabel":
        return build_label_loss(config.training, splits.train).to(device)
    if splits.task == "segmentation":
        return build_pixel_loss(config.training, splits.train, splits.num_outputs).to(device)
    if splits.task == "language":
        return TokenCrossEntropy(label_smoothing=smoothing).to(device)
    return build_class_loss(config.training, splits.train, splits.num_outputs).to(device)


def build_class_loss(training: TrainingConfig, train: Split, num_classes: int) -> nn.Module:
    """The loss of a classifier, a mean over the batch, with the settings of `training`."""
    weights = torch.ones(num_classes)
    if training.class_weights == "balanced":
        weights = train_weights(train, num_classes)
    if training.focal_gamma > 0:
        return FocalLoss(weights, training.label_smoothing, training.focal_gamma)
    if training.class_weights == "balanced":
        return WeightedCrossEntropy(weights, training.label_smoothing)
    return nn.CrossEntropyLoss(label_smoothing=training.label_smoothing)


def build_pixel_loss(training: TrainingConfig, train: Split, num_classes: int) -> nn.Module:
    """The loss of pixels, a mean over those that count, with the settings of `training`."""
    weights = torch.ones(num_classes)
    if training.class_weights == "balanced":
        weights = train_weights(train, num_classes)
    return PixelCrossEntropy(weights, training.label_smoothing)


def train_weights(train: Split, num_classes: int) -> Tensor:
    """`balanced_weights` of the training samples, [C], or of their pixels that count."""
    labels = train.labels[train.rows].cpu()
    if labels.ndim == 1:
        return balanced_weights(labels, num_classes)
    counts = torch.from_numpy(count_pixels(labels.numpy(), num_classes))
    weights = counts.sum() / (num_classes * counts.double()).float()
    return torch.where(counts > 0, weights, 1.0)


def build_label_loss(training: TrainingConfig, train: Split) -> nn.Module:
    """The loss of several labels per sample, with the settings of `training`."""
    if training.class_weights == "balanced":
        return LabelLoss(balanced_positives(train.labels[train.rows].cpu()))
    return LabelLoss()


def balanced_positives(labels: Tensor) -> Tensor:
    """Samples without each label of `labels` [N, K] over samples with it, [K]; 1 without any.

    Source: the example of torch.nn.BCEWithLogitsLoss
    """
    positives = labels.sum(0, dtype=torch.float64)
    return torch.where(positives > 0, (len(labels) - positives) / positives, 1.0).float()


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """One weight per class, N / (C * its samples) of the N labels, which is 1 for the mean sample.

    Source: King and Zeng 2001, "Logistic regression in rare events data", as in
    sklearn.utils.class_weight.compute_class_weight("balanced")
    """
    counts = torch.bincount(labels, minlength=num_classes)
    return len(labels) / (num_classes * counts.double()).float()
