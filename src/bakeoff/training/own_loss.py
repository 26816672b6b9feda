"""A loss of the user's own: built by its reference, and tried before it trains anything.

It is called with outputs and targets as torch's losses are: logits [N, C] and labels [N], for text
[N * L, V] and [N * L], for several labels logits and labels [N, K] as floats, for pixels logits
[N, C, H, W] and masks [N, H, W], in regression predictions [N] and standardised targets [N].
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.components.own_calls import LOSS, LOSS_CALLS
from bakeoff.errors import UsageError
from bakeoff.records import Task
from bakeoff.registry import expecting, resolve, users_code
from bakeoff.training.predictions import of_targets

WEIGHT = "weight"
"""The argument by which torch's losses take class weights [C]."""
NUM_TRIED = 8
TOLERANCE = 1e-3
"""Greatest difference of a mean over a batch from that over its halves, as a share."""


class OwnLoss(nn.Module):
    """A loss of the user's, called as those of torch.

    Args:
        compute: The function or module.
        task: Decides the form of outputs and targets.
        weights: Class weights [C], passed to a function that takes them.
    """

    def __init__(self, compute: Callable[..., Any], task: Task, weights: Tensor | None) -> None:
        super().__init__()
        self.compute = compute
        self.task = task
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch."""
        if self.task == "regression":
            outputs = of_targets(outputs, targets)
        elif self.task == "multilabel":
            targets = targets.float()
        elif self.task == "language":
            outputs, targets = outputs.flatten(0, 1), targets.flatten()
        given = {} if self.weights is None else {WEIGHT: self.weights}
        with users_code():
            loss: Tensor = self.compute(outputs, targets, **given)
        return loss


def build_own_loss(
    reference: str, task: Task, num_outputs: int, weights: Tensor | None = None
) -> OwnLoss:
    """The loss that `package.module:name` refers to: a function, a module, or a module's class.

    A class is called without arguments, or with `weight` if there are class weights. The loss is
    tried on random outputs.

    Args:
        reference: The loss.
        task: What the labels are.
        num_outputs: Classes, labels, tokens of the vocabulary, or targets in regression.
        weights: Class weights [C], if the study wants them.

    Raises:
        UsageError: It cannot be imported or called so, has weights of its own, does not take the
            class weights, or does not give the mean over the batch.
    """
    where = f"training.loss = {reference!r}"
    found = resolve(reference)
    if not callable(found):
        raise UsageError(f"{where}: is {type(found).__name__}, not a function or a module")
    is_class = isinstance(found, type)
    if weights is not None and WEIGHT not in _parameters(found):
        raise UsageError(
            f"{where}: does not take the argument {WEIGHT!r}, by which class_weights ="
            ' "balanced" are passed'
        )
    given = {WEIGHT: weights} if is_class and weights is not None else {}
    with expecting(f"{where}: expected a class that is built without arguments", found):
        compute = found(**given) if is_class else found
    if isinstance(compute, nn.Module) and any(one.requires_grad for one in compute.parameters()):
        raise UsageError(f"{where}: has weights of its own, which no optimizer would train")
    if not callable(compute):
        raise UsageError(f"{where}: gives {type(compute).__name__}, which cannot be called")
    loss = OwnLoss(compute, task, None if is_class else weights)
    if isinstance(compute, nn.Module):
        compute.train()
    _try(loss, where, num_outputs)
    return loss


def _try(loss: OwnLoss, where: str, num_outputs: int) -> None:
    """Make sure that the loss is called rightly, has a gradient and is a mean over its batch."""
    generator = torch.Generator().manual_seed(0)
    shape: tuple[int, ...] = (NUM_TRIED, num_outputs)
    if loss.task == "language":
        shape = (NUM_TRIED, 2, num_outputs)
    elif loss.task == "segmentation":
        shape = (NUM_TRIED, num_outputs, 2, 2)
    outputs = torch.randn(shape, generator=generator).requires_grad_()
    several = (num_outputs,) if loss.task == "regression" and num_outputs > 1 else ()
    targets = torch.randn(NUM_TRIED, *several, generator=generator)
    if loss.task == "multilabel":
        targets = (outputs.detach() > 0).float()
    elif loss.task != "regression":
        targets = torch.arange(outputs.numel() // num_outputs) % num_outputs
        is_mask = loss.task == "segmentation"
        targets = targets.view(NUM_TRIED, *shape[2:]) if is_mask else targets.view(shape[:-1])
    half = NUM_TRIED // 2
    parts = [slice(None), slice(half), slice(half, None)]
    with expecting(f"{where}: expected a call with {LOSS_CALLS[loss.task]}", loss.compute):
        values = [loss(outputs[part], targets[part]) for part in parts]
    whole = values[0]
    if not isinstance(whole, Tensor) or whole.ndim or not whole.is_floating_point():
        got = list(whole.shape) if isinstance(whole, Tensor) else type(whole).__name__
        raise UsageError(f"{where}: expected {LOSS.gives}, found {got}")
    if not whole.requires_grad:
        raise UsageError(f"{where}: has no gradient with respect to the outputs")
    numbers = [float(one.detach()) for one in values]
    mean = (numbers[1] + numbers[2]) / 2
    if not abs(numbers[0] - mean) <= TOLERANCE * max(abs(mean), TOLERANCE):
        raise UsageError(
            f"{where}: is no mean over the batch: {numbers[0]:.4g} for {NUM_TRIED} samples,"
            f" {numbers[1]:.4g} and {numbers[2]:.4g} for their halves"
        )


def _parameters(function: Any) -> set[str]:
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        return set(inspect.signature(called).parameters)
    except (TypeError, ValueError):
        return set()
