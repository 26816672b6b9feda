"""Reads the rows of a CSV file as a frame of pandas.

pandas parses the file and infers the types of its columns. The checks here find what pandas accepts
without complaint but a user did not mean.
"""

import codecs
import csv
import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.data.readers import decode_text, read_bounded
from bakeoff.data.table_columns import DECIMAL_COMMA, MOST
from bakeoff.errors import DataError, one_line

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = (",", ";", "\t", "|")
MISSING = ("", "nan", "NaN")
"""Cells without a value: empty, or as NumPy and pandas write them. "NA" and "None" are words in
many tables."""
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
QUOTED = re.compile(r'"(?:[^"]|"")*"')
EXCEL_SEPARATOR = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HEAD_BYTES = 1 << 20
"""The header ends within so many bytes."""
YEARS = range(1900, 2101)
FIRST_ROWS = 200
"""Rows whose text is looked at for what numbers lose."""


def read_frame(path: Path) -> tuple["pd.DataFrame", list[str]]:
    """The table as pandas reads it, with its columns by name, and what pandas guesses."""
    content, given = _skip_to_header(_as_utf8(read_bounded(path), path), path)
    names, separator = _read_header(content, path, given)
    frame = _read_rows(content, path, names, separator)
    texts = _parse(content, path, names, separator, decimal=".", dtype=str, nrows=FIRST_ROWS)
    codes = [
        name
        for name in names
        if frame[name].dtype.kind in "iu" and texts[name].str.fullmatch(r"\s*0\d+\s*").any()
    ]
    if not codes:
        return frame, []
    zeros = "are taken as numbers without their leading zeros"
    return frame, [f"codes such as those in column {name!r} {zeros}" for name in codes]


def _as_utf8(content: bytes, path: Path) -> bytes:
    """The content in UTF-8 with line feeds, if it says by a mark that it is UTF-16.

    Raises:
        DataError: It is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = decode_text(content, path).encode()
    elif b"\0" in content[:HEAD_BYTES]:
        raise DataError(
            f"{path}: holds zero bytes, as binary files and UTF-16 text without a mark do; save it"
            " as UTF-8"
        )
    return content if b"\n" in content else content.replace(b"\r", b"\n")


def _skip_to_header(content: bytes, path: Path) -> tuple[bytes, str | None]:
    """Return the content from the header on, and the separator if Excel's `sep=` line gives it."""
    content, separator = content.removeprefix(BYTE_ORDER_MARK), None
    while content:
        line, _, rest = content.partition(b"\n")
        excel = EXCEL_SEPARATOR.fullmatch(line.strip(b"\r"))
        if excel is not None:
            separator = excel[1].decode("latin-1")
        elif line.strip():
            return content, separator
        content = rest
    raise DataError(f"{path}: is empty")


def _read_header(content: bytes, path: Path, separator: str | None) -> tuple[list[str], str]:
    """Return the names of the columns and the separator."""
    head = content if len(content) <= HEAD_BYTES else content[: content.rfind(b"\n", 0, HEAD_BYTES)]
    text = head.decode("utf-8", errors="surrogateescape").replace("\r\n", "\n")
    bare = QUOTED.sub("", text).partition("\n")[0]
    separator = separator or max(SEPARATORS, key=bare.count)
    try:
        row = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    except csv.Error as error:
        raise DataError(f"{path}: header cannot be read ({error})") from None
    if any("\udc80" <= char <= "\udcff" for name in row for char in name):
        decode_text(content.partition(b"\n")[0], path)  # names the byte
        raise DataError(f"{path}: the header is not UTF-8 text")
    names = [" ".join(name.split()) for name in row]
    if len(names) < 2:  # noqa: PLR2004 - said in the message
        raise DataError(
            f"{path}: has one column; allowed are two or more: features and a target, separated by"
            " a comma, semicolon, tab or bar (|) in the first line, which names them"
        )
    _check_is_header(names, path)
    if not all(names[1:]):  # the first one may number the rows, as pandas writes it
        raise DataError(f"{path}: column {names.index('', 1) + 1} of the header has no name")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: the header names {twice!r} twice")
    return names, separator


def _check_is_header(names: list[str], path: Path) -> None:
    """Refuse a first line that holds numbers, unless they count something: 0, 1, 2 or 2019."""
    found = [name for name in names if NUMBER.fullmatch(name)]
    if not found:
        return
    steps = np.diff([float(name) for name in found])
    is_row_of_names = len(found) > 2 and np.allclose(steps, steps[0]) and steps[0] > 0  # noqa: PLR2004
    is_count = all(name.isdecimal() and int(name) in (0, 1, 2, *YEARS) for name in found)
    if not is_row_of_names and not is_count:
        raise DataError(
            f"{path}: the first line holds {found[0]!r}, a number, so it seems to be a row and no"
            " header; add a first line that names the columns"
        )


def _read_rows(content: bytes, path: Path, names: list[str], separator: str) -> "pd.DataFrame":
    frame = _parse(content, path, names, separator, decimal=".")
    if separator != "," and any(_has_decimal_commas(frame[name]) for name in names):
        frame = _parse(content, path, names, separator, decimal=",")
    if frame.empty:
        raise DataError(f"{path}: has a header and no rows")
    missing = frame.isna().to_numpy()
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise DataError(
            f"{path}: column {names[column]!r} has no value in row {row + 1} "
            f"({int(missing.sum())} cells are empty in all); fill or drop them"
        )
    return frame


def _parse(
    content: bytes, path: Path, names: list[str], separator: str, decimal: str, **options: Any
) -> "pd.DataFrame":
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                io.BytesIO(content),
                sep=separator,
                decimal=decimal,
                header=0,
                names=names,
                index_col=False,
                keep_default_na=False,
                na_values=MISSING,
                low_memory=False,
                encoding="utf-8-sig",
                **options,
            )
            return frame
    except pd.errors.ParserWarning:
        raise DataError(f"{path}: rows have more cells than the header ({len(names)})") from None
    except (ValueError, OSError) as error:  # ParserError and UnicodeDecodeError are ValueErrors
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from None


def _has_decimal_commas(column: "pd.Series[Any]") -> bool:
    """Whether most cells are numbers, some of them with a decimal comma."""
    if column.dtype.kind in "biuf":
        return False
    texts = column.astype(str).str.strip()
    with_comma = texts.str.fullmatch(DECIMAL_COMMA)
    return bool(with_comma.any() and (with_comma | texts.str.fullmatch(r"[+-]?\d+")).mean() > MOST)
