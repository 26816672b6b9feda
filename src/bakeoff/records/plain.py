"""Value types as dictionaries and lists, for JSON and TOML."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def as_plain(value: Any) -> Any:
    """`value` as dictionaries, lists, text and numbers; dataclasses become dictionaries."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: as_plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return value


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """`value` as strict JSON: NaN becomes null, infinities become the texts "inf" and "-inf"."""
    return json.dumps(as_strict(as_plain(value)), indent=indent, allow_nan=False) + "\n"


def as_strict(value: Any) -> Any:
    """Plain data with NaN as None and infinities as text, which strict JSON readers require."""
    if isinstance(value, dict):
        return {key: as_strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_strict(item) for item in value]
    if hasattr(value, "item"):  # a numpy number
        return as_strict(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
