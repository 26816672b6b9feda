"""Optimizer steps on the rows of a stack, by torch's own functions.

Members with equal settings at the same step share a call. torch's functions treat one row after
another, so a row's bits do not depend on the others of the call.

Shapes: N members, P weights of a member.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bakeoff.training.optimizer_rules import (
    NoRuleError,
    Rule,
    Settings,
    Slots,
    find_rule as find_any_rule,
    first_count,
)
from bakeoff.training.stack.flat_weights import FlatWeights, Place
from bakeoff.training.stack.layers import NotStackableError


def find_rule(optimizer: torch.optim.Optimizer) -> Rule:
    """How an optimizer steps in a stack.

    Raises:
        NotStackableError: It does not treat every weight by itself, or has unusual settings.
    """
    try:
        return find_any_rule(optimizer)
    except NoRuleError as error:
        raise NotStackableError(f"{error} cannot be stacked") from None


class OptimizerRow:
    """The optimizer of one member: its own settings and state, and a row of the stack.

    Args:
        optimizer: The member's own, whose groups hold the settings, and to which `store` writes.
        weights: The weights of the stack.
        names: The names of the member's weights by their identity.
        row: The member's row.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        weights: FlatWeights,
        names: Mapping[int, str],
        row: int,
    ) -> None:
        self.optimizer = optimizer
        self.rule = find_rule(optimizer)
        if len(optimizer.param_groups) != len(weights.blocks):
            raise NotStackableError("weights have learning rates of their own")
        self._places = {one.name: one for one in weights.places}
        self._names = names
        values, gradients = weights.values[row], weights.gradients[row]
        self._kept = {name: torch.zeros_like(values) for name in self.rule.kept}
        self._counts = [
            {name: first_count(name) for name in self.rule.counts} for _ in weights.blocks
        ]
        self._load(weights)
        self.slots = [
            Slots(
                values=[values[block]],
                gradients=[gradients[block]],
                state={
                    **{name: [one[block]] for name, one in self._kept.items()},
                    **{name: [one] for name, one in counts.items()},
                },
            )
            for block, counts in zip(weights.blocks, self._counts, strict=True)
        ]

    def _load(self, weights: FlatWeights) -> None:
        """Take over the state of the optimizer, or begin with a new one's."""
        groups = self.optimizer.param_groups
        for block, counts, group in zip(weights.blocks, self._counts, groups, strict=True):
            if "sum" in self._kept:
                self._kept["sum"][block].fill_(group["initial_accumulator_value"])
            for one in group["params"]:
                state, place = self.optimizer.state.get(one, {}), self._place(one)
                for name in counts.keys() & state.keys():
                    counts[name].copy_(state[name])
                for name in self._kept.keys() & state.keys():
                    if state[name] is not None:
                        self._view(self._kept[name], place).copy_(state[name])

    def store(self) -> None:
        """Write the state into the member's own optimizer, as if that had made the steps."""
        for counts, group in zip(self._counts, self.optimizer.param_groups, strict=True):
            stored = self._stored(group)
            has_begun = bool(counts["step"]) if "step" in counts else bool(stored)
            for one in group["params"] if has_begun else ():
                place, state = self._place(one), self.optimizer.state[one]
                for name in stored:
                    kept = torch.empty_like(one, memory_format=torch.preserve_format)
                    state[name] = kept.copy_(self._view(self._kept[name], place)).detach()
                for name, count in counts.items():
                    state[name] = count.clone()

    def _stored(self, group: Settings) -> list[str]:
        """What torch's optimizer keeps with these settings."""
        return [
            name for name in self.rule.kept if name != "momentum_buffer" or group["momentum"] != 0
        ]

    def _place(self, weights: Tensor) -> Place:
        return self._places[self._names[id(weights)]]

    def _view(self, row: Tensor, place: Place) -> Tensor:
        return row[place.columns].view(place.shape)


class Lane:
    """Members whose optimizers make the same step, with different weights.

    Args:
        rows: Of one optimizer with equal settings; those of the first one count.
    """

    def __init__(self, rows: Sequence[OptimizerRow]) -> None:
        self._leader = rows[0]
        blocks = [_together([row.slots[at] for row in rows]) for at in range(len(rows[0].slots))]
        groups = self._leader.optimizer.param_groups
        if len({group["weight_decay"] for group in groups}) == 1:
            blocks, groups = [_together(blocks)], groups[:1]
        self._blocks = blocks
        self._groups = groups

    def step(self) -> None:
        """Make one step on all rows, with the settings that the first member's groups have now."""
        for slots, group in zip(self._blocks, self._groups, strict=True):
            self._leader.rule.step(slots, group)


def _together(slots: Sequence[Slots]) -> Slots:
    first, *others = slots
    for one in others:
        first = first + one
    return first
