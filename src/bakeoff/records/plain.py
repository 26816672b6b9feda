"""Value types as dictionaries and lists, for JSON and TOML."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def as_plain(value: Any, leaf: Callable[[Any], Any] = lambda one: one) -> Any:
    """`value` as dictionaries, lists, text and numbers; dataclasses become dictionaries.

    `leaf` converts each value that contains no others.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: as_plain(getattr(value, part.name), leaf) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item, leaf) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item, leaf) for item in value]
    return leaf(value)


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """`value` as strict JSON: NaN becomes null, infinities become the texts "inf" and "-inf"."""
    return json.dumps(as_plain(value, _finite), indent=indent, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if hasattr(value, "item"):  # a numpy number
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
