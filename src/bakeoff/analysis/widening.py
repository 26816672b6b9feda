"""The wider range to search next, where the best values lie at a bound.

A range is widened on one side by this rule:

- on a logarithmic scale by one decade, of the distance from 1 where that is the scale;
- on a linear scale by half of its length;
- whole numbers by a factor of two on a logarithmic scale, because what they count (samples, units)
  costs time, and by half of their length, but at least one step, on a linear one.

It ends at the last value that the parameter can have. Where that value itself is excluded, as 1 is
for a momentum, the distance to it becomes a tenth.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.parameters import ANY_NUMBER, LIMITS, Limits
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.ranges import FloatRange, IntRange

Side = Literal["low", "high"]
SIDES: tuple[Side, ...] = ("low", "high")
Numbers = FloatRange | IntRange

DECADE = 10.0
LENGTH_ADDED = 0.5
COUNT_FACTOR = 2
DIGITS = 12
"""Bounds are rounded to so many digits: 1 - (1 - 0.99) / 10 is 0.999."""
_SHARE_BELOW_ONE = Limits(low=0.0, high=1.0, includes_high=False)
_ABOVE_ZERO = Limits(low=0.0, high=math.inf, includes_low=False)
_SAMPLES = Limits(low=1, high=1_000_000)
TRAINING_LIMITS: Mapping[str, Limits] = {
    "batch_size": _SAMPLES,
    "accumulation_steps": _SAMPLES,
    "clip_grad_norm": _ABOVE_ZERO,
    "clip_grad_value": _ABOVE_ZERO,
    "label_smoothing": _SHARE_BELOW_ONE,
    "ema_decay": _SHARE_BELOW_ONE,
    "focal_gamma": Limits(low=0.0, high=10.0),
    "mixup_alpha": Limits(low=0.0, high=100.0),
    "cutmix_alpha": Limits(low=0.0, high=100.0),
}
"""The values that searched keys of `[training]` can have, as the schema of study files says."""


def widen(setting: Numbers, side: Side, bound: float) -> Numbers:
    """The range with another bound on one side."""
    if isinstance(setting, IntRange):
        whole = int(bound)
        if side == "low":
            return replace(setting, low=whole, natural_low=False)
        return replace(setting, high=whole, natural_high=False)
    if side == "low":
        return replace(setting, low=bound, natural_low=False)
    return replace(setting, high=bound, natural_high=False)


def wider_bound(name: str, setting: Numbers, side: Side) -> float | None:
    """The bound on one side of the wider range; None if there is none to propose.

    Args:
        name: The full name of the parameter, `sgd.momentum`.
        setting: The range in which it was searched.
        side: The side to widen.
    """
    limits = _known_limits(name) or _likely_limits(setting)
    last, is_included = (
        (limits.low, limits.includes_low) if side == "low" else (limits.high, limits.includes_high)
    )
    if isinstance(setting, IntRange):
        bound = _moved_count(setting, side, last if is_included else math.nan)
    else:
        bound = _moved_number(setting, side, last, is_included=is_included)
    old = setting.low if side == "low" else setting.high
    is_wider = bound < old if side == "low" else bound > old
    return bound if is_wider and math.isfinite(bound) else None


def is_last_value(name: str, setting: Numbers, side: Side) -> bool:
    """Whether a bound is known to be the last value that the parameter can have."""
    limits = _known_limits(name)
    if limits is None:
        return False
    if side == "low":
        return limits.includes_low and setting.low <= limits.low
    return limits.includes_high and setting.high >= limits.high


def _moved_number(setting: FloatRange, side: Side, last: float, *, is_included: bool) -> float:
    old = setting.low if side == "low" else setting.high
    sign = -1 if side == "low" else 1
    if setting.log:
        new = old * DECADE**sign
    elif setting.log_from_one:
        new = 1 - (1 - old) * DECADE**-sign
    else:
        new = old + sign * LENGTH_ADDED * (setting.high - setting.low)
    if sign * (new - last) >= 0:
        new = last if is_included else last + (old - last) / DECADE
    if setting.log and new <= 0:  # the last value has no logarithm
        new = old / DECADE
    return float(f"{new:.{DIGITS}g}")


def _moved_count(setting: IntRange, side: Side, last: float) -> float:
    """The new bound in whole steps from the old one."""
    low, high, step = setting.low, setting.high, setting.step
    added = max(step, round(LENGTH_ADDED * (high - low)))
    if side == "low":
        new = low // COUNT_FACTOR if setting.log else low - added
        least = max(new, last) if math.isfinite(last) else new
        return low - (low - max(least, 1 if setting.log else least)) // step * step
    new = high * COUNT_FACTOR if setting.log else high + added
    most = min(new, last) if math.isfinite(last) else new
    return high + (most - high) // step * step


def _known_limits(name: str) -> Limits | None:
    """The values that a parameter can have; None if they are not known.

    Names are known by their last part, such as `momentum`, in studies of other programs, too.
    """
    owner, _, parameter = name.rpartition(".")
    if owner == "training" and parameter in TRAINING_LIMITS:
        return TRAINING_LIMITS[parameter]
    for registry in (OPTIMIZERS, SCHEDULERS):
        spec = registry[owner].parameters.get(parameter) if owner in registry else None
        if spec is not None and spec.limits is not None:
            return spec.limits
    return LIMITS.get(parameter)


def _likely_limits(setting: Numbers) -> Limits:
    """What is proposed for an unknown parameter keeps its sign; counts from 1 stay counts."""
    if setting.low < 0:
        return ANY_NUMBER
    if isinstance(setting, IntRange):
        return Limits(low=min(setting.low, 1), high=math.inf)
    return Limits(low=0.0, high=math.inf, includes_low=setting.low == 0)
