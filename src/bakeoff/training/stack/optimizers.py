"""Optimizer steps on the rows of a stack, by torch's own functions.

Members with equal settings at the same step share a call. torch's functions treat every number by
itself. They may round the last few of a tensor otherwise than the rest, but a row is a whole number
of vectors; so a row's bits do not depend on the others of the call.

Shapes: N members, P weights of a member.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

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
        optimizer: The member's own. It makes no step itself.
        weights: Those of the stack.
        names: The names of the weights in the model, by id.
        row: The member's.

    Raises:
        NotStackableError: It cannot be stacked.
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
        self.weights = weights
        self.row = row
        settings = [{**one, "params": [], "weight_decay": 0.0} for one in optimizer.param_groups]
        if len(settings) != len(weights.blocks) or settings != settings[:1] * len(settings):
            raise NotStackableError("weights have learning rates of their own")
        self._places = {one.name: one for one in weights.places}
        self._names = names
        self._kept = {
            name: weights.kept[number, row].zero_() for number, name in enumerate(self.rule.kept)
        }
        self.counts = {name: first_count(name) for name in self.rule.counts}
        """Numbers that the optimizer keeps for a whole weight; a lane's rows share them."""
        self._load()

    def _load(self) -> None:
        """Take over the state of the optimizer, or begin with a new one's."""
        for block, group in zip(self.weights.blocks, self.optimizer.param_groups, strict=True):
            if "sum" in self._kept:
                self._kept["sum"][block].fill_(group["initial_accumulator_value"])
            for one in group["params"]:
                state, place = self.optimizer.state.get(one, {}), self._place(one)
                for name in self.counts.keys() & state.keys():
                    self.counts[name].copy_(state[name])
                for name in self._kept.keys() & state.keys():
                    if state[name] is not None:
                        self._view(self._kept[name], place).copy_(state[name])

    def store(self) -> None:
        """Write the state into the member's own optimizer, as if that had made the steps."""
        counts = self.counts
        for group in self.optimizer.param_groups:
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

    Rows side by side are one tensor. Weights that decay are only some of a row's: they decay
    beforehand, as the optimizer would let them, and its step is one for all weights.

    Args:
        rows: Of one optimizer with equal settings and counts; those of the first one count.
    """

    def __init__(self, rows: Sequence[OptimizerRow]) -> None:
        leader = rows[0]
        self._step = leader.rule.step
        self._optimizer = leader.optimizer
        self._slots = Slots(values=[], gradients=[], state={})
        self._decaying: list[tuple[int, Tensor, Tensor]] = []
        """Groups with the weights that decay and their gradients."""
        groups = leader.optimizer.param_groups
        decays = [one["weight_decay"] for one in groups]
        for number, (_, side_by_side) in enumerate(groupby(enumerate(rows), _first_row)):
            found = [row for _, row in side_by_side]
            slots = _slots_of(found)
            self._slots = self._slots + slots if number else slots
            for at, block in enumerate(leader.weights.blocks) if len({*decays}) > 1 else ():
                if decays[at]:
                    values = leader.weights.values[_rows_of(found), block]
                    gradients = leader.weights.gradients[_rows_of(found), block]
                    self._decaying.append((at, values, gradients))

    def step(self) -> None:
        """Make one step on all rows, with the settings that the first member's groups have now."""
        groups = self._optimizer.param_groups
        settings: Settings = groups[0]
        if self._decaying:
            settings = {**settings, "weight_decay": 0.0}
        for number, values, gradients in self._decaying:
            rate, decay = groups[number]["lr"], groups[number]["weight_decay"]
            if settings.get("decoupled_weight_decay"):
                values.mul_(1 - rate * decay)
            else:
                gradients.add_(values, alpha=decay)
        self._step(self._slots, settings)


def _first_row(numbered: tuple[int, OptimizerRow]) -> int:
    """Equal for rows side by side."""
    number, row = numbered
    return row.row - number


def _rows_of(rows: Sequence[OptimizerRow]) -> slice:
    return slice(rows[0].row, rows[-1].row + 1)


def _slots_of(rows: Sequence[OptimizerRow]) -> Slots:
    """Rows side by side as one tensor, with counts that they share."""
    weights, rule = rows[0].weights, rows[0].rule
    counts = {name: one.clone() for name, one in rows[0].counts.items()}
    for row in rows:
        row.counts = counts
    part = _rows_of(rows)
    kept = {name: [weights.kept[at, part].view(-1)] for at, name in enumerate(rule.kept)}
    return Slots(
        values=[weights.values[part].view(-1)],
        gradients=[weights.gradients[part].view(-1)],
        state={**kept, **{name: [one] for name, one in counts.items()}},
    )
