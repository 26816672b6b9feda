"""Tables whose columns make their own cells; HTML, Markdown and CSV are written from one table."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property, partial
from operator import attrgetter
from typing import Any

from bakeoff.report.figures.style import printable
from bakeoff.report.numbers import (
    MISSING,
    duration_text,
    interval_text,
    number_text,
    p_text,
    share_text,
)

CellValue = str | float | int | bool | None
Getter = str | Callable[[Any], Any]
"""How a value is read from the record of a row: by attributes such as `share.ci`, or a function."""

FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes text that starts with one of these, or its wide form, for a formula.

Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection
"""


@dataclass(frozen=True)
class Cell:
    """A value in full precision and its text for people."""

    value: CellValue
    text: str


@dataclass(frozen=True)
class Column:
    """One column of a table, which makes its cell from the record of a row."""

    key: str
    """Name in the CSV."""
    heading: str = ""
    """What people see above it; empty if the column is only in the CSV."""
    value: Getter = ""
    """Empty reads the attribute called `key`."""
    _: KW_ONLY
    show: Callable[[Any], str] = number_text
    """Writes the value for people."""
    label: Callable[[Any], str] | None = None
    """Writes the record for people, where the value alone is not enough."""
    part: Getter | None = None
    """The part of a record that the column is about; the cell is empty where the part is None."""
    numeric: bool = True
    stored: bool = True
    """Whether the column is in the CSV."""

    def cell(self, record: Any) -> Cell:
        """The cell of the row that shows `record`."""
        found = record if self.part is None else read(self.part, record)
        if found is None:
            return Cell(None, MISSING)
        value = read(self.value or self.key, found) if self.stored else None
        if self.label is not None:
            return Cell(value, self.label(found))
        return Cell(value, self.show(value) if self.heading else MISSING)


# Kinds of columns. A plain `Column` shows a measured number with four significant digits.
text = partial(Column, show=lambda found: found or MISSING, numeric=False)
count = partial(Column, show=lambda found: MISSING if found is None else str(found))
share = partial(Column, show=share_text)
p_value = partial(Column, show=p_text)
duration = partial(Column, show=duration_text)


def yes_or_no(found: bool) -> str:
    """How people see a truth value."""
    return "yes" if found else "no"


def interval(
    key: str,
    heading: str,
    value: Getter = "",
    *,
    half_width: float | None = None,
    label: Callable[[Any], str] | None = None,
) -> tuple[Column, ...]:
    """Three columns: both ends of an interval in the CSV, and one text for people."""

    def end(place: int) -> Callable[[Any], float]:
        return lambda one: float(read(value or key, one)[place])

    text = label or (lambda one: interval_text(read(value or key, one), half_width))
    return (
        Column(f"{key}_low", value=end(0)),
        Column(f"{key}_high", value=end(1)),
        Column(key, heading, label=text, stored=False),
    )


def of_part(part: Getter, *columns: Column) -> tuple[Column, ...]:
    """Columns that are about a part of each record."""
    return tuple(replace(column, part=part) for column in columns)


def read(value: Getter, record: Any) -> Any:
    """The value that `value` reads from `record`."""
    return attrgetter(value)(record) if isinstance(value, str) else value(record)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with one row for each record and one cell for each column."""

    id: str
    slug: str = ""
    title: str
    columns: tuple[Column, ...]
    records: tuple[Any, ...]
    note: str = ""

    @property
    def file_name(self) -> str:
        """Name of the table's CSV file."""
        return "-".join(filter(None, (self.id, self.slug))) + ".csv"

    @cached_property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells, row by row."""
        return tuple(tuple(column.cell(one) for column in self.columns) for one in self.records)

    def shown(self, *keys: str) -> "Table":
        """The table with only the columns that have a heading, or only those named.

        Where no column is named and the table has rows, columns without any value are left out.
        """
        kept = (one for one in self.columns if (one.key in keys if keys else self._is_shown(one)))
        return replace(self, columns=tuple(kept))

    def _is_shown(self, column: Column) -> bool:
        has_value = any(column.cell(one).text != MISSING for one in self.records)
        return bool(column.heading) and (has_value or not self.records)

    def where(self, key: str, value: CellValue) -> "Table":
        """The table with only the rows that have `value` in column `key`."""
        column = next(column for column in self.columns if column.key == key)
        return replace(
            self, records=tuple(one for one in self.records if column.cell(one).value == value)
        )

    def stored(self) -> tuple[list[str], list[list[CellValue]]]:
        """The names of the stored columns, and their values in full precision, row by row."""
        kept = [column for column in self.columns if column.stored]
        rows = [[column.cell(one).value for column in kept] for one in self.records]
        return [column.key for column in kept], rows

    def csv(self) -> str:
        """The stored columns in full precision; see `csv_text`."""
        return csv_text(*self.stored())


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
    # a numpy number is written like a Python number
    return repr(value.item() if hasattr(value, "item") else value)
