"""Cross-entropy with class weights, focal factor and label smoothing.

Shapes: logits [N, C], labels [N] or class probabilities [N, C].
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from bakeoff.records import TrainingConfig
from bakeoff.training.batches import Split

SMALLEST_DOUBT = 1e-6
"""Below it `1 - p` is taken to be this: float32 knows no less, and a power below 1 of 0 has no
derivative."""


class WeightedCrossEntropy(nn.Module):
    """Cross-entropy in which a sample counts as much as its class weighs.

    The mean over the samples of a batch, not over their weights as in torch: so every batch pulls
    with its own weight, and accumulated batches with the weight of the large one. With smoothed or
    mixed labels each class's share has that class's weight, as in torch.
    """

    def __init__(self, weights: Tensor, label_smoothing: float) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples."""
        total = cross_entropy(
            logits,
            labels,
            weight=self.weights,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return total / len(labels)


class FocalLoss(nn.Module):
    """Cross-entropy in which what the model is sure of counts less: w (1 - p)^gamma (-log p).

    With smoothed or mixed labels this is summed over classes, times their probability.

    Source: Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5
    """

    def __init__(self, weights: Tensor, label_smoothing: float, gamma: float) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples."""
        log_p = log_softmax(logits.float(), dim=1)
        num_classes = log_p.shape[1]
        target = labels if labels.is_floating_point() else one_hot(labels, num_classes).float()
        target = torch.lerp(target, torch.full_like(target, 1 / num_classes), self.label_smoothing)
        doubt = (-torch.expm1(log_p)).clamp_min(SMALLEST_DOUBT)
        return -(self.weights * target * doubt.pow(self.gamma) * log_p).sum() / len(labels)


def build_class_loss(training: TrainingConfig, train: Split, num_classes: int) -> nn.Module:
    """The loss of a classifier, a mean over the batch, as `training` asks for it."""
    weights = torch.ones(num_classes)
    if training.class_weights == "balanced":
        weights = balanced_weights(train.labels[train.rows].cpu(), num_classes)
    if training.focal_gamma > 0:
        return FocalLoss(weights, training.label_smoothing, training.focal_gamma)
    if training.class_weights == "balanced":
        return WeightedCrossEntropy(weights, training.label_smoothing)
    return nn.CrossEntropyLoss(label_smoothing=training.label_smoothing)


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """One weight per class, N / (C * its samples) of the N labels: a sample weighs 1 on average.

    Source: King and Zeng 2001, "Logistic regression in rare events data", as in
    sklearn.utils.class_weight.compute_class_weight("balanced")
    """
    counts = torch.bincount(labels, minlength=num_classes)
    return len(labels) / (num_classes * counts.double()).float()
