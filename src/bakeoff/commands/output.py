"""Prints tables, sentences and JSON on stdout."""

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from bakeoff import terminal
from bakeoff.errors import visible
from bakeoff.records import TrialRecord, json_text

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table

MAX_WIDTH = 1000
PIPE_WIDTH = 200
"""Columns if stdout is not a terminal; wide enough that the lines of a table are not broken."""
LONGEST_WORD = 16
"""Characters; a table breaks words up to this length only if it cannot fit otherwise."""
PLAIN_FROM, PLAIN_BELOW = 1e4, 1e9
"""Numbers of this size are written out, because four digits alone would need an exponent."""


def print_json(value: Any) -> None:
    """Print one JSON document; dataclasses become dictionaries."""
    print(json_text(value).replace("\x7f", "\\u007f"), end="")  # the only one that JSON keeps


def print_text(text: str, indent: str = "") -> None:
    """Print a sentence: broken between words on a terminal, on one line in a pipe.

    Args:
        text: The sentence on one line.
        indent: Text before every line after the first.
    """
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(
            text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    print(text)


def print_rows(
    rows: Sequence[Mapping[str, object]], title: str = "", *, as_json: bool = False
) -> None:
    """Print rows that all have the same keys, as a table with the keys as headings or as JSON."""
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows], title)
    else:
        print("none")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table without frames, with numbers on the right; headings may all be empty."""
    if title:
        print(title)
    if sys.stdout is None:  # closed by the parent process
        return
    from rich.console import Console  # takes longer to import than most verbs take to run
    from rich.measure import Measurement

    table = _table(headings, rows)
    if not sys.stdout.isatty():
        file = StringIO()
        Console(width=PIPE_WIDTH, file=file).print(table)
        for line in file.getvalue().splitlines():
            print(line.rstrip())
        return
    console = terminal.console()
    needed = Measurement.get(console, console.options.update(width=MAX_WIDTH), table).minimum
    console.print(table, width=max(console.width, needed), crop=False)


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(headings))
    for column, heading in enumerate(headings):
        cells = [row[column] for row in rows]
        is_number = bool(rows) and all(map(_is_number, cells))
        justify: JustifyMethod = "right" if is_number else "left"
        least = _longest_word([heading, *map(_show, cells)])
        table.add_column(heading, justify=justify, overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*(Text(_show(cell)) for cell in row))
    return table


def _longest_word(texts: Sequence[str]) -> int:
    return min(LONGEST_WORD, max((len(w) for text in texts for w in text.split()), default=0))


def run_name(run: TrialRecord) -> str:
    """`search-12`, `shortlist-3` or `confirm-3`, as in the progress of a running study."""
    return f"{run.purpose}-{run.number}"


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, (int, float)) and not isinstance(cell, bool))


def _show(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.0f}" if PLAIN_FROM <= abs(cell) < PLAIN_BELOW else f"{cell:.4g}"
    return visible(cell)
