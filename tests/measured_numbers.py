"""The measured numbers of a document, and the published files that must contain them.

A block of prose that links to files of `results/published` speaks of what they hold, so each of its
numbers must be in one of them. A block of output shows what the paragraph before it links to. A
number anywhere else must not be a measurement: it has neither decimals nor a unit, or it is the
version of a program. Code that a user types (a block with a language, or of commands) and code in a
line hold settings, not results.

A number is found if a file has it with the same digits. A CSV file has more digits than a document,
so there a value is also found that rounds to the number.
"""

import csv
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)*(?:e[-+]?\d+)?(?![\w,]\d|\w)")
UNIT = re.compile(r" ?(?:%|(?:times|ms|s|seconds?|minutes?|hours?|[kKMGT]i?B|bytes)\b)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
INLINE_CODE = re.compile(r"`[^`]*`")
FENCE = re.compile(r"```(?P<language>\w*)\n(?P<code>.*?)```", re.DOTALL)
COMMAND = re.compile(r"^(?:study|python3?|pip) ", re.MULTILINE)
PUBLISHED = "results/published/"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A paragraph, list, table or block of code.

    Attributes:
        text: What a reader sees, without code in the line and targets of links.
        sources: The published files that it speaks of, relative to the document.
    """

    text: str
    sources: tuple[str, ...]

    def numbers(self) -> list[str]:
        """Its numbers as they are written."""
        return NUMBER.findall(self.text)

    def measurements(self, programs: set[str]) -> list[str]:
        """Its numbers that have decimals or a unit, but for versions of programs."""
        found = []
        for number in NUMBER.finditer(self.text):
            before = self.text[: number.start()].split()
            is_version = bool(before) and before[-1].lower() in programs
            has_unit = UNIT.match(self.text, number.end()) is not None
            if ("." in number[0] or has_unit) and not is_version:
                found.append(number[0])
        return found


def read_blocks(document: str) -> Iterator[Block]:
    """The blocks of a document in order; settings and commands are left out."""
    sources: tuple[str, ...] = ()
    for part in _split(document):
        fence = FENCE.fullmatch(part)
        if fence is None:
            links = LINK.findall(part)
            sources = tuple(dict.fromkeys(link for link in links if link.startswith(PUBLISHED)))
            yield Block(text=INLINE_CODE.sub("", LINK.sub("]", part)), sources=sources)
        elif not fence["language"] and not COMMAND.search(fence["code"]):
            yield Block(text=fence["code"], sources=sources)


def _split(document: str) -> Iterator[str]:
    position = 0
    for fence in FENCE.finditer(document):
        yield from re.split(r"\n\s*\n", document[position : fence.start()].strip())
        yield fence[0]
        position = fence.end()
    yield from re.split(r"\n\s*\n", document[position:].strip())


def is_found(number: str, files: list[Path]) -> bool:
    """Tell whether one of the files has a number."""
    return any(_has(number, file) for file in files)


def _has(number: str, file: Path) -> bool:
    plain, text = number.replace(",", ""), file.read_text(encoding="utf-8")
    cells = chain.from_iterable(csv.reader(text.splitlines())) if file.suffix == ".csv" else [text]
    known = {one.replace(",", "") for cell in cells for one in NUMBER.findall(cell)}
    if plain in known:
        return True
    if file.suffix != ".csv" or not re.fullmatch(r"\d+\.\d+", plain):
        return False
    decimals = len(plain.partition(".")[2])
    values = (float(one) for one in known if re.fullmatch(r"\d+\.\d+", one))
    return any(f"{value:.{decimals}f}" == plain for value in values)


def known_programs(pyproject: Path) -> set[str]:
    """Names in front of a version: Python, this program and what it depends on."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    names = (re.match(r"[\w-]+", one) for one in project["dependencies"])
    return {"python", project["name"], *(name[0].lower() for name in names if name)}
