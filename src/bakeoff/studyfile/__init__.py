"""Reads a study file into a `StudyConfig`; an error names file, key, value and what is allowed.

`schema` checks the shape with pydantic, `resolve` checks the names with the registries. The rest of
the package sees only the frozen `StudyConfig`, in which every default is written out.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from bakeoff.components.signatures import without_sources
from bakeoff.errors import StudyFileError, UsageError, describe_unknown, one_line
from bakeoff.own_source import check_reference, look_in, search_path
from bakeoff.records import NamedArm, StudyConfig
from bakeoff.studyfile.arm_parameters import study_arms as study_arms
from bakeoff.studyfile.documents import (
    locate as locate,
    merged,
    nested,
    parse_settings as parse_settings,
    with_base,
)
from bakeoff.studyfile.named_arms import (
    ARMS,
    arm_tables,
    check_losses,
    check_tables,
    document_of_arm,
    named_arm,
)
from bakeoff.studyfile.own_parts import code_folder, own_parts
from bakeoff.studyfile.resolve import STUDY_NAME as STUDY_NAME, resolve
from bakeoff.studyfile.schema import (
    MetricTable,
    RangeTable,
    StudyFile,
    TrainingSection,
    study_schema as study_schema,
)
from bakeoff.studyfile.written import study_document

MAX_FILE_BYTES = 1_000_000
MAX_KEY_PARTS = 100
LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{MAX_KEY_PARTS}}}""")
"""The time that tomllib takes for a dotted key grows with the square of its length."""
MAX_DEPTH = 8
MAX_INTEGER = 1 << 63
MAX_QUOTED = 80
"""Characters of a wrong line that a message shows."""


def load_study_file(path: Path, settings: Sequence[str] = ()) -> StudyConfig:
    """The study that the TOML file at `path` describes, checked, with every default written out.

    Nothing that the file refers to is imported, and no data is read.

    Args:
        path: The file; a name without folder and ending is also looked for in `studies`.
        settings: What replaces the settings of the file, as in `search.trials_per_arm=5`.

    Raises:
        StudyFileError: The file cannot be read or is wrong; the message is one line with file, key,
            value and what is allowed.
        UsageError: An entry of `settings` cannot be parsed.
    """
    return load_study(path, settings=parse_settings(settings))


def load_study(
    source: str | Path | Mapping[str, Any] | None,
    *,
    settings: Mapping[str, Any],
    sections: Mapping[str, Any] | None = None,
    folder: str = "",
) -> StudyConfig:
    """The study of a file or of a parsed document, with sections and settings on top of it.

    Args:
        source: A study file, a parsed one, or None for a study of `sections` alone.
        settings: Values by dotted key, or nested like a study file.
        sections: Sections of a study file.
        folder: Where the study's own modules are looked for if `source` is no file.

    Raises:
        StudyFileError: The file cannot be read or the study is wrong; the message is one line.
        UsageError: A key of `settings` is no key of a section.
    """
    above = merged({}, sections or {})
    for key, value in settings.items():
        is_section = isinstance(value, Mapping) and "." not in key
        above = merged(above, {key: value} if is_section else nested(key, value))
    if source is None or isinstance(source, Mapping):
        return _with_own_code(merged(source or {}, above), folder)
    path = locate(Path(source))
    try:
        document = with_base(read_toml(path), path.parent, read_toml)
        whole = merged(document, above)
        return _with_own_code(whole, code_folder(path, whole))
    except StudyFileError as error:
        raise StudyFileError(f"{path}: {error}") from None


def _with_own_code(document: Mapping[str, Any], folder: str) -> StudyConfig:
    """The study whose own parts exist as far as their source tells.

    Raises:
        StudyFileError: The document is wrong, or names a part that does not exist.
    """
    look_in(folder)
    config = replace(resolve_study(document), folder=folder)
    for key, reference in own_parts(config):
        try:
            check_reference(key, reference, search_path())
        except UsageError as error:
            raise StudyFileError(one_line(error)) from None
    return config


def resolve_study(document: Mapping[str, Any]) -> StudyConfig:
    """The study that a parsed document describes; see `load_study_file`.

    A base that it names is looked for from the current folder.

    Raises:
        StudyFileError: The document is wrong; the message does not name a file.
    """
    document = with_base(document, Path(), read_toml)
    study = _resolve(document, {})
    if ARMS not in document:
        return study
    check_tables(document[ARMS])
    arms = {}
    for name in document[ARMS]:
        try:
            arms[name] = named_arm(_resolve(document_of_arm(document, name), {}), study)
        except StudyFileError as error:
            raise StudyFileError(f"arms.{name}: {error}") from None
    study = _resolve(document, arms)
    check_losses(study)
    return study


def _resolve(document: Mapping[str, Any], arms: Mapping[str, NamedArm]) -> StudyConfig:
    """The study of a document without a base, with its named arms if they are known."""
    try:
        return resolve(StudyFile.model_validate(document), arms)
    except ValidationError as error:
        raise StudyFileError(one_line(_describe(error, document))) from None
    except UsageError as error:
        raise StudyFileError(one_line(error)) from None


def resolve_stored(document: Mapping[str, Any]) -> StudyConfig:
    """The study that a document of `format_study` describes, whatever became of the user's code.

    Raises:
        StudyFileError: The document is wrong.
    """
    with without_sources():
        return resolve_study(document)


def format_study(config: StudyConfig) -> str:
    """The study as a TOML file that loads back to the same `StudyConfig`."""
    arms = {ARMS: arm_tables(config)} if config.arms else {}
    return tomli_w.dumps(study_document(config) | arms)


def read_toml(path: Path) -> dict[str, Any]:
    """The document of a TOML file that is no larger and no deeper than a study needs.

    Raises:
        StudyFileError: There is no such file, or it cannot be parsed.
    """
    if path.is_dir():
        raise StudyFileError("is a folder; give a TOML study file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise StudyFileError("no such file; `study init` writes one to start from") from None
    except OSError as error:
        raise StudyFileError(f"cannot be read ({error.strerror})") from None
    if len(content) > MAX_FILE_BYTES:
        raise StudyFileError(f"is larger than {MAX_FILE_BYTES:,} bytes; a study file is a few kB")
    if not content.strip():
        raise StudyFileError("is empty; `study init` writes a study file to start from")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyFileError(f"is not UTF-8 text (byte {error.start})") from None
    if LONG_KEY.search(text):
        raise StudyFileError(f"has a key of {MAX_KEY_PARTS} or more parts with dots between them")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may have too many digits
        raise StudyFileError(f"is not valid TOML: {error}{_quote_line(text, error)}") from None
    _check_extent(document)
    return document


def _check_extent(document: dict[str, Any]) -> None:
    """Refuse what no study needs and what later code could not print or walk through.

    Raises:
        StudyFileError: A table is nested too deeply, or an integer has more than 64 bits.
    """
    left: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while left:
        place, value = left.pop()
        key = ".".join(place)[:MAX_QUOTED]
        if len(place) > MAX_DEPTH:
            raise StudyFileError(f"{key}: tables are nested more than {MAX_DEPTH} deep")
        if isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
            raise StudyFileError(f"{key}: an integer of {value.bit_length()} bits; allowed are 64")
        if isinstance(value, dict):
            left += [((*place, str(name)), one) for name, one in value.items()]
        elif isinstance(value, list):
            left += [((*place, str(number)), one) for number, one in enumerate(value)]


def _quote_line(text: str, error: Exception) -> str:
    """`: learning_rate = NaN`, the line in which the error is."""
    found = re.search(r"at line (\d+)", str(error))
    lines = text.splitlines()
    if found is None or int(found[1]) > len(lines):
        return ""
    return f": {lines[int(found[1]) - 1].strip()[:MAX_QUOTED]}"


def _describe(error: ValidationError, document: Mapping[str, Any]) -> str:
    """The most useful problem as one line: key, value, what is allowed."""
    problem = min(error.errors(), key=lambda item: (_rank(item["type"]), -len(item["loc"])))
    place = _place(document, problem["loc"])
    key = ".".join(map(str, place))
    if problem["type"] == "extra_forbidden":
        return f"{key}: {describe_unknown('key', place[-1], _known_keys(place[:-1]))}"
    if problem["type"] == "missing":
        return f"{'.'.join(map(str, problem['loc']))}: is missing"
    shown = json.dumps(problem["input"], default=str)[:80]
    message = problem["msg"].removeprefix("Value error, ")
    hint = _how_to_write(problem["input"], problem["type"], has_range=_takes_range(place))
    return f"{key} = {shown}: {message[:1].lower()}{message[1:]}{hint}"


def _how_to_write(value: Any, problem: str, *, has_range: bool) -> str:
    """How a list where a range belongs is written, or a single value where a list belongs."""
    if has_range and isinstance(value, list) and len(value) > 1:
        numbers = all(isinstance(one, (int, float)) for one in value)
        low, high = (min(value), max(value)) if numbers else ("1e-4", "1e-1")
        choices = json.dumps(value, default=str)[:80]
        return f"; a range is {{ low = {low}, high = {high} }}, a choice {{ choices = {choices} }}"
    if problem == "list_type":
        return f"; write [{json.dumps(value, default=str)[:80]}]"
    return ""


def _takes_range(place: list[int | str]) -> bool:
    """Whether the value of a key may be a range."""
    section = str(place[0]) if place else ""
    field = TrainingSection.model_fields.get(str(place[-1])) if section == "training" else None
    return section in ("model", "space") or "RangeTable" in str(field and field.annotation)


def _rank(kind: str) -> int:
    """Unknown keys come first, because a misspelt key also makes the right one look missing.

    Then NaN and infinity, which also fail the checks for whole numbers and ranges. The rest follows
    from the deepest key on: a wrong value in a table also makes the table look wrong.
    """
    return {"extra_forbidden": 0, "finite_number": 1}.get(kind, 2)


def _place(document: Any, location: tuple[int | str, ...]) -> list[int | str]:
    """The keys in pydantic's location, without the names of the types that it tried."""
    place: list[int | str] = []
    for step in location:
        is_key = isinstance(document, Mapping) and step in document
        is_index = isinstance(document, list) and isinstance(step, int) and step < len(document)
        if is_key or is_index:
            place.append(step)
            document = document[step]
    return place


def _known_keys(place: list[int | str]) -> list[str]:
    known: Any = StudyFile
    for part in place:
        field = getattr(known, "model_fields", {}).get(part)
        known = RangeTable if field is None else field.annotation
    if place[:1] == ["metrics"]:
        known = MetricTable
    return list(getattr(known, "model_fields", RangeTable.model_fields))


def describe_settings(config: StudyConfig) -> Iterator[tuple[str, str]]:
    """Every setting as (dotted key, value as JSON), for fingerprints and differences."""
    if config.arms:  # an arm may have no setting of its own
        yield ARMS, json.dumps([*config.arms])
    yield from _flatten("", tomllib.loads(format_study(config)))


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    is_range = isinstance(value, dict) and prefix != ARMS and {"low", "choices"} & value.keys()
    if isinstance(value, dict) and not is_range:
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else key, item)
    else:
        yield prefix, json.dumps(value, sort_keys=True)
