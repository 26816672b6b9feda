"""A table: one object that feeds HTML, Markdown and CSV, so that they cannot disagree."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bakeoff.report.figures.style import printable
from bakeoff.report.numbers import MISSING, duration_text, number_text

CellValue = str | float | int | bool | None

FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes text that starts with one of these, or its wide form, for a formula.

Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. CSV has those that are `stored`, people see those that are `shown`."""

    key: str
    heading: str
    numeric: bool = False
    shown: bool = True
    stored: bool = True


@dataclass(frozen=True)
class Cell:
    """A value in full precision and its text for people."""

    value: CellValue
    text: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells, one cell per column."""

    id: str
    slug: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @property
    def file_name(self) -> str:
        """Name of the table's CSV."""
        return "-".join(filter(None, (self.id, self.slug))) + ".csv"

    def shown(self, *keys: str) -> "Table":
        """The table with only the columns people see, or only those named.

        Of a table with rows, columns without a single value are left out unless they are named.
        """
        kept = [
            index
            for index, column in enumerate(self.columns)
            if (column.key in keys if keys else column.shown and self._has_values(index))
        ]
        return replace(
            self,
            columns=tuple(self.columns[index] for index in kept),
            rows=tuple(tuple(row[index] for index in kept) for row in self.rows),
        )

    def _has_values(self, index: int) -> bool:
        return not self.rows or any(row[index].text != MISSING for row in self.rows)

    def where(self, key: str, value: CellValue) -> "Table":
        """The table with only the rows that have `value` in column `key`."""
        index = [column.key for column in self.columns].index(key)
        return replace(self, rows=tuple(row for row in self.rows if row[index].value == value))

    def csv(self) -> str:
        """The stored columns in full precision; see `csv_text`."""
        kept = [index for index, column in enumerate(self.columns) if column.stored]
        header = [self.columns[index].key for index in kept]
        return csv_text(header, ([row[index].value for index in kept] for row in self.rows))


def text_cell(text: str | None) -> Cell:
    """Text as it is; missing or empty text is a dash for people."""
    return Cell(text, text or MISSING)


def count_cell(count: int | None) -> Cell:
    """A whole number."""
    return Cell(count, MISSING if count is None else str(count))


def number_cell(value: float | None, half_width: float | None = None) -> Cell:
    """A measured number, rounded for people by the half-width of an interval."""
    return Cell(value, number_text(value, half_width))


def duration_cell(seconds: float | None) -> Cell:
    """A time in seconds."""
    return Cell(seconds, duration_text(seconds))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[CellValue]]) -> str:
    """A CSV file: missing and NaN are empty, unbounded is `inf`, text cannot be a formula."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_csv_field(name) for name in header])
    writer.writerows([_csv_field(value) for value in row] for row in rows)
    return file.getvalue()


def _csv_field(value: CellValue) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = printable(value)
        return "'" + text if text.lstrip().startswith(FORMULA_STARTS) else text
    # numpy numbers are printed as Python's are
    return repr(value.item() if hasattr(value, "item") else value)
