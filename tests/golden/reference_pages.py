"""The generated parts of the documentation: commands, keys of a study file, tables of components."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from bakeoff.commands.cli import load_verb, verb_files
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.own_calls import OWN_CALLS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.ranges import describe_range
from bakeoff.registry import REFERENCE
from bakeoff.studyfile import study_schema

FACTS = re.compile(r" {2}\[(.*)\]$")
"""What the help of an option says after its text: its environment variable, default and bounds."""

BOUNDS = (
    ("minimum", "from {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "up to {}"),
    ("exclusiveMaximum", "below {}"),
)
TABLES = {
    "RangeTable": "Ranges",
    "PrunerTable": "Pruners with settings",
    "MetricTable": "Metrics of your own",
}
"""Tables that several keys may hold, and the headings under which the page describes them."""


def verbs_table() -> str:
    """A row for each verb, in the order of `study --help`."""
    helps = {name: load_verb(name).help or "" for name in verb_files()}
    rows = [
        (f"[`study {name}`](#study-{name})", text.splitlines()[0]) for name, text in helps.items()
    ]
    return _table(("verb", "does"), rows)


def commands() -> str:
    """A section for each verb with its examples, arguments and options."""
    return "\n\n".join(_command(name) for name in verb_files())


def _command(name: str) -> str:
    verb = load_verb(name)
    parts = [part.replace("\n", " ") for part in (verb.help or "").split("\n\n")]
    examples = [part.removeprefix("Example: ") for part in parts if part.startswith("Example: ")]
    prose = [_escape(part) for part in parts if not part.startswith("Example: ")]
    sections = [f"## study {name}", *prose, "\n".join(["```", *examples, "```"])]
    context = typer.Context(verb, info_name=name)
    records = [one.get_help_record(context) for one in verb.params if one.name != "help"]
    rows = [_option(*record) for record in records if record is not None]
    if rows:
        sections.append(_table(("argument or option", "meaning"), rows))
    return "\n\n".join(sections)


def _option(names: str, text: str) -> tuple[str, str]:
    """The row of an argument or option; facts such as its default follow its meaning."""
    found = FACTS.search(text)
    facts = "" if found is None else found[1].replace("env var: ", "environment: ")
    meaning = _escape(FACTS.sub("", text))
    return f"`{_cell(names)}`", meaning + (f" *({_escape(facts)})*" if facts else "")


def keys() -> str:
    """A section for each section of a study file with a row for each of its keys."""
    schema = json.loads(study_schema())
    tables = schema["$defs"]
    parts = [
        "\n\n".join(
            [f"## [{name}]", _escape(one["description"]), *_keys_of(tables, one.get("$ref"))]
        )
        for name, one in schema["properties"].items()
    ]
    shared = [
        "\n\n".join([f"## {heading}", _escape(tables[name]["description"]), _rows(tables[name])])
        for name, heading in TABLES.items()
    ]
    return "\n\n".join([*parts, *shared])


def _keys_of(tables: Mapping[str, Any], reference: str | None) -> list[str]:
    return [] if reference is None else [_rows(tables[reference.rpartition("/")[2]])]


def _rows(section: Mapping[str, Any]) -> str:
    rows = [
        (f"`{key}`", _describe_type(one), _escape(one["description"]))
        for key, one in section["properties"].items()
    ]
    return _table(("key", "may be", "meaning"), rows)


def _describe_type(one: Mapping[str, Any]) -> str:
    """What the value of a key may be, from its part of the schema."""
    if "anyOf" in one:
        described = [_describe_type(part) for part in one["anyOf"] if part.get("type") != "null"]
        joined = " or ".join(dict.fromkeys(described))
        one_or_more = re.fullmatch(r"(.+) or a list of: \1", joined)
        return joined if one_or_more is None else f"{one_or_more[1]}; or a list of such values"
    if "$ref" in one:
        heading = TABLES[one["$ref"].rpartition("/")[2]]
        singular = {"Ranges": "a range"}.get(heading, "a table")
        return f"[{singular}](#{heading.lower().replace(' ', '-')})"
    if "const" in one:
        return f"`{json.dumps(one['const'])}`"
    if "enum" in one:
        return ", ".join(f"`{json.dumps(value)}`" for value in one["enum"])
    if one.get("type") == "array":
        return f"a list of: {_describe_type(one['items'])}" if one.get("items") else "a list"
    return _describe_plain(one)


def _describe_plain(one: Mapping[str, Any]) -> str:
    """A number with its bounds, a text, a truth value, or a table."""
    pattern = one.get("pattern", "").strip("^$")
    if pattern == REFERENCE.pattern:
        return "`package.module:name`"
    named = {
        "integer": "an integer", "number": "a number", "boolean": "`true` or `false`",
        "string": "a text", "object": "a table",
    }[one.get("type", "string")]  # fmt: skip
    bounds = [text.format(f"{one[key]:,}") for key, text in BOUNDS if key in one]
    return " ".join([named, *bounds])


def optimizers() -> str:
    """A row for each registered optimizer."""
    rows = [
        (
            f"`{spec.name}`",
            spec.description,
            spec.weight_decay,
            f"{spec.state_bytes:g}",
            describe_range(spec.parameters["learning_rate"].range),
            ", ".join(name for name, one in spec.parameters.items() if one.searched),
        )
        for spec in OPTIMIZERS
    ]
    heads = ("name", "what", "weight decay", "state", "learning rate searched in", "searched")
    return _table(heads, rows)


def schedulers() -> str:
    """A row for each registered schedule."""
    rows = [
        (
            f"`{spec.name}`",
            spec.description,
            ", ".join(name for name, one in spec.parameters.items() if one.searched),
        )
        for spec in SCHEDULERS
    ]
    return _table(("name", "what", "searched"), rows)


def own_calls() -> str:
    """A row for each key that may name a part of the user's own."""
    rows = [(f"`{one.key}`", one.accepts, one.called_with, one.gives) for one in OWN_CALLS]
    return _table(("key", "may be", "is called with", "must give"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])


def _escape(text: str) -> str:
    """Text as Markdown shows it: nothing but what is between backquotes is markup."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = [re.sub(r"([\[\]<>*_])", r"\\\1", part) for part in parts[::2]]
    return _cell("".join(a + b for a, b in zip(plain, [*parts[1::2], ""], strict=True)))


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
