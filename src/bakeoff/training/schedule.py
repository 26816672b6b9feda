"""Sets the learning rate of an optimizer during a run."""

from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from bakeoff.components.own_schedules import find_scheduler
from bakeoff.components.parameters import complete_params
from bakeoff.components.schedulers import SchedulerSpec, learning_rate_factor
from bakeoff.errors import UsageError
from bakeoff.ranges import Params
from bakeoff.records import Direction
from bakeoff.training.own_factor import check_factor
from bakeoff.training.weight_roles import FACTOR


class Schedule:
    """Sets the learning rate of every group from the steps taken so far.

    The learning rate depends only on the optimizer's settings at construction, on the number of
    steps, and for `plateau` on the objective after each epoch. After the last planned step it does
    not change any more.

    Args:
        optimizer: A new optimizer with its base learning rate and momentum.
        name: A registered scheduler, or the user's own by reference.
        params: Its parameters; missing ones take their defaults.
        total_steps: Planned optimizer steps of the whole run.
        epochs: Planned epochs of the whole run.
        direction: The direction of the objective given to `end_epoch`.

    Raises:
        UsageError: The scheduler or a parameter is unknown, warm-up takes the whole run, or the
            user's own gives no factor with these parameters.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        name: str,
        params: Params,
        *,
        total_steps: int,
        epochs: int,
        direction: Direction,
    ) -> None:
        self._spec = find_scheduler(name)
        self._params = complete_schedule(self._spec, params)
        self._warmup = float(self._params.get("warmup_fraction", 0.0))
        if not 0 <= self._warmup < 1:
            raise UsageError(
                f"{name}.warmup_fraction = {self._warmup:g} must be at least 0 and below 1"
            )
        # The groups are not kept, because loading a state dictionary replaces them.
        self._optimizer = optimizer
        self._base_rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._base_momenta = [_momentum(group) for group in optimizer.param_groups]
        self._total_steps = total_steps
        self._step = 0
        self._scale = (
            _PlateauScale(self._params, epochs, direction) if self._spec.stateful else None
        )
        self._apply()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step, for weights whose factor is 1."""
        group = self._optimizer.param_groups[0]
        return float(group["lr"]) / float(group.get(FACTOR, 1.0))

    @property
    def progress(self) -> float:
        """The share of the planned steps that were taken, in [0, 1]."""
        return self._step / self._total_steps

    def advance(self) -> None:
        """The optimizer has made a step."""
        if self._step < self._total_steps:
            self._step += 1
            self._apply()

    def end_epoch(self, objective: float) -> None:
        """Report the validation objective to `plateau`; warm-up epochs are ignored."""
        if self._scale is not None and self.progress >= self._warmup:
            self._scale.update(objective)
            self._apply()

    def state_dict(self) -> dict[str, Any]:
        """The state that does not follow from the settings."""
        scale = None if self._scale is None else self._scale.state_dict()
        return {"step": self._step, "scale": scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self._step = state["step"]
        if self._scale is not None:
            self._scale.load_state_dict(state["scale"])
        self._apply()

    def _apply(self) -> None:
        factor = float(learning_rate_factor(self._spec, self.progress, self._params))
        if self._scale is not None:
            factor *= self._scale.value
        groups = self._optimizer.param_groups
        for group, rate in zip(groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        if self._spec.momentum_drop is not None:
            drop = self._spec.momentum_drop(self.progress, **self._params)
            for group, momentum in zip(groups, self._base_momenta, strict=True):
                _set_momentum(group, momentum, drop)


def complete_schedule(spec: SchedulerSpec, params: Params) -> Params:
    """The parameters that the factor of a schedule is called with, after the user's own was tried.

    Raises:
        UsageError: A parameter is unknown, or the user's own gives no factor with these.
    """
    if spec.own is None:
        return complete_params(f"scheduler {spec.name!r}", spec.parameters, params)
    check_factor(spec, params)
    return params


class _PlateauScale:
    """The factor of torch's ReduceLROnPlateau, which is applied to a learning rate of 1."""

    def __init__(self, params: Params, epochs: int, direction: Direction) -> None:
        self._optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self._plateau = ReduceLROnPlateau(
            self._optimizer,
            mode="max" if direction == "maximize" else "min",
            factor=float(params["gamma"]),
            patience=round(float(params["patience_fraction"]) * epochs),
        )

    @property
    def value(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    def update(self, objective: float) -> None:
        self._plateau.step(objective)

    def state_dict(self) -> dict[str, Any]:
        return {"plateau": self._plateau.state_dict(), "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._plateau.load_state_dict(state["plateau"])
        self._optimizer.param_groups[0]["lr"] = state["value"]


def _momentum(group: dict[str, Any]) -> float | None:
    """Momentum or beta1 of a parameter group; None if it has neither."""
    found = group["betas"][0] if "betas" in group else group.get("momentum")
    return float(found) if isinstance(found, (int, float)) else None


def _set_momentum(group: dict[str, Any], base: float | None, drop: float) -> None:
    if base is None:
        return
    momentum = max(0.0, base - drop)
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
