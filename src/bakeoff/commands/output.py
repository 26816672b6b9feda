"""Tables and JSON on stdout."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200
"""Columns where stdout is no terminal: wide enough that a table keeps its lines whole."""

PLAIN_FROM, PLAIN_BELOW = 1e4, 1e9
"""Numbers of this size are written out: four digits alone would bring an exponent."""


def print_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table without frames; numbers stand right, names as they are; headings may all be empty."""
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(headings))
    if title:
        print(title)
    for column, heading in enumerate(headings):
        is_number = bool(rows) and all(_is_number(row[column]) for row in rows)
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_show(cell)) for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width).print(table)


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
