"""Reads tables in CSV files: a row is a sample, one column is the target, the others are features.

The target may be several columns.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import load_cached
from bakeoff.data.array_notes import part_notes
from bakeoff.data.arrays import Arrays, check_arrays, target_notes
from bakeoff.data.csv_frame import read_frame
from bakeoff.data.inputs import Feature
from bakeoff.data.table_columns import (
    MIN_ROWS,
    MOST,
    class_notes,
    column_notes,
    encode_classes,
    encode_features,
    encode_flags,
    fit_classes,
    fit_features,
    is_row_number,
    wide_numbers,
)
from bakeoff.errors import DataError, describe_unknown
from bakeoff.records import Task

if TYPE_CHECKING:
    import pandas as pd

Target = str | tuple[str, ...] | None
"""The column to predict, or several of them; None means the last column."""
MANY_REPEATED = 0.01
"""Share of rows that repeat another one from which on it is said."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The content of a CSV file."""

    features: NDArray[np.float32]
    """[N, F]"""
    labels: NDArray[Any]
    """[N], class numbers (int64) or targets (float64); [N, K] with several target columns."""
    columns: tuple[Feature, ...]
    """The features by name; a text column gives one for each of its values."""
    class_names: tuple[str, ...]
    """Sorted; the target columns if there are several, and empty with one number."""
    notes: tuple[str, ...] = ()
    """What was changed or guessed."""


def load_csv(
    path: Path,
    target: Target,
    task: Task,
    validation: Path | None = None,
    *,
    as_codes: bool = False,
) -> tuple[Arrays, str]:
    """Return the table at `path` as a data set, mapped into memory, and its fingerprint.

    A fifth of the rows is reserved for testing. The rows of the table `validation`, if there is
    one, are for validation; nothing is fitted on them.

    Raises:
        DataError: As `read_csv`, or the table is too small.
    """
    sources = (path,) if validation is None else (path, validation)

    def decode() -> Arrays:
        tables = read_tables(sources, target, task, as_codes=as_codes)
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

    asked = (target, "codes") if as_codes else target
    column = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
    return load_cached(f"csv-{task}-{column}", sources, decode)


def read_csv(path: Path, target: Target, task: Task) -> Table:
    """Read the table in the CSV file at `path`, which may be gzipped.

    The first line names the columns; blank lines and Excel's `sep=;` before it are skipped. The
    separator is the comma, semicolon, tab or bar that is most frequent in that line. Columns of
    numbers are features as they are, less their mean where float32 would lose their digits. They
    may have decimal commas if the separator is not a comma. A column of text with at most 20
    different values gives a feature 0 or 1 for each of them. No value may be missing. A column that
    only numbers the rows is left out.

    Args:
        path: The file.
        target: Name of the column to predict, or of several; None takes the last one.
        task: `regression` takes each target as a number, `multilabel` as 0 or 1, and
            `classification` as a class.

    Raises:
        DataError: The file is missing or damaged, or a column cannot be used; the message names
            column and row, where the first row after the header is row 1.
    """
    return read_tables((path,), target, task)[0]


def read_tables(
    paths: Sequence[Path], target: Target, task: Task, *, as_codes: bool = False
) -> list[Table]:
    """Read the table at the first path as `read_csv` does, and the others by what it tells.

    With `as_codes` a column of texts is one feature of integers instead of one for each text. The
    others may have their columns in another order, and more columns.

    Raises:
        DataError: As `read_csv`; or another table lacks a column or has other classes.
    """
    path, *others = paths
    frame, read_notes = read_frame(path)
    names = [str(name) for name in frame]
    targets = target_columns(target, names, path)
    _check_first_line(frame, path)
    used, notes = _used_columns(frame, targets, path)
    notes += read_notes
    fitted = {
        name: fit_features(frame[name], f"{path}: column {name!r}", name, as_codes=as_codes)
        for name in used
    }
    notes += column_notes([(frame[name], features) for name, features in fitted.items()])
    class_names, guesses = name_classes(frame, targets, task, path)
    notes += [*guesses, *_row_notes(frame)]

    def encode(rows: "pd.DataFrame", where: Path) -> Table:
        return Table(
            features=_encode_features(rows, fitted, where),
            labels=encode_labels(rows, targets, task, class_names, where),
            columns=tuple(feature for features in fitted.values() for feature in features),
            class_names=class_names,
        )

    tables = [encode(frame, path)]
    for other in others:
        held, own = read_frame(other)
        absent = next((name for name in (*used, *targets) if name not in held), None)
        if absent is not None:
            raise DataError(f"{other}: has no column {absent!r}, which {path} has")
        more = [str(name) for name in held if name not in names]
        if more:
            own.append(f"columns that {path.name} lacks are left out: {', '.join(more)}")
        own += _unknown_texts(held, fitted, other)
        tables.append(replace(encode(held, other), notes=tuple(own)))
    return [replace(tables[0], notes=tuple(notes)), *tables[1:]]


def target_columns(target: Target, names: Sequence[str], path: Path) -> tuple[str, ...]:
    """The columns to predict.

    Raises:
        DataError: The table has no such column.
    """
    asked = (target,) if isinstance(target, str) else target or (names[-1],)
    for name in asked:
        if name not in names:
            raise DataError(f"{path}: data.target: {describe_unknown('column', name, names)}")
    return asked


def _check_first_line(frame: "pd.DataFrame", path: Path) -> None:
    """Refuse a first line of texts that are also values of their columns."""
    found = [str(name) for name in frame if name and (frame[name].astype(str) == name).any()]
    if len(found) > MOST * len(frame.columns):
        raise DataError(
            f"{path}: the first line holds {found[0]!r}, as rows below it do, so it seems to be a"
            " row and no header; add a first line that names the columns"
        )


def _used_columns(
    frame: "pd.DataFrame", targets: Sequence[str], path: Path
) -> tuple[list[str], list[str]]:
    """The columns that become features, and what is to be said about the others."""
    names = [str(name) for name in frame if name not in targets]
    if not names:
        raise DataError(f"{path}: every column is a target, so there are no features")
    numbering = [name for name in names if is_row_number(name, frame[name])]
    if len(numbering) == len(names):
        numbering = []
    used = [name for name in names if name not in numbering]
    if "" in used:
        raise DataError(f"{path}: column {names.index('') + 1} of the header has no name")
    pairs = ((name, target) for name in used for target in targets)
    for name, target in pairs:
        if len(frame) >= MIN_ROWS and frame[name].equals(frame[target]):
            raise DataError(
                f"{path}: column {name!r} is a copy of the target {target!r}; drop it, or every"
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
        levels = features[0].levels
        if features[0].value is None and not levels:
            continue
        known = levels or [feature.value for feature in features]
        unknown = ~frame[name].astype(str).str.strip().isin(known)
        if unknown.any():
            yield (
                f"{int(unknown.sum())} rows of {path.name} have a text in column {name!r} that no"
                f" training row has; {'its code is' if levels else 'all its features are'} 0 there"
            )


def _encode_features(
    frame: "pd.DataFrame", fitted: Mapping[str, Sequence[Feature]], where: Path
) -> NDArray[np.float32]:
    """[N, F]."""
    return np.column_stack(
        [
            values
            for name, features in fitted.items()
            for values in encode_features(frame[name], features, f"{where}: column {name!r}")
        ]
    )


def name_classes(
    frame: "pd.DataFrame", targets: tuple[str, ...], task: Task, where: Path
) -> tuple[tuple[str, ...], list[str]]:
    """The names of classes or of several targets, and what is guessed or noticed about them.

    Raises:
        DataError: The target cannot hold classes.
    """
    if task != "classification":
        names = targets if len(targets) > 1 else ()
        is_number = task == "regression"
        return names, target_notes(frame[[*targets]].to_numpy(), targets) if is_number else []
    names = fit_classes(frame[targets[0]], f"{where}: target {targets[0]!r}")
    return names, list(class_notes(names, targets[0]))


def encode_labels(
    frame: "pd.DataFrame",
    targets: Sequence[str],
    task: Task,
    class_names: tuple[str, ...],
    where: Path,
) -> NDArray[Any]:
    """Class numbers or targets [N], or a column for each of several targets, [N, K].

    Raises:
        DataError: A cell is no class of `class_names`, no label of 0 and 1, or no number.
    """
    named = [(frame[name], f"{where}: target {name!r}") for name in targets]
    if task == "classification":
        return encode_classes(named[0][0], class_names, named[0][1])
    read = encode_flags if task == "multilabel" else wide_numbers
    columns: list[NDArray[Any]] = [read(column, place) for column, place in named]
    return np.column_stack(columns) if columns[1:] else columns[0]
