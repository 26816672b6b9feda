"""Optimizer steps on buffers that hold many weights, by torch's own functions.

torch's optimizers here treat every number by itself, so one call may step the weights of several
layers, or those of several models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import adadelta, adamax, nadam, radam

Settings = Mapping[str, Any]
"""A parameter group of a torch optimizer without its weights."""


@dataclass(frozen=True, kw_only=True)
class Slots:
    """The state of some rows, as torch's functions take it: a tensor for each row."""

    values: list[Tensor]
    gradients: list[Tensor]
    state: Mapping[str, list[Tensor]]

    def __add__(self, other: "Slots") -> "Slots":
        return Slots(
            values=self.values + other.values,
            gradients=self.gradients + other.gradients,
            state={name: one + other.state[name] for name, one in self.state.items()},
        )


def _step_sgd(slots: Slots, group: Settings) -> None:
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


def _step_adam(slots: Slots, group: Settings, *, decoupled: bool = False) -> None:
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


def _step_adamw(slots: Slots, group: Settings) -> None:
    _step_adam(slots, group, decoupled=True)


def _step_adagrad(slots: Slots, group: Settings) -> None:
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


def _step_rmsprop(slots: Slots, group: Settings) -> None:
    """As torch's with `foreach`, which takes as long to sort the tensors as to step a small model.

    Source: `torch.optim.rmsprop._multi_tensor_rmsprop`
    """
    gradients, squares, rate = slots.gradients, slots.state["square_avg"], group["lr"]
    torch._foreach_add_(slots.state["step"], 1)
    if group["weight_decay"]:
        decay = group["weight_decay"]
        gradients = [*torch._foreach_add(gradients, slots.values, alpha=decay)]  # noqa: SLF001
    torch._foreach_mul_(squares, group["alpha"])
    torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["alpha"])
    roots = torch._foreach_sqrt(squares)  # noqa: SLF001 - as in torch's own step
    torch._foreach_add_(roots, group["eps"])
    if group["momentum"]:
        held = slots.state["momentum_buffer"]
        torch._foreach_mul_(held, group["momentum"])
        torch._foreach_addcdiv_(held, gradients, roots)
        torch._foreach_add_(slots.values, held, alpha=-rate)
    else:
        torch._foreach_addcdiv_(slots.values, gradients, roots, value=-rate)


def _by_function(
    function: Callable[..., None], state: Sequence[str], names: Sequence[str]
) -> Callable[[Slots, Settings], None]:
    """A step by a function of torch that takes the state in this order and settings by name."""

    def step(slots: Slots, group: Settings) -> None:
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

    step: Callable[[Slots, Settings], None]
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


def first_count(name: str) -> Tensor:
    """A count of an optimizer that has made no step, a scalar."""
    return torch.tensor(1.0 if name == "mu_product" else 0.0)


class NoRuleError(Exception):
    """An optimizer that none of the rules describes; the text says why."""


def find_rule(optimizer: torch.optim.Optimizer) -> Rule:
    """How an optimizer steps.

    Raises:
        NoRuleError: It does not treat every number by itself, or has unusual settings.
    """
    rule = RULES.get(type(optimizer))
    if rule is None:
        raise NoRuleError(f"optimizer {type(optimizer).__name__}")
    for group in optimizer.param_groups:
        for name, value in {"maximize": False, "capturable": False, **rule.unused}.items():
            if group.get(name, value) != value:
                raise NoRuleError(f"optimizer with {name} = {group[name]}")
    return rule
