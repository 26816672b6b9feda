"""Study files that build on another one, and single settings that replace what a file says."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.errors import StudyFileError, UsageError

STUDIES = Path("studies")
"""Where a study file is looked for that is named without folder and ending."""
MAX_BASES = 8
VALUE_KEYS = frozenset({"low", "choices", "name"})
"""A table with one of these keys, below the sections of a file, is one value."""
METRICS = "metrics"
"""The section in which they are not."""

Document = Mapping[str, Any]


def locate(path: Path) -> Path:
    """`studies/digits.toml` for `digits` if that file exists; any other path as it is."""
    by_name = STUDIES / f"{path.name}.toml"
    is_name = len(path.parts) == 1 and not path.suffix and not path.exists()
    return by_name if is_name and by_name.is_file() else path


def with_base(document: Document, folder: Path, read: Callable[[Path], Document]) -> Document:
    """The document on top of the study file that its key `study.base` names.

    That file may name a base too. Tables are joined key by key, and any other value of the document
    replaces the one of its base.

    Args:
        document: A study file as it was parsed.
        folder: The folder that a relative path is looked for in.
        read: Parses a study file.

    Raises:
        StudyFileError: A base cannot be read, or bases name one another without end.
    """
    layers, place = [document], folder
    while (base := _base_of(layers[-1])) is not None:
        if len(layers) > MAX_BASES:
            raise StudyFileError(f"study.base = {json.dumps(base)}: more than {MAX_BASES} bases")
        path = place / base
        try:
            layers.append(read(path))
        except StudyFileError as error:
            raise StudyFileError(f"study.base = {json.dumps(base)}: {error}") from None
        place = path.parent
    if len(layers) == 1:
        return document
    whole: Document = {}
    for layer in reversed(layers):
        whole = merged(whole, layer)
    return {**whole, "study": {k: v for k, v in whole["study"].items() if k != "base"}}


def _base_of(document: Document) -> str | None:
    study = document.get("study")
    base = study.get("base") if isinstance(study, Mapping) else None
    return base if isinstance(base, str) and base else None


def merged(
    below: Document, above: Document, depth: int = 0, *, has_values: bool = True
) -> dict[str, Any]:
    """`below` with what `above` says. Ranges and other tables that are one value are replaced.

    Args:
        below: A document, or a table of it.
        above: What takes precedence.
        depth: Of the table in its document.
        has_values: Whether tables below this one can be one value. Those of `[metrics]` cannot,
            although they have the keys of a range.
    """
    result = dict(below)
    for key, value in above.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            keys = value.keys() | before.keys()
            is_value = depth > 0 and has_values and VALUE_KEYS & keys
            inner = has_values and (depth > 0 or key != METRICS)
            joined = merged(before, value, depth + 1, has_values=inner)
            result[key] = value if is_value else joined
        else:
            result[key] = value
    return result


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`search.trials_per_arm=5` and the like as one document.

    A value is TOML, as in a study file; what is no TOML is taken as text.

    Raises:
        UsageError: A setting is not `key=value` with dots in the key.
    """
    document: dict[str, Any] = {}
    for text in settings:
        key, equals, written = text.partition("=")
        if not equals:
            raise _wrong_setting(text)
        value: object = written.strip()
        with suppress(ValueError, RecursionError):
            parsed = tomllib.loads(f"value = {written}")
            value = parsed["value"] if len(parsed) == 1 else value
        document = merged(document, nested(key, value))
    return document


def nested(key: str, value: object) -> dict[str, Any]:
    """`{"search": {"trials_per_arm": 5}}` for the key `search.trials_per_arm`.

    Parts of a key that hold dots stand in quotes, as in a study file.

    Raises:
        UsageError: It is no key with dots.
    """
    try:
        document = tomllib.loads(f"{key} = 0") if not {*"=\n\r"} & {*key} else {}
    except (ValueError, RecursionError):
        document = {}
    table: Any = document
    while isinstance(table, dict) and len(table) == 1:
        ((part, below),) = table.items()
        if not isinstance(below, dict):
            table[part] = value
            break
        table = below
    if not document or table is document:  # a key without dots would be a whole section
        raise _wrong_setting(f"{key}=...")
    return document


def _wrong_setting(text: str) -> UsageError:
    return UsageError(f"--set {text}: write section.key=value, as in search.trials_per_arm=5")
