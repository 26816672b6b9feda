"""Reads tables in CSV files: a row is a sample, one column is the target, the others are features.

pandas parses the file and infers the types of its columns. The checks here find what pandas accepts
without complaint but a user did not mean.
"""

import csv
import hashlib
import io
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import load_cached
from bakeoff.data.arrays import Arrays, check_arrays, loses_digits
from bakeoff.data.inputs import Feature
from bakeoff.data.readers import decode_text, read_bounded
from bakeoff.errors import DataError, describe_unknown, one_line
from bakeoff.records import Task

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = (",", ";", "\t", "|")
MISSING = ("", "nan", "NaN")
"""Cells without a value: empty, or as NumPy and pandas write them. "NA" and "None" are words in
many tables."""
MISSING_WORDS = frozenset(
    {"na", "n/a", "#n/a", "null", "none", "nil", "?", "-", "missing", "unknown"}
)
"""Words, in small letters, that often stand for a missing value."""
MAX_LEVELS = 20
"""Greatest number of different texts in a column; each becomes a feature of its own."""
MAX_CLASSES = 1000
"""Greatest number of different values in a target of classes."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:[, ']\d{3})+(?:\.\d+)?|(?:[. ']\d{3})+,\d+)")
"""Digits in groups of three, as in 1,234.5 and 1.234,5."""
WITH_UNIT = re.compile(
    r"(?:[$\u20ac\u00a3\u00a5]\s*[+-]?\d[\d.,'\s]*|[+-]?\d[\d.,'\s]*[%$\u20ac\u00a3\u00a5]"
    r"|[+-]?\d{1,3}(?:\s\d{3})+(?:[.,]\d+)?)"
)
"""Amounts and percentages, as in $1.50 and 45 %, and digits grouped by any kind of space."""
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
QUOTED = re.compile(r'"(?:[^"]|"")*"')
EXCEL_SEPARATOR = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HEAD_BYTES = 1 << 20
"""The header ends within so many bytes."""
YEARS = range(1900, 2101)
MOST = 0.5
"""A column is meant to hold numbers if more than this share of its cells look like numbers."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The content of a CSV file."""

    features: NDArray[np.float32]
    """[N, F]"""
    labels: NDArray[Any]
    """[N], class numbers (int64) or targets (float64)."""
    columns: tuple[Feature, ...]
    """The features by name; a text column gives one for each of its values."""
    class_names: tuple[str, ...]
    """Sorted; empty in regression."""
    notes: tuple[str, ...] = ()
    """What was changed or guessed."""


def load_csv(path: Path, target: str | None, task: Task) -> tuple[Arrays, str]:
    """Return the table at `path` as a data set, mapped into memory, and its fingerprint.

    A fifth of the rows is reserved for testing.

    Raises:
        DataError: As `read_csv`, or the table is too small.
    """

    def decode() -> Arrays:
        table = read_csv(path, target, task)
        raw = {"x": table.features, "y": table.labels}
        arrays = check_arrays(raw, str(path), task, table.class_names)
        return replace(arrays, features=table.columns, notes=table.notes)

    column = hashlib.sha256(repr(target).encode()).hexdigest()[:8]
    return load_cached(f"csv-{task}-{column}", (path,), decode)


def read_csv(path: Path, target: str | None, task: Task) -> Table:
    """Read the table in the CSV file at `path`, which may be gzipped.

    The first line names the columns; blank lines and Excel's `sep=;` before it are skipped. The
    separator is the comma, semicolon, tab or bar that is most frequent in that line. Columns of
    numbers are features as they are, less their mean where float32 would lose their digits. They
    may have decimal commas if the separator is not a comma. A column of text with at most 20
    different values gives a feature 0 or 1 for each of them. No value may be missing.

    Args:
        path: The file.
        target: Name of the column to predict; None takes the last one.
        task: `regression` takes the target as a number, anything else as a class.

    Raises:
        DataError: The file is missing or damaged, or a column cannot be used; the message names
            column and row, where the first row after the header is row 1.
    """
    content, given = _skip_to_header(read_bounded(path), path)
    names, separator = _read_header(content, path, given)
    if target is not None and target not in names:
        problem = describe_unknown("column", target, names)
        raise DataError(f"{path}: data.target: {problem}")
    frame = _read_rows(content, path, names, separator)
    target = names[-1] if target is None else target
    features: list[tuple[Feature, NDArray[np.float32]]] = []
    for name in names:
        if name != target:
            features += _features(frame[name], f"{path}: column {name!r}", name)
    where = f"{path}: target {target!r}"
    notes = [_offset_note(feature) for feature, _ in features if feature.offset]
    notes += [
        f"{feature.value!r} in column {feature.column!r} is taken as a value like any other"
        for feature, _ in features
        if (feature.value or "").strip().lower() in MISSING_WORDS
    ]
    labels: NDArray[Any]
    class_names: tuple[str, ...] = ()
    if task == "regression":
        labels = _wide_numbers(frame[target], where)
    else:
        labels, class_names = _classes(frame[target], where)
        notes += [
            f"{name!r} in the target {target!r} is taken as a class like any other"
            for name in class_names
            if name.strip().lower() in MISSING_WORDS
        ]
    return Table(
        notes=tuple(notes),
        features=np.column_stack([values for _, values in features]),
        labels=labels,
        columns=tuple(feature for feature, _ in features),
        class_names=class_names,
    )


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
    if not all(names):
        raise DataError(f"{path}: column {names.index('') + 1} of the header has no name")
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


def _offset_note(feature: Feature) -> str:
    return (
        f"{feature.offset:.12g} is subtracted from column {feature.column!r}, of which float32"
        " would keep too few digits"
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
    content: bytes, path: Path, names: list[str], separator: str, decimal: str
) -> "pd.DataFrame":
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
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
            )
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


def _features(
    column: "pd.Series[Any]", where: str, name: str
) -> list[tuple[Feature, NDArray[np.float32]]]:
    """Return the column itself if it holds numbers, else a feature for each of its values."""
    if _is_numeric(column, where):
        values = _wide_numbers(column, where)
        narrow = values.astype(np.float32)
        if not loses_digits(values, narrow):
            return [(Feature(column=name), narrow)]
        offset = float(np.round(values.mean()))
        return [(Feature(column=name, offset=offset), (values - offset).astype(np.float32))]
    texts = column.astype(str)
    stripped = texts.str.strip()
    is_number = (
        stripped.str.fullmatch(DECIMAL_COMMA)
        | stripped.str.fullmatch(GROUPED)
        | stripped.str.fullmatch(WITH_UNIT)
    )
    if is_number.mean() > MOST:  # such numbers are not categories
        raise DataError(
            f"{where} holds {_first_cell(texts, is_number)}, which looks like a number;"
            " write numbers as 1234.5"
        )
    levels = sorted(texts.unique())
    if len(levels) > MAX_LEVELS:
        raise DataError(
            f"{where} holds text with {len(levels)} different values, for example {levels[0]!r}; "
            f"allowed are numbers, or at most {MAX_LEVELS} different values; drop it or encode it"
        )
    return [
        (Feature(column=name, value=level), (texts == level).to_numpy(np.float32))
        for level in levels
    ]


def _is_numeric(column: "pd.Series[Any]", where: str) -> bool:
    """Whether the column is meant to hold numbers: if most of its cells do, all must."""
    import pandas as pd

    if column.dtype.kind in "biuf":
        return True
    is_number = pd.to_numeric(column, errors="coerce").notna()
    if is_number.mean() <= MOST:
        return False
    if is_number.all():
        raise DataError(
            f"{where} holds {_first_cell(column, is_number)}, which cannot be kept as a number: it"
            " has too many digits, or a decimal point where other columns have commas"
        )
    raise DataError(f"{where} holds {_first_cell(column, ~is_number)}, else numbers")


def _are_numbers(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    return len(column) > 0 and bool(pd.to_numeric(column, errors="coerce").notna().all())


def _first_cell(column: "pd.Series[Any]", mask: "pd.Series[bool]") -> str:
    """Quote the first cell of the mask: `'2.5 cm' in row 2`."""
    row = int(np.argmax(mask.to_numpy()))
    return f"{str(column.iloc[row])!r} in row {row + 1}"


def _wide_numbers(column: "pd.Series[Any]", where: str) -> NDArray[np.float64]:
    """The numbers of a column, each of which has a place in float32, with all their digits."""
    if not _is_numeric(column, where):
        raise DataError(f"{where} holds {str(column.iloc[0])!r} in row 1; it must hold numbers")
    values = column.to_numpy(np.float64)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if not np.isfinite(narrow).all():
        row = int(np.argmin(np.isfinite(narrow)))
        raise DataError(f"{where} holds {values[row]:g} in row {row + 1}, too large for a float32")
    return values


def _classes(column: "pd.Series[Any]", where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return class numbers and names; numbers are sorted by size, texts by letter."""
    if column.dtype.kind == "f":
        if (column % 1 != 0).any():
            raise DataError(f'{where} holds fractions; [data] task = "regression" predicts numbers')
        column = column.astype(np.int64)
    words = column.astype(str).str.strip().str.lower().isin(MISSING_WORDS)
    if column.dtype.kind not in "biuf" and words.any() and _are_numbers(column[~words]):
        raise DataError(
            f"{where} holds {_first_cell(column, words)}, which seems to be a missing value among"
            f" numbers ({int(words.sum())} cells in all); drop these rows"
        )
    names, numbers = np.unique(column.to_numpy(), return_inverse=True)
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{where} has {len(names)} different values; allowed are {MAX_CLASSES} classes"
            ' (or numbers, with [data] task = "regression")'
        )
    return numbers.astype(np.int64), tuple(map(str, names))
