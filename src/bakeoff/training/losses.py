"""The loss that is trained, by task.

Shapes: C classes, V tokens in the vocabulary, L tokens in a sample.
"""

import torch
from torch import Tensor, nn

from bakeoff.data.targets import HUBER_DELTA
from bakeoff.errors import UsageError
from bakeoff.records import Loss, TrialConfig
from bakeoff.training.batches import Splits
from bakeoff.training.class_loss import build_class_loss


class TokenCrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy over every token: logits [N, L, V], next tokens [N, L]."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002 - torch's names
        """The mean over all tokens."""
        return super().forward(input.flatten(0, 1), target.flatten())


class TargetLoss(nn.Module):
    """A loss between predictions [N, 1] and standardised targets [N].

    Args:
        criterion: Of two tensors [N].
    """

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """The mean over all samples."""
        loss: Tensor = self.criterion(predictions[:, 0], targets)
        return loss


TARGET_LOSSES: dict[Loss, nn.Module] = {
    "mse": nn.MSELoss(),
    "l1": nn.L1Loss(),
    "huber": nn.HuberLoss(delta=HUBER_DELTA),
}


def build_loss(config: TrialConfig, splits: Splits, device: torch.device) -> nn.Module:
    """The loss of a run, a mean over the batch, as a function of outputs and labels.

    Classification: logits [N, C], labels [N]. Regression: predictions [N, 1], standardised
    targets [N]. Language: logits [N, L, V], next tokens [N, L].

    Raises:
        UsageError: The task has no such loss.
    """
    loss, smoothing = config.training.loss, config.training.label_smoothing
    if (loss in TARGET_LOSSES) != (splits.task == "regression"):
        raise UsageError(f"training.loss = {loss!r} is no loss for {splits.task}")
    if splits.task == "regression":
        return TargetLoss(TARGET_LOSSES[loss]).to(device)
    if splits.task == "language":
        return TokenCrossEntropy(label_smoothing=smoothing).to(device)
    return build_class_loss(config.training, splits.train, splits.num_outputs).to(device)
