"""Tables, sentences and JSON on stdout."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from io import StringIO
from typing import Any, cast

from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bakeoff.records import TrialRecord, json_text

MAX_WIDTH = 1000
PIPE_WIDTH = 200
"""Columns where stdout is no terminal: wide enough that a table keeps its lines whole."""

LONGEST_WORD = 16
"""Characters of a word that a table breaks only where nothing else makes it fit."""

PLAIN_FROM, PLAIN_BELOW = 1e4, 1e9
"""Numbers of this size are written out: four digits alone would bring an exponent."""


def print_json(value: Any) -> None:
    """One JSON document; value types become dictionaries."""
    print(json_text(value), end="")


def print_text(text: str, indent: str = "") -> None:
    """A sentence: on a terminal broken between words, in a pipe one line.

    Args:
        text: On one line.
        indent: Before every line after the first.
    """
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(
            text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    print(text)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table without frames; numbers stand right, names as they are; headings may all be empty."""
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(headings))
    if title:
        print(title)
    for column, heading in enumerate(headings):
        cells = [row[column] for row in rows]
        is_number = bool(rows) and all(map(_is_number, cells))
        justify: JustifyMethod = "right" if is_number else "left"
        least = _longest_word([heading, *map(_show, cells)])
        table.add_column(heading, justify=justify, overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*(Text(_show(cell)) for cell in row))
    if sys.stdout is None:  # closed by whoever started us
        return
    if not sys.stdout.isatty():
        text = Console(width=PIPE_WIDTH, file=StringIO())
        text.print(table)
        for line in cast("StringIO", text.file).getvalue().splitlines():
            print(line.rstrip())
        return
    console = Console()
    needed = Measurement.get(console, console.options.update(width=MAX_WIDTH), table).minimum
    console.print(table, width=max(console.width, needed), crop=False)


def _longest_word(texts: Sequence[str]) -> int:
    return min(LONGEST_WORD, max((len(w) for text in texts for w in text.split()), default=0))


def run_name(run: TrialRecord) -> str:
    """`search-12`, `shortlist-3` or `confirm-3`, as in the progress of a running study."""
    return f"{run.purpose}-{run.number}"


def format_bytes(size: float) -> str:
    """`312 kB`, `1.2 MB`, `3.4 GB`: powers of a thousand."""
    power = min(4, max(0, (len(str(round(size))) - 1) // 3))
    scaled = size / 1000**power
    digits = 1 if power and scaled < 10 else 0  # noqa: PLR2004 - two digits say enough
    return f"{scaled:.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, (int, float)) and not isinstance(cell, bool))


def _show(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.0f}" if PLAIN_FROM <= abs(cell) < PLAIN_BELOW else f"{cell:.4g}"
    return str(cell)
