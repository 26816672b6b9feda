"""Reads one setting of a study file: a fixed value, or the range in which it is searched."""

import json

from bakeoff.components.parameters import ANY_NUMBER, LIMITS, ParameterSpec
from bakeoff.errors import StudyFileError
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range
from bakeoff.studyfile.arm_parameters import Setting
from bakeoff.studyfile.schema import RangeTable


def read_setting(key: str, given: ParamValue | RangeTable, spec: ParameterSpec | None) -> Setting:
    """A fixed value or a range; whole bounds make a whole-number range unless `spec` is real.

    Args:
        key: Dotted key, for messages.
        given: What the file contains.
        spec: Specification of the parameter; None accepts any value.

    Raises:
        StudyFileError: The range is wrong, or contains a value that the parameter cannot have.
    """
    try:
        setting = _range(given, spec) if isinstance(given, RangeTable) else given
        for value in extremes(setting):
            _check_value(key, value, spec)
    except StudyFileError:
        raise
    except (ValueError, OverflowError) as error:
        raise StudyFileError(f"{key}: {error}") from None
    if isinstance(setting, int) and not isinstance(setting, bool) and _is_real(spec):
        return float(setting)
    return setting


def extremes(setting: Setting) -> tuple[ParamValue, ...]:
    """The values to check so that all are allowed: both bounds, all choices, or the value."""
    if isinstance(setting, Choice):
        return setting.choices
    if isinstance(setting, (FloatRange, IntRange)):
        return setting.low, setting.high
    return (setting,)


def _is_real(spec: ParameterSpec | None) -> bool:
    return spec is not None and isinstance(spec.range, FloatRange)


def _check_value(key: str, value: ParamValue, spec: ParameterSpec | None) -> None:
    """Refuse a value that the parameter cannot have; a user's own model checks its own values."""
    if spec is None:
        return
    named = f"{key} = {json.dumps(value)}"
    if isinstance(spec.range, Choice):
        if spec.limits is not ANY_NUMBER and value not in spec.range:
            allowed = ", ".join(map(repr, spec.range.choices))
            raise StudyFileError(f"{named}: allowed: {allowed}")
        return
    if isinstance(value, (bool, str)):
        kind = "a number" if _is_real(spec) else "a whole number"
        raise StudyFileError(f"{named}: must be {kind} or a range")
    if isinstance(spec.range, IntRange) and not isinstance(value, int):
        raise StudyFileError(f"{named}: must be a whole number or a range")
    limits = spec.limits or LIMITS.get(key.rpartition(".")[2])
    if limits is not None and float(value) not in limits:
        raise StudyFileError(f"{named}: must be {limits}")


def _range(table: RangeTable, spec: ParameterSpec | None) -> Range:
    if table.choices is not None:
        if {"low", "high", "log", "log_from_one", "step"} & table.model_fields_set:
            raise ValueError("give either choices, or low and high")
        return Choice(choices=tuple(table.choices))
    if table.low is None or table.high is None:
        raise ValueError("a range needs low and high, or choices")
    known = spec.range if spec is not None and not isinstance(spec.range, Choice) else None
    natural = {
        "natural_low": known is not None and known.natural_low and table.low == known.low,
        "natural_high": known is not None and known.natural_high and table.high == known.high,
    }
    if table.log_from_one and (isinstance(known, IntRange) or table.step is not None):
        raise ValueError("log_from_one = true does not go with whole numbers")
    whole = isinstance(table.low, int) and isinstance(table.high, int)
    if whole and not isinstance(known, FloatRange) and not table.log_from_one:
        return IntRange(
            low=int(table.low),
            high=int(table.high),
            log=table.log,
            step=1 if table.step is None else table.step,
            **natural,
        )
    if table.step is not None:
        raise ValueError(f"step = {table.step} goes only with whole-number low and high")
    if isinstance(known, IntRange):
        raise ValueError("low and high must be whole numbers")
    scale = {"log": table.log, "log_from_one": table.log_from_one}
    return FloatRange(low=float(table.low), high=float(table.high), **scale, **natural)
