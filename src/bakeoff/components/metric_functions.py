"""The code behind the metrics; imported only where a model is evaluated.

Shapes: logits [N, C], labels [N] with values in 0..C-1, N samples of C classes.
"""

import torch
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Share of samples whose largest logit is the label's.

    Source: `torchmetrics.functional.classification.multiclass_accuracy`, micro average.
    """
    return multiclass_accuracy(
        logits, labels, num_classes=logits.shape[1], average="micro", validate_args=False
    )


def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats; NaN where a logit is.

    Source: `torch.nn.functional.cross_entropy`.
    """
    return cross_entropy(logits, labels)


def macro_f1(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over classes of the F1 score; classes neither present nor predicted are left out.

    Source: `torchmetrics.functional.classification.multiclass_f1_score`, macro average.
    """
    return multiclass_f1_score(
        logits, labels, num_classes=logits.shape[1], average="macro", validate_args=False
    )
