"""The study file of a stored study, as it is or with wider ranges."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.widening import widen as widen_range
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import UsageError
from bakeoff.ranges import FloatRange, IntRange, ParamValue, Range, describe_range
from bakeoff.records import BoundaryMark, Comparison, StudyConfig
from bakeoff.studyfile import format_study, resolve_stored

SUFFIX = "-wide"
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that TOML has without quotes."""
MAX_NAME = 100
"""Characters in the name of a study."""
HEADER = """\
#:schema ./study.schema.json
# {what}
# Every default is written out. `study init --from {source}{option}` wrote this file.
"""


def stored_study_file(
    source: str, *, widen: bool, output: Path, storage: str | None
) -> tuple[str, str, list[str]]:
    """Name and text of a study file made from a stored study, and what is changed in it.

    With `widen` the study has a new name and wider ranges, and everything else, seeds too, as the
    stored one. So every arm is searched anew on the same data.

    Raises:
        UsageError: There is no such study, or there is no range to widen, or the study names its
            arms and is to be widened.
        StorageError: The storage cannot be read.
    """
    stored = open_storage(storage, output)
    config = stored.load_config(source)
    if not widen:
        header = HEADER.format(
            what=f"The study {source} as it is stored.", source=source, option=""
        )
        return source, header + format_study(config), []
    if config.arms:
        raise UsageError(
            f"--widen: the arms of {source} have spaces of their own; widen the ranges under"
            " [arms] by hand in the file that `study init --from` writes"
        )
    comparison = compare(stored.load_record(source))
    name = _free_name(source, (*stored.names(), *stored.foreign_names()))
    wider, changes = _widened(config, comparison)
    if not changes:
        raise UsageError(
            f"--widen: no chosen value of {source} lies at the edge of its range (flag W10), so"
            " there is nothing to widen"
        )
    new = replace(config, name=name, space=wider)
    listed = [f'study.name: "{source}" -> "{name}"', *changes.values()]
    header = HEADER.format(
        what=f"The study {source} again, with every arm searched anew in wider ranges.",
        source=source,
        option=" --widen",
    )
    header += "\n".join(["# Changed:", *(f"#   {line}" for line in listed), ""])
    text = header + _commented(format_study(new), changes)
    if format_study(resolve_stored(tomllib.loads(text))) != format_study(new):
        raise AssertionError(f"the study file does not describe {name}")
    return name, text, listed


def _widened(
    config: StudyConfig, comparison: Comparison
) -> tuple[dict[str, Range | ParamValue], dict[str, str]]:
    """The space with wider ranges, and by parameter how each changed and why."""
    space, reasons = dict(config.space), dict[str, list[str]]()
    for arm, mark in _flagged(comparison):
        setting = space.get(mark.parameter)
        if not isinstance(setting, FloatRange | IntRange) or mark.wider_bound is None:
            continue
        space[mark.parameter] = widen_range(setting, mark.side, mark.wider_bound)
        end = "lowest" if mark.side == "low" else "highest"
        reasons.setdefault(mark.parameter, []).append(
            f"{arm} chose {mark.value:.4g}, near the {end}"
        )
    changes = {}
    for name, why in reasons.items():
        before, after = config.space[name], space[name]
        changes[name] = f"{name}: {_text(before)} -> {_text(after)} ({'; '.join(why)})"
    return space, changes


def _flagged(comparison: Comparison) -> Iterable[tuple[str, BoundaryMark]]:
    return (
        (arm.arm, mark) for arm in comparison.arms for mark in arm.boundaries if mark.raises_flag
    )


def _text(setting: object) -> str:
    return describe_range(setting) if isinstance(setting, FloatRange | IntRange) else str(setting)


def _commented(text: str, changes: Mapping[str, str]) -> str:
    """The file with a comment at the table of every range that changed."""
    lines = text.splitlines()
    for name, change in changes.items():
        owner, _, parameter = name.rpartition(".")
        # tomli_w quotes only keys that TOML cannot have bare
        key = owner if BARE_KEY.fullmatch(owner) else json.dumps(owner)
        headings = {f"[{key}.{parameter}]", f"[space.{key}.{parameter}]"}
        place = next((at for at, line in enumerate(lines) if line in headings), None)
        if place is not None:
            lines.insert(place + 1, f"# {change.partition(': ')[2]}")
    return "\n".join(lines) + "\n"


def _free_name(source: str, taken: Iterable[str]) -> str:
    """`digits-wide`, or `digits-wide-2`, ...: the first name that is free and allowed."""
    known, number = set(taken), 1
    while True:
        suffix = SUFFIX if number == 1 else f"{SUFFIX}-{number}"
        name = f"{source[: MAX_NAME - len(suffix)]}{suffix}"
        if name not in known:
            return name
        number += 1
