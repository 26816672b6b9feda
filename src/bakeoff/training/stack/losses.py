"""The training loss of every member of a stack.

Shapes: outputs [N, B, K] of N members; labels [N, B], or [N, B, K] of several labels or targets.
"""

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from bakeoff.training.losses import LabelLoss, TargetLoss, WeightedCrossEntropy
from bakeoff.training.stack.layers import NotStackableError

MATRICES = 2
"""Dimensions of the labels [N, B] of samples with one label or target."""


def losses_of(criterion: nn.Module, outputs: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of each member's own batch, [N]: what `criterion` gives for it alone.

    Raises:
        NotStackableError: The loss is no mean over samples that is known here.
    """
    match criterion:
        case nn.CrossEntropyLoss(weight=None) | WeightedCrossEntropy():
            found = cross_entropy(
                outputs.flatten(0, 1),
                labels.flatten(),
                criterion.weights if isinstance(criterion, WeightedCrossEntropy) else None,
                label_smoothing=criterion.label_smoothing,
                reduction="none",
            )
        case TargetLoss(criterion=nn.MSELoss() | nn.L1Loss() | nn.HuberLoss()):
            predicted = outputs[..., 0] if labels.ndim == MATRICES else outputs
            found = _each(criterion.criterion, predicted, labels)
        case LabelLoss():
            found = binary_cross_entropy_with_logits(
                outputs, labels.float(), pos_weight=criterion.positive_weights, reduction="none"
            )
        case _:
            raise NotStackableError(f"loss {type(criterion).__name__}")
    return found.view(len(outputs), -1).mean(1)


def _each(criterion: nn.Module, predicted: Tensor, targets: Tensor) -> Tensor:
    """The loss of every number."""
    match criterion:
        case nn.HuberLoss():
            return nn.functional.huber_loss(
                predicted, targets, delta=criterion.delta, reduction="none"
            )
        case nn.L1Loss():
            return nn.functional.l1_loss(predicted, targets, reduction="none")
        case _:
            return nn.functional.mse_loss(predicted, targets, reduction="none")
