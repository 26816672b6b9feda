"""Optimizers that train at one point and evaluate at another, an average of their weights.

Such an optimizer has methods `train` and `eval` that move the model's weights between the two.
Every other optimizer is left alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def averages_weights(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `optimizer` evaluates at other weights than it trains."""
    return callable(getattr(optimizer, "train", None)) and callable(
        getattr(optimizer, "eval", None)
    )


def switch_to_training(optimizer: torch.optim.Optimizer) -> None:
    """Put the weights where the next step wants them; nothing happens if they are there."""
    if averages_weights(optimizer):
        optimizer.train()  # type: ignore[attr-defined]


def switch_to_evaluation(optimizer: torch.optim.Optimizer) -> None:
    """Put the weights where they are to be evaluated and saved; nothing happens if they are."""
    if averages_weights(optimizer):
        optimizer.eval()  # type: ignore[attr-defined]


def find_batch_norms(model: nn.Module) -> list[BatchNorm]:
    """The modules of `model` that keep statistics of the batches they saw."""
    return [
        module
        for module in model.modules()
        if isinstance(module, BATCH_NORMS) and module.track_running_stats
    ]


@contextmanager
def measuring_statistics(norms: Sequence[BatchNorm]) -> Iterator[None]:
    """Within it, forward passes measure the statistics of `norms` anew: their mean over batches."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches instead of a decaying one
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
