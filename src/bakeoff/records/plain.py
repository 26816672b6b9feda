"""Value types as dictionaries and lists, for JSON and TOML."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

SCALARS = frozenset({str, int, float, bool, type(None)})
"""Types of most values, which are plain. They are looked for first, because that is quick."""


def as_plain(value: Any) -> Any:
    """`value` as dictionaries, lists, text and numbers; dataclasses become dictionaries."""
    if value.__class__ in SCALARS:
        return value
    if (names := _field_names(value.__class__)) is not None:
        return {name: as_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return value


@cache
def _field_names(kind: type) -> tuple[str, ...] | None:
    """The names of the fields of a dataclass; None for another type."""
    return tuple(part.name for part in fields(kind)) if is_dataclass(kind) else None


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """`value` as strict JSON: NaN becomes null, infinities become the texts "inf" and "-inf"."""
    return json.dumps(as_strict(as_plain(value)), indent=indent, allow_nan=False) + "\n"


def as_strict(value: Any) -> Any:
    """Plain data with NaN as None and infinities as text, which strict JSON readers require."""
    if value.__class__ is float and math.isfinite(value):
        return value
    if isinstance(value, dict):
        return {key: as_strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_strict(item) for item in value]
    if hasattr(value, "item"):  # a numpy number
        return as_strict(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
