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
    return json.dumps(_finite(as_plain(value)), indent=indent, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):  # a numpy number
        return _finite(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
