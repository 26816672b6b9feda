"""The training loss of every member of a stack.

Shapes: outputs [N, B, K] of N members; labels [N, B], or [N, B, K] of several labels or targets.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from bakeoff.training.losses import LabelLoss, TargetLoss, WeightedCrossEntropy
from bakeoff.training.stack.layers import NotStackableError

MATRICES = 2
"""Dimensions of the labels [N, B] of samples with one label or target."""


def losses_of(criterion: nn.Module, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss of each member's own batch, [N], and its gradient, as the outputs [N, B, K].

    The loss is what `criterion` gives for the member alone.

    Raises:
        NotStackableError: The loss is no mean over samples that is known here.
    """
    match criterion:
        case nn.CrossEntropyLoss(weight=None):
            return _cross_entropy(outputs, labels, None, criterion.label_smoothing)
        case WeightedCrossEntropy():
            return _cross_entropy(outputs, labels, criterion.weights, criterion.label_smoothing)
    with torch.inference_mode(mode=False), torch.enable_grad():
        # Autograd takes no tensors that were made in inference mode.
        given = outputs.clone().requires_grad_()
        losses = _of_numbers(criterion, given, labels.clone())
        (gradient,) = torch.autograd.grad(losses.sum(), given)
    return losses.detach(), gradient


def _cross_entropy(
    outputs: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy with weights of the classes [K].

    It is computed with the classes side by side, [N, K, B], for which torch takes a tenth of the
    time; a stack's outputs lie in memory like this.
    """
    scores, classes = outputs.transpose(1, 2), labels[:, None]
    logs = torch.log_softmax(scores, 1)
    num_classes, num_samples = logs.shape[1:]
    # What each logarithm counts in its member's loss.
    spread, own = smoothing / num_classes / num_samples, (1 - smoothing) / num_samples
    shares = torch.full_like(logs, -spread).scatter_(1, classes, -spread - own)
    if weights is not None:
        shares.mul_(weights[:, None])
    losses = (shares * logs).sum((1, 2))
    gradient = torch._log_softmax_backward_data(shares, logs, 1, logs.dtype)  # noqa: SLF001
    return losses, gradient.transpose(1, 2)


def _of_numbers(criterion: nn.Module, outputs: Tensor, labels: Tensor) -> Tensor:
    """The losses [N] of targets or of several labels."""
    match criterion:
        case TargetLoss(criterion=nn.MSELoss() | nn.L1Loss() | nn.HuberLoss()):
            predicted = outputs[..., 0] if labels.ndim == MATRICES else outputs
            found = _each(criterion.criterion, predicted, labels)
        case LabelLoss():
            found = binary_cross_entropy_with_logits(
                outputs, labels.float(), pos_weight=criterion.positive_weights, reduction="none"
            )
        case _:
            raise NotStackableError(f"loss {type(criterion).__name__}")
    return found.reshape(len(outputs), -1).mean(1)


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
