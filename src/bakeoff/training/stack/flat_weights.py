"""The weights of all members as rows of one matrix, and the gradients likewise.

Shapes: N members, P weights of a member with padding.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bakeoff.training.weight_kinds import parameter_groups

ALIGNED_BYTES = 64
"""Every member's weights begin at a multiple of this, as torch's own tensors do, because a matrix
product may round differently where its operands begin elsewhere."""


MAX_KEPT = 2
"""The most numbers that an optimizer keeps for each weight."""


class Place(NamedTuple):
    """The columns of one of the model's weights."""

    name: str
    shape: torch.Size
    start: int

    @property
    def columns(self) -> slice:
        """Its columns, without the padding that follows them."""
        return slice(self.start, self.start + prod(self.shape))


class FlatWeights:
    """The weights of models with the same structure, [N, P], and room for their gradients.

    The weights that decay come first. `leaves` are the weights by their names in the model, each
    [N, *shape]; they share the memory of `values`, so a step on `values` changes them.

    Args:
        models: One for each row. All their weights are trained.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        first = next(models[0].parameters())
        self.places, self.blocks = _lay_out(models[0])
        size = self.blocks[-1].stop
        self.values = torch.zeros(len(models), size, dtype=first.dtype, device=first.device)
        self.gradients = torch.zeros_like(self.values)
        self.kept = self.values.new_zeros(MAX_KEPT, *self.values.shape)
        """What optimizers keep for each weight, [K, N, P]."""
        self.leaves = {
            one.name: self.part(self.values, one).requires_grad_() for one in self.places
        }
        self._gradient_parts = {one.name: self.part(self.gradients, one) for one in self.places}
        for row, model in enumerate(models):
            self.load(self.values[row], dict(model.named_parameters()))

    def part(self, matrix: Tensor, place: Place) -> Tensor:
        """The columns of one weight in a matrix [N, P], as [N, *shape]."""
        return matrix[:, place.columns].view(len(matrix), *place.shape)

    def gradient(self, name: str) -> Tensor:
        """The place of a weight's gradients, [N, *shape]."""
        return self._gradient_parts[name]

    def load(self, row: Tensor, weights: Mapping[str, Tensor]) -> None:
        """Copy tensors by the names of the weights into a row [P]."""
        with torch.no_grad():
            for place in self.places:
                row[place.columns].view(place.shape).copy_(weights[place.name])

    def store(self, row: Tensor, weights: Mapping[str, Tensor]) -> None:
        """Copy a row [P] into tensors by the names of the weights."""
        with torch.no_grad():
            for place in self.places:
                weights[place.name].copy_(row[place.columns].view(place.shape))


def _lay_out(model: nn.Module) -> tuple[list[Place], list[slice]]:
    """Where each weight is, and the columns of those that decay and of those that do not."""
    names = {id(weights): name for name, weights in model.named_parameters()}
    align = ALIGNED_BYTES // next(model.parameters()).element_size()
    places, blocks, end = [], [], 0
    for group in parameter_groups(model, 1.0):
        begin = end
        for weights in group["params"]:
            places.append(Place(names[id(weights)], weights.shape, end))
            end += -(-weights.numel() // align) * align
        blocks.append(slice(begin, end))
    return places, blocks
