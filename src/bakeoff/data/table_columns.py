"""Turns the columns of a table into features and classes, and says what is guessed about them.

A column is fitted on the rows to train on. Rows to validate on are then encoded in the same way.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.arrays import loses_digits
from bakeoff.data.inputs import Feature
from bakeoff.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MISSING_WORDS = frozenset(
    {"na", "n/a", "n.a.", "#n/a", "<na>", "nat", "null", "(null)", "none", "nil", "?", "-", "--",
     ".", "missing", "unknown"}
)  # fmt: skip
"""Words, in small letters, that often stand for a missing value."""
MISSING_NUMBERS = (-99, -999, -9999, -99999, -999999)
"""Numbers that often stand for a missing value, where all others are larger."""
MAX_LEVELS = 20
"""Greatest number of different texts in a column; each becomes a feature of its own."""
MAX_CODES = 1000
"""Greatest number of different texts in a column that is read as codes."""
MAX_CLASSES = 1000
"""Greatest number of different values in a target of classes."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:[, ']\d{3})+(?:\.\d+)?|(?:[. ']\d{3})+,\d+)")
"""Digits in groups of three, as in 1,234.5 and 1.234,5."""
WITH_UNIT = re.compile(
    r"(?:[$\u20ac\u00a3\u00a5]\s*[+-]?\d[\d.,'\s]*|[+-]?\d[\d.,'\s]*[%$\u20ac\u00a3\u00a5]"
    r"|[+-]?\d{1,3}(?:\s\d{3})+(?:[.,]\d+)?"
    r"|\([$\u20ac\u00a3\u00a5]?\s*\d[\d.,'\s]*\))"
)
"""Amounts and percentages, as in $1.50, 45 % and (3) for -3, and digits grouped by any space."""
MOST = 0.5
"""A column is meant to hold numbers if more than this share of its cells look like numbers."""
MIN_ROWS = 20
"""With fewer rows it is no sign that every row has another value."""
COUNTER_NAME = re.compile(
    r"|#|no\.?|nr\.?|num|index|idx|unnamed: \d+|(.*[ _.-])?(id|rowid|row)"
    r"|row.?(no|num|number|index)",
    re.IGNORECASE,
)
"""Names of columns that number the rows, the empty name among them."""
DATES = 19000101, 21001231
DATE_OR_TIME = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}.*|\d{1,2}:\d{2}.*")
MAX_LISTED = 5


def fit_features(
    column: "pd.Series[Any]", where: str, name: str, *, as_codes: bool = False
) -> list[Feature]:
    """The features of a column: itself if it holds numbers, else one for each of its values.

    With `as_codes` a column of texts is one feature, whose codes stand for its values.

    Raises:
        DataError: It holds neither numbers nor few texts; the message names the row.
    """
    if is_numeric(column, where):
        values = wide_numbers(column, where)
        if not loses_digits(values, values.astype(np.float32)):
            return [Feature(column=name)]
        return [Feature(column=name, offset=float(np.round(values.mean())))]
    texts = column.astype(str)
    is_number = _look_like_numbers(texts)
    if is_number.mean() > MOST:  # such numbers are not categories
        raise DataError(
            f"{where} holds {_first_cell(texts, is_number)}, which looks like a number;"
            " write numbers as 1234.5"
        )
    levels = sorted(texts.str.strip().unique())
    most = MAX_CODES if as_codes else MAX_LEVELS
    if len(levels) > most:
        is_date = texts.str.strip().str.fullmatch(DATE_OR_TIME).mean() > MOST
        advice = "write dates as numbers, such as days" if is_date else "drop it or encode it"
        raise DataError(
            f"{where} holds text with {len(levels)} different values, for example {levels[0]!r}; "
            f"allowed are numbers, or at most {most} different values; {advice}"
        )
    if as_codes:
        return [Feature(column=name, levels=tuple(levels))]
    return [Feature(column=name, value=level) for level in levels]


def encode_features(
    column: "pd.Series[Any]", features: Sequence[Feature], where: str
) -> list[NDArray[np.float32]]:
    """The values [N] of each feature of a column; a text without a feature or code gives 0.

    Raises:
        DataError: The features are numbers, and the column does not hold numbers.
    """
    if features[0].levels:
        codes = {text: code for code, text in enumerate(features[0].levels, 1)}
        found = column.astype(str).str.strip().map(codes)
        return [np.asarray(found.fillna(0), dtype=np.float32)]
    if features[0].value is None:
        offset = features[0].offset
        values = wide_numbers(column, where)
        return [(values - offset if offset else values).astype(np.float32)]
    texts = column.astype(str).str.strip()
    return [np.asarray(texts == feature.value, dtype=np.float32) for feature in features]


def fit_classes(column: "pd.Series[Any]", where: str) -> tuple[str, ...]:
    """The names of the classes; numbers are sorted by size, texts by letter.

    Raises:
        DataError: The column cannot hold classes.
    """
    words = column.astype(str).str.strip().str.lower().isin(MISSING_WORDS)
    if column.dtype.kind not in "biuf" and words.any() and _are_numbers(column[~words]):
        raise DataError(
            f"{where} holds {_first_cell(column, words)}, which seems to be a missing value among"
            f" numbers ({int(words.sum())} cells in all); drop these rows"
        )
    names = np.unique(_cells(column, where).to_numpy())
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{where} has {len(names)} different values; allowed are {MAX_CLASSES} classes"
            ' (or numbers, with [data] task = "regression")'
        )
    if len(column) >= MIN_ROWS and len(names) > MOST * len(column):
        kind = "text" if column.dtype.kind not in "biuf" else "numbers"
        hint = "" if kind == "text" else '; [data] task = "regression" predicts numbers'
        raise DataError(
            f"{where} has {len(names)} different values ({kind}) in {len(column)} rows, so they are"
            f" no classes{hint}"
        )
    return tuple(map(str, names))


def encode_classes(
    column: "pd.Series[Any]", class_names: Sequence[str], where: str
) -> NDArray[np.int64]:
    """Class numbers [N].

    Raises:
        DataError: A cell is none of the classes.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    cells = _cells(column, where).astype(str)
    labels = cells.map(numbers)
    unknown = labels.isna()
    if unknown.any():
        raise DataError(
            f"{where} holds {_first_cell(cells, unknown)}, which is no class of the training rows"
        )
    return np.asarray(labels, dtype=np.int64)


def encode_flags(column: "pd.Series[Any]", where: str) -> NDArray[np.uint8]:
    """Whether each row has a label, [N], from a column of 0 and 1, or of true and false.

    Raises:
        DataError: The column holds something else.
    """
    known = column.isin((0, 1)) | column.astype(str).str.strip().isin(("0", "1"))
    if not known.all():
        raise DataError(
            f"{where} holds {_first_cell(column, ~known)}; a label is 1 where a row has it, else 0"
        )
    return np.asarray(column, dtype=np.uint8)


def _cells(column: "pd.Series[Any]", where: str) -> "pd.Series[Any]":
    """Whole numbers as they are, everything else as text without spaces around it."""
    if column.dtype.kind == "f":
        if (column % 1 != 0).any():
            raise DataError(f'{where} holds fractions; [data] task = "regression" predicts numbers')
        return column.astype(np.int64)
    return column if column.dtype.kind in "biu" else column.astype(str).str.strip()


def is_numeric(column: "pd.Series[Any]", where: str) -> bool:
    """Whether the column is meant to hold numbers: if most of its cells do, all must.

    Raises:
        DataError: One does not.
    """
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


def wide_numbers(column: "pd.Series[Any]", where: str) -> NDArray[np.float64]:
    """The numbers of a column, each of which has a place in float32, with all their digits.

    Raises:
        DataError: It does not hold numbers, or one is too large.
    """
    if not is_numeric(column, where):
        raise DataError(f"{where} holds {str(column.iloc[0])!r} in row 1; it must hold numbers")
    values = column.to_numpy(np.float64)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if not np.isfinite(narrow).all():
        row = int(np.argmin(np.isfinite(narrow)))
        raise DataError(f"{where} holds {values[row]:g} in row {row + 1}, too large for a float32")
    return values


def counts_rows(column: "pd.Series[Any]") -> bool:
    """Whether the numbers of a column rise by one from row to row."""
    if column.dtype.kind not in "iu" or len(column) < 2:  # noqa: PLR2004 - a step has two ends
        return False
    return bool((np.diff(column.to_numpy()) == 1).all())


def is_row_number(name: str, column: "pd.Series[Any]") -> bool:
    """Whether a column does nothing but number the rows, by its name and its values."""
    return (
        len(column) >= MIN_ROWS
        and counts_rows(column)
        and COUNTER_NAME.fullmatch(name.strip()) is not None
    )


def column_notes(
    columns: Sequence[tuple["pd.Series[Any]", Sequence[Feature]]],
) -> Iterator[str]:
    """What is guessed about columns of features, each as a sentence without a full stop."""
    constant, texts, codes = [], [], []
    for column, features in columns:
        name = features[0].column
        yield from _offset_notes(features)
        if levels := features[0].levels:
            codes.append(f"{name} ({len(levels)})")
            named = [Feature(column=name, value=level) for level in levels]
            yield from _text_notes(named, f"in column {name!r}", "value")
        elif features[0].value is not None:
            texts.append(f"{name} ({len(features)})")
            yield from _text_notes(features, f"in column {name!r}", "value")
        else:
            yield from _number_notes(column, name)
        if len(features) == 1 and column.nunique() == 1:
            constant.append(name)
    if texts:
        yield f"each value of a text column is a feature of its own: {_listed(texts)}"
    if codes:
        yield f"each value of a text column is a code from 1 on: {_listed(codes)}"
    if constant:
        yield f"columns with one value only tell nothing: {_listed(constant)}"


def class_notes(class_names: Sequence[str], target: str) -> Iterator[str]:
    """What is guessed about the classes, likewise."""
    features = [Feature(column=target, value=name) for name in class_names]
    yield from _text_notes(features, f"in the target {target!r}", "class")


def _offset_notes(features: Sequence[Feature]) -> Iterator[str]:
    for feature in features:
        if feature.offset:
            yield (
                f"{feature.offset:.12g} is subtracted from column {feature.column!r}, of which"
                " float32 would keep too few digits"
            )


def _text_notes(features: Sequence[Feature], where: str, kind: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for feature in features:
        text = feature.value or ""
        if text.strip().lower() in MISSING_WORDS:
            yield f"{text!r} {where} is taken as a {kind} like any other"
        other = seen.setdefault(text.lower(), text)
        if other != text:
            yield f"{other!r} and {text!r} {where} are two {kind}{'e' * (kind == 'class')}s"


def _number_notes(column: "pd.Series[Any]", name: str) -> Iterator[str]:
    if len(column) < MIN_ROWS or column.dtype.kind == "b":
        return
    low = column.min()
    if (
        low in MISSING_NUMBERS
        and (column == low).sum() > 1
        and column[column != low].min() > low / 2
    ):
        yield f"{low:g} in column {name!r} is taken as a number, not as a missing value"
    if column.dtype.kind in "iu" and column.between(*DATES).all() and _are_dates(column):
        yield f"dates such as {low} in column {name!r} are taken as numbers"
    if counts_rows(column):
        yield f"column {name!r} counts the rows and is used as a feature"
    elif column.dtype.kind in "iu" and column.is_unique and COUNTER_NAME.fullmatch(name.strip()):
        yield f"column {name!r} has another value in each row and is used as a feature"


def _are_dates(column: "pd.Series[Any]") -> bool:
    """Whether all numbers are dates such as 20240131."""
    months, days = column // 100 % 100, column % 100
    return bool(months.between(1, 12).all() and days.between(1, 31).all())


def _look_like_numbers(texts: "pd.Series[Any]") -> "pd.Series[bool]":
    stripped = texts.str.strip()
    return (
        stripped.str.fullmatch(DECIMAL_COMMA)
        | stripped.str.fullmatch(GROUPED)
        | stripped.str.fullmatch(WITH_UNIT)
    )


def _are_numbers(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    return len(column) > 0 and bool(pd.to_numeric(column, errors="coerce").notna().all())


def _first_cell(column: "pd.Series[Any]", mask: "pd.Series[bool]") -> str:
    """Quote the first cell of the mask: `'2.5 cm' in row 2`."""
    row = int(np.argmax(mask.to_numpy()))
    return f"{str(column.iloc[row])!r} in row {row + 1}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
