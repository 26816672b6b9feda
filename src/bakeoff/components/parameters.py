"""The parameters of optimizers, schedules and models, and the values that they can have."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bakeoff.components.signatures import OwnCode
from bakeoff.errors import UsageError, describe_unknown
from bakeoff.ranges import Choice, FloatRange, Params, ParamValue, Range


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The values that a parameter can have, whatever range it is searched in."""

    low: float
    high: float
    includes_low: bool = True
    includes_high: bool = True

    def __contains__(self, value: float) -> bool:
        above = value > self.low or (self.includes_low and value == self.low)
        below = value < self.high or (self.includes_high and value == self.high)
        return above and below

    def __str__(self) -> str:
        low = f"{'at least' if self.includes_low else 'above'} {self.low:g}"
        high = f"{'at most' if self.includes_high else 'below'} {self.high:g}"
        if self.low == -math.inf:
            return high
        return low if self.high == math.inf else f"{low} and {high}"


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One parameter of an optimizer, a scheduler or a model."""

    range: Range
    """The range in which it is searched unless the study file gives another."""
    default: ParamValue
    """The library's default. It may lie outside a logarithmic `range` (a weight decay of 0)."""
    source: str
    """The source of the range."""
    searched: bool = True
    """Whether it is part of the default space. Otherwise it keeps its default unless the study file
    gives it a range or a value."""
    limits: Limits | None = None
    """Limits that differ from those in `LIMITS`; None uses `LIMITS`."""


ANY_NUMBER = Limits(low=-math.inf, high=math.inf)
_SHARE_BELOW_ONE = Limits(low=0.0, high=1.0, includes_high=False)
_COUNT = Limits(low=1, high=100_000)

LIMITS: Mapping[str, Limits] = {
    "learning_rate": Limits(low=0.0, high=math.inf, includes_low=False),
    "weight_decay": Limits(low=0.0, high=math.inf),
    "momentum": _SHARE_BELOW_ONE,
    "beta1": _SHARE_BELOW_ONE,
    "beta2": _SHARE_BELOW_ONE,
    "alpha": _SHARE_BELOW_ONE,
    "epsilon": Limits(low=0.0, high=math.inf, includes_low=False),
    "warmup_fraction": _SHARE_BELOW_ONE,
    "momentum_drop": _SHARE_BELOW_ONE,
    "gamma": Limits(low=0.0, high=1.0, includes_low=False),
    "patience_fraction": Limits(low=0.0, high=1.0),
    "num_drops": _COUNT,
    "num_cycles": _COUNT,
    "cycle_growth": Limits(low=1, high=100),
    "first_milestone": Limits(low=0.0, high=1.0),
    "second_milestone": Limits(low=0.0, high=1.0),
    "final_factor": Limits(low=0.0, high=1.0, includes_low=False),
    "power": Limits(low=0.0, high=math.inf, includes_low=False),
    "decay_fraction": Limits(low=0.0, high=1.0, includes_low=False),
    "rho": _SHARE_BELOW_ONE,
    "beta2_decay": Limits(low=-math.inf, high=0.0, includes_high=False),
    "initial_accumulator_value": Limits(low=0.0, high=math.inf),
    "dropout": _SHARE_BELOW_ONE,
    "width": _COUNT,
    "depth": _COUNT,
    "heads": _COUNT,
}
"""Limits by name; a name means the same in every component."""

POSITIVE_SHARE = Limits(low=0.0, high=1.0, includes_low=False, includes_high=False)
"""The limits of a momentum that cannot be switched off."""


def complete_params(
    owner: str, parameters: Mapping[str, ParameterSpec], given: Params
) -> dict[str, ParamValue]:
    """`given`, with the default of every parameter that is missing, in declared order.

    Raises:
        UsageError: `given` names a parameter that `owner` does not declare.
    """
    for name in given:
        if name not in parameters:
            raise UsageError(describe_unknown(f"parameter of {owner}", name, parameters))
    return {name: given.get(name, spec.default) for name, spec in parameters.items()}


def own_parameters(own: OwnCode, ranges: Mapping[str, ParameterSpec]) -> dict[str, ParameterSpec]:
    """The parameters of the user's own code that have a default, in the order of its arguments.

    Those of `ranges` that it takes are searched in these ranges, from its own default where it has
    one. The others keep their defaults unless the study file lists them. Where its source does not
    tell what it takes, only the first one of `ranges` is searched unless the file lists more.
    """
    if own.signature is None:
        first = next(iter(ranges), None)
        return {name: replace(spec, searched=name == first) for name, spec in ranges.items()}
    found: dict[str, ParameterSpec] = {}
    for name, default in own.defaults.items():
        if name in ranges:
            spec = ranges[name]
            is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
            found[name] = replace(spec, default=float(default or 0)) if is_number else spec
        elif default is not None:
            found[name] = ParameterSpec(
                range=_around(default),
                default=default,
                source="the default of your own code",
                searched=False,
                limits=ANY_NUMBER,
            )
    return found


def _around(default: ParamValue) -> Range:
    """A range that holds the default alone; a real one lets whole bounds be real numbers."""
    if isinstance(default, float):
        return FloatRange(low=default, high=default)
    return Choice(choices=(default,))
