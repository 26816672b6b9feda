"""The ranges of a search space: one dimension each, with its bounds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

ParamValue = float | int | bool | str
"""The types of parameter values. JSON, TOML and Optuna store all four unchanged."""

Params = Mapping[str, ParamValue]


@dataclass(frozen=True, kw_only=True)
class FloatRange:
    """Real numbers in `[low, high]`, uniform or uniform in a logarithm.

    `log` spreads the values evenly over the logarithm of the value. `log_from_one` spreads them
    evenly over the logarithm of `1 - value`, for quantities whose distance from 1 matters: a
    momentum of 0.9 averages over 10 steps, one of 0.99 over 100. Half of `FloatRange(low=0.0,
    high=0.99, log_from_one=True)` lies above 0.9. In a study file this is `{ low = 0.0, high =
    0.99, log_from_one = true }`. Everything that is stored, shown or passed to an optimizer is the
    value itself; only samplers and distances use `scaled`.

    `natural_low` and `natural_high` mark a bound of the quantity itself (a momentum is never
    negative). A best value at any other bound suggests a wider range.
    """

    low: float
    high: float
    log: bool = False
    log_from_one: bool = False
    natural_low: bool = False
    natural_high: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, log=self.log)
        if self.log_from_one and self.log:
            raise ValueError("log = true cannot be combined with log_from_one = true")
        if self.log_from_one and self.high >= 1:
            raise ValueError(f"high = {self.high} must be below 1 where log_from_one = true")

    def __contains__(self, value: object) -> bool:
        return _is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]

    def scaled(self, value: float) -> float:
        """The place of `value` on the scale in which the range is searched evenly; it rises.

        With `log_from_one` it is `-log(1 - value)`: 0 for 0, 2.3 for 0.9, 4.6 for 0.99.

        Raises:
            ValueError: The value has no place on the scale: 0 or less with `log`, 1 or more with
                `log_from_one`.
        """
        if self.log_from_one:
            return -math.log1p(-value)
        return math.log(value) if self.log else float(value)

    def unscaled(self, place: float) -> float:
        """The value at a place on the scale of `scaled`; rounding never leaves the range."""
        value = place
        if self.log_from_one:
            value = -math.expm1(-place)
        elif self.log:
            value = math.exp(place)
        return min(max(value, self.low), self.high)


@dataclass(frozen=True, kw_only=True)
class IntRange:
    """Whole numbers `low, low + step, ...` up to `high`; with `log`, uniform in the logarithm."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    natural_low: bool = False
    natural_high: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, log=self.log)
        if self.step < 1:
            raise ValueError(f"step = {self.step} must be at least 1")
        if self.log and self.step != 1:
            raise ValueError(f"step = {self.step} cannot be combined with log = true")
        if (self.high - self.low) % self.step:
            raise ValueError(
                f"high = {self.high} is not low = {self.low} plus a multiple of step = {self.step}"
            )

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )

    def scaled(self, value: float) -> float:
        """The place of `value` on the scale in which the range is searched evenly; it rises.

        Raises:
            ValueError: The range is logarithmic and the value is 0 or less.
        """
        return math.log(value) if self.log else float(value)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several unordered values."""

    choices: tuple[ParamValue, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("choices is empty; give at least one value")
        if len(set(map(repr, self.choices))) < len(self.choices):
            raise ValueError(f"choices {list(self.choices)} holds a value twice")

    def __contains__(self, value: object) -> bool:
        return any(value == choice and type(value) is type(choice) for choice in self.choices)


Range = FloatRange | IntRange | Choice


def is_searched(setting: object) -> TypeGuard[Range]:
    """Whether a setting is searched: it is a range with more than one value."""
    if isinstance(setting, Choice):
        return len(setting.choices) > 1
    return isinstance(setting, FloatRange | IntRange) and setting.low < setting.high


def split_name(name: str) -> tuple[str, str]:
    """Owner and own name of a parameter: `adamw` and `beta1` of `adamw.beta1`.

    The owner is everything before the last dot, because it may be a reference such as
    `package.module:Name`. It is empty for `optimizer` and `scheduler`.
    """
    owner, _, parameter = name.rpartition(".")
    return owner, parameter


def owned_params(params: Params, owner: str) -> dict[str, ParamValue]:
    """The parameters that belong to `owner`, by their names without `owner.` in front."""
    split = ((*split_name(name), value) for name, value in params.items())
    return {parameter: value for found, parameter, value in split if found == owner}


def allows(setting: Range | ParamValue, value: ParamValue) -> bool:
    """Whether a range contains `value`, or a fixed setting equals it."""
    if isinstance(setting, Choice | FloatRange | IntRange):
        return value in setting
    return value == setting


def describe_range(setting: Range) -> str:
    """Describe a range as `0.0001 to 1, log`, or by its choices."""
    if isinstance(setting, Choice):
        return ", ".join(map(str, setting.choices))
    return f"{setting.low:g} to {setting.high:g}" + describe_scale(setting)


def describe_scale(setting: FloatRange | IntRange) -> str:
    """`, log` or `, log of 1 - value` after the bounds of a range; nothing if it is linear."""
    if isinstance(setting, FloatRange) and setting.log_from_one:
        return ", log of 1 - value"
    return ", log" if setting.log else ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_bounds(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low = {low} and high = {high} must be finite")
    if low > high:
        raise ValueError(f"low = {low} is above high = {high}")
    if log and low <= 0:
        raise ValueError(f"low = {low} must be above 0 where log = true")
