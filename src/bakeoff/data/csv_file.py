"""Reads tables in CSV files: a row is a sample, one column is the target, the others are features.

pandas parses the file and infers the types of its columns. The checks here find what pandas accepts
without complaint but a user did not mean.
"""

import codecs
import csv
import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import load_cached
from bakeoff.data.array_notes import part_notes
from bakeoff.data.arrays import Arrays, check_arrays
from bakeoff.data.inputs import Feature
from bakeoff.data.readers import decode_text, read_bounded
from bakeoff.data.table_columns import (
    DECIMAL_COMMA,
    MIN_ROWS,
    MOST,
    class_notes,
    column_notes,
    encode_classes,
    encode_features,
    fit_classes,
    fit_features,
    is_row_number,
    wide_numbers,
)
from bakeoff.errors import DataError, describe_unknown, one_line
from bakeoff.records import Task

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
MANY_REPEATED = 0.01
"""Share of rows that repeat another one from which on it is said."""


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


def load_csv(
    path: Path, target: str | None, task: Task, validation: Path | None = None
) -> tuple[Arrays, str]:
    """Return the table at `path` as a data set, mapped into memory, and its fingerprint.

    A fifth of the rows is reserved for testing. The rows of the table `validation`, if there is
    one, are for validation; nothing is fitted on them.

    Raises:
        DataError: As `read_csv`, or the table is too small.
    """
    sources = (path,) if validation is None else (path, validation)

    def decode() -> Arrays:
        tables = read_tables(sources, target, task)
        raw = dict(zip(("x", "y"), (tables[0].features, tables[0].labels), strict=True))
        notes = tables[0].notes
        if validation is not None:
            table = tables[1]
            raw |= {"x_val": table.features, "y_val": table.labels}
            notes += (f"validation samples are the rows of {validation} ({len(table.labels):,})",)
            notes += (
                *table.notes,
                *part_notes(tables[0].features, {validation.name: table.features}),
            )
        arrays = check_arrays(raw, str(path), task, tables[0].class_names)
        return replace(arrays, features=tables[0].columns, notes=notes)

    column = hashlib.sha256(repr(target).encode()).hexdigest()[:8]
    return load_cached(f"csv-{task}-{column}", sources, decode)


def read_csv(path: Path, target: str | None, task: Task) -> Table:
    """Read the table in the CSV file at `path`, which may be gzipped.

    The first line names the columns; blank lines and Excel's `sep=;` before it are skipped. The
    separator is the comma, semicolon, tab or bar that is most frequent in that line. Columns of
    numbers are features as they are, less their mean where float32 would lose their digits. They
    may have decimal commas if the separator is not a comma. A column of text with at most 20
    different values gives a feature 0 or 1 for each of them. No value may be missing. A column that
    only numbers the rows is left out.

    Args:
        path: The file.
        target: Name of the column to predict; None takes the last one.
        task: `regression` takes the target as a number, anything else as a class.

    Raises:
        DataError: The file is missing or damaged, or a column cannot be used; the message names
            column and row, where the first row after the header is row 1.
    """
    return read_tables((path,), target, task)[0]


def read_tables(paths: Sequence[Path], target: str | None, task: Task) -> list[Table]:
    """Read the table at the first path as `read_csv` does, and the others by what it tells.

    The others may have their columns in another order, and more columns.

    Raises:
        DataError: As `read_csv`; or another table lacks a column or has other classes.
    """
    path, *others = paths
    frame, read_notes = read_frame(path)
    names = [str(name) for name in frame]
    if target is not None and target not in names:
        problem = describe_unknown("column", target, names)
        raise DataError(f"{path}: data.target: {problem}")
    target = names[-1] if target is None else target
    _check_first_line(frame, path)
    used, notes = _used_columns(frame, target, path)
    notes += read_notes
    fitted = {name: fit_features(frame[name], f"{path}: column {name!r}", name) for name in used}
    class_names: tuple[str, ...] = ()
    notes += column_notes([(frame[name], features) for name, features in fitted.items()])
    if task != "regression":
        class_names = fit_classes(frame[target], f"{path}: target {target!r}")
        notes += class_notes(class_names, target)
    notes += _row_notes(frame)
    tables = [_encode(frame, fitted, target, class_names, str(path))]
    for other in others:
        held, own = read_frame(other)
        absent = next((name for name in (*used, target) if name not in held), None)
        if absent is not None:
            raise DataError(f"{other}: has no column {absent!r}, which {path} has")
        more = [str(name) for name in held if name not in names]
        if more:
            own.append(f"columns that {path.name} lacks are left out: {', '.join(more)}")
        own += _unknown_texts(held, fitted, other)
        table = _encode(held, fitted, target, class_names, str(other))
        tables.append(replace(table, notes=tuple(own)))
    return [replace(tables[0], notes=tuple(notes)), *tables[1:]]


def _check_first_line(frame: "pd.DataFrame", path: Path) -> None:
    """Refuse a first line of texts that are also values of their columns."""
    found = [str(name) for name in frame if name and (frame[name].astype(str) == name).any()]
    if len(found) > MOST * len(frame.columns):
        raise DataError(
            f"{path}: the first line holds {found[0]!r}, as rows below it do, so it seems to be a"
            " row and no header; add a first line that names the columns"
        )


def _used_columns(frame: "pd.DataFrame", target: str, path: Path) -> tuple[list[str], list[str]]:
    """The columns that become features, and what is to be said about the others."""
    names = [str(name) for name in frame if name != target]
    numbering = [name for name in names if is_row_number(name, frame[name])]
    if len(numbering) == len(names):
        numbering = []
    used = [name for name in names if name not in numbering]
    if "" in used:
        raise DataError(f"{path}: column {names.index('') + 1} of the header has no name")
    copies = [name for name in used if len(frame) >= MIN_ROWS and frame[name].equals(frame[target])]
    if copies:
        raise DataError(
            f"{path}: column {copies[0]!r} is a copy of the target {target!r}; drop it, or every"
            " network predicts the target"
        )
    if len(frame) >= MIN_ROWS and all(frame[name].nunique() == 1 for name in used):
        raise DataError(f"{path}: every column has one value only, so there is nothing to learn")
    named = ", ".join(repr(name) if name else "the first one, without a name" for name in numbering)
    return used, [f"columns that only number the rows are left out: {named}"] if numbering else []


def _row_notes(frame: "pd.DataFrame") -> list[str]:
    """Says how many rows there are twice, which may be in training and in test set."""
    num = int(frame.duplicated().sum())
    if len(frame) < MIN_ROWS or num < MANY_REPEATED * len(frame):
        return []
    return [
        f"{num:,} of {len(frame):,} rows repeat another row, so training and test set share some"
    ]


def _unknown_texts(
    frame: "pd.DataFrame", fitted: Mapping[str, Sequence[Feature]], path: Path
) -> Iterator[str]:
    for name, features in fitted.items():
        if features[0].value is None:
            continue
        known = [feature.value for feature in features]
        unknown = ~frame[name].astype(str).str.strip().isin(known)
        if unknown.any():
            yield (
                f"{int(unknown.sum())} rows of {path.name} have a text in column {name!r} that no"
                " training row has; all its features are 0 there"
            )


def _encode(
    frame: "pd.DataFrame",
    fitted: Mapping[str, Sequence[Feature]],
    target: str,
    class_names: tuple[str, ...],
    where: str,
) -> Table:
    encoded = [
        values
        for name, features in fitted.items()
        for values in encode_features(frame[name], features, f"{where}: column {name!r}")
    ]
    in_target = f"{where}: target {target!r}"
    labels: NDArray[Any] = (
        encode_classes(frame[target], class_names, in_target)
        if class_names
        else wide_numbers(frame[target], in_target)
    )
    return Table(
        features=np.column_stack(encoded),
        labels=labels,
        columns=tuple(feature for features in fitted.values() for feature in features),
        class_names=class_names,
    )


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
