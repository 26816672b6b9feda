"""Value types as dictionaries and lists, for JSON and TOML."""

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
