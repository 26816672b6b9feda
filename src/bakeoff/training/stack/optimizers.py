"""Optimizer steps on the rows of a stack, by torch's own functions.

Members with equal settings at the same step share a call. torch's functions treat one row after
another, so a row's bits do not depend on the others of the call.

Shapes: N members, P weights of a member.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import adadelta, adamax, nadam, radam, rmsprop

from bakeoff.training.stack.flat_weights import FlatWeights, Place
from bakeoff.training.stack.layers import NotStackableError

Settings = Mapping[str, Any]
"""A parameter group of a torch optimizer without its weights."""


@dataclass(frozen=True, kw_only=True)
class _Slots:
    """The state of some rows, as torch's functions take it: a tensor for each row."""

    values: list[Tensor]
    gradients: list[Tensor]
    state: Mapping[str, list[Tensor]]

    def __add__(self, other: "_Slots") -> "_Slots":
        return _Slots(
            values=self.values + other.values,
            gradients=self.gradients + other.gradients,
            state={name: one + other.state[name] for name, one in self.state.items()},
        )


def _step_sgd(slots: _Slots, group: Settings) -> None:
    torch._fused_sgd_(
        slots.values,
        slots.gradients,
        slots.state["momentum_buffer"] if group["momentum"] else [],
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=group["lr"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=False,
        is_first_step=False,  # zeros give what torch begins with, a copy of the gradient
    )


def _step_adam(slots: _Slots, group: Settings, *, decoupled: bool = False) -> None:
    torch._foreach_add_(slots.state["step"], 1)
    step = torch._fused_adamw_ if decoupled else torch._fused_adam_
    step(
        slots.values,
        slots.gradients,
        slots.state["exp_avg"],
        slots.state["exp_avg_sq"],
        [],
        slots.state["step"],
        lr=group["lr"],
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )


def _step_adamw(slots: _Slots, group: Settings) -> None:
    _step_adam(slots, group, decoupled=True)


def _step_adagrad(slots: _Slots, group: Settings) -> None:
    torch._foreach_add_(slots.state["step"], 1)
    torch._fused_adagrad_(
        slots.values,
        slots.gradients,
        slots.state["sum"],
        slots.state["step"],
        lr=group["lr"],
        lr_decay=group["lr_decay"],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=False,
    )


def _step_rmsprop(slots: _Slots, group: Settings) -> None:
    rmsprop.rmsprop(
        slots.values,
        slots.gradients,
        slots.state["square_avg"],
        [],
        slots.state["momentum_buffer"] if group["momentum"] else [],
        slots.state["step"],
        **_named(group, "lr", "alpha", "eps", "weight_decay", "momentum"),
        centered=False,
        foreach=True,
    )


def _by_function(
    function: Callable[..., None], state: Sequence[str], names: Sequence[str]
) -> Callable[[_Slots, Settings], None]:
    """A step by a function of torch that takes the state in this order and settings by name."""

    def step(slots: _Slots, group: Settings) -> None:
        function(
            slots.values,
            slots.gradients,
            *(slots.state[name] for name in state),
            **_named(group, *names),
            **(_betas(group) if "betas" in group else {}),
            maximize=False,
            foreach=True,
        )

    return step


_step_nadam = _by_function(
    nadam.nadam,
    ("exp_avg", "exp_avg_sq", "mu_product", "step"),
    ("lr", "weight_decay", "momentum_decay", "eps", "decoupled_weight_decay"),
)
_step_radam = _by_function(
    radam.radam,
    ("exp_avg", "exp_avg_sq", "step"),
    ("lr", "weight_decay", "eps", "decoupled_weight_decay"),
)
_step_adamax = _by_function(
    adamax.adamax, ("exp_avg", "exp_inf", "step"), ("lr", "weight_decay", "eps")
)
_step_adadelta = _by_function(
    adadelta.adadelta, ("square_avg", "acc_delta", "step"), ("lr", "rho", "eps", "weight_decay")
)


def _named(group: Settings, *names: str) -> dict[str, Any]:
    return {name: group[name] for name in names}


def _betas(group: Settings) -> dict[str, Any]:
    return {"beta1": group["betas"][0], "beta2": group["betas"][1]}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a torch optimizer steps, and what it keeps, by the names of its state."""

    step: Callable[[_Slots, Settings], None]
    kept: tuple[str, ...]
    """A number for each weight."""
    counts: tuple[str, ...] = ("step",)
    """A number for each row."""
    unused: Mapping[str, Any] = field(default_factory=dict)
    """Settings that `step` leaves at these values."""


RULES: Mapping[type[torch.optim.Optimizer], Rule] = {
    torch.optim.SGD: Rule(step=_step_sgd, kept=("momentum_buffer",), counts=()),
    torch.optim.Adam: Rule(
        step=_step_adam,
        kept=("exp_avg", "exp_avg_sq"),
        unused={"amsgrad": False, "decoupled_weight_decay": False},
    ),
    torch.optim.AdamW: Rule(
        step=_step_adamw, kept=("exp_avg", "exp_avg_sq"), unused={"amsgrad": False}
    ),
    torch.optim.Adagrad: Rule(step=_step_adagrad, kept=("sum",)),
    torch.optim.RMSprop: Rule(
        step=_step_rmsprop, kept=("square_avg", "momentum_buffer"), unused={"centered": False}
    ),
    torch.optim.NAdam: Rule(
        step=_step_nadam, kept=("exp_avg", "exp_avg_sq"), counts=("step", "mu_product")
    ),
    torch.optim.RAdam: Rule(step=_step_radam, kept=("exp_avg", "exp_avg_sq")),
    torch.optim.Adamax: Rule(step=_step_adamax, kept=("exp_avg", "exp_inf")),
    torch.optim.Adadelta: Rule(step=_step_adadelta, kept=("square_avg", "acc_delta")),
}
"""torch's optimizers that treat every weight by itself."""


def find_rule(optimizer: torch.optim.Optimizer) -> Rule:
    """How an optimizer steps in a stack.

    Raises:
        NotStackableError: It does not treat every weight by itself, or has unusual settings.
    """
    rule = RULES.get(type(optimizer))
    if rule is None:
        raise NotStackableError(f"optimizer {type(optimizer).__name__} cannot be stacked")
    for group in optimizer.param_groups:
        for name, value in {"maximize": False, "capturable": False, **rule.unused}.items():
            if group.get(name, value) != value:
                raise NotStackableError(f"optimizer with {name} = {group[name]}")
    return rule


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
            {name: self._first_count(name) for name in self.rule.counts} for _ in weights.blocks
        ]
        self._load(weights)
        self.slots = [
            _Slots(
                values=[values[block]],
                gradients=[gradients[block]],
                state={
                    **{name: [one[block]] for name, one in self._kept.items()},
                    **{name: [one] for name, one in counts.items()},
                },
            )
            for block, counts in zip(weights.blocks, self._counts, strict=True)
        ]

    def _first_count(self, name: str) -> Tensor:
        return torch.tensor(1.0 if name == "mu_product" else 0.0)

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


def _together(slots: Sequence[_Slots]) -> _Slots:
    first, *others = slots
    for one in others:
        first = first + one
    return first
