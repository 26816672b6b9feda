"""Samples that have several labels each: [N, K] of K labels, 1 where a sample has the label."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import DataError

LabelSets = NDArray[np.uint8]

MAX_LISTED = 5
"""Labels that a note lists."""


def check_label_sets(values: NDArray[Any], where: str) -> LabelSets:
    """Return labels [N, K] of 0 and 1 as bytes.

    Raises:
        DataError: They have another shape or other values, or there is one label only.
    """
    if values.ndim != 2 or values.shape[1] < 2:  # noqa: PLR2004 - [N, K], and K of at least 2
        raise DataError(
            f"{where} has shape {list(values.shape)}; it must be [N, K] of 0 and 1, a column for"
            " each of two or more labels"
        )
    if values.dtype.kind not in "biuf":
        raise DataError(f"{where} has dtype {values.dtype}; labels must be 0 and 1")
    others = values[~np.isin(values, (0, 1))]
    if others.size:
        raise DataError(f"{where} holds {others[0]}; a label is 1 where a sample has it, else 0")
    return np.ascontiguousarray(values.astype(np.uint8))


def count_labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many samples have each label, [K]."""
    counts: NDArray[np.int64] = labels.sum(axis=0, dtype=np.int64)
    return counts


def absent_label_notes(labels: LabelSets, names: Sequence[str], part: str) -> Iterator[str]:
    """Says which labels no sample of a part has, or every sample, and which metrics omit them."""
    counts = count_labels(labels)
    for few, what in ((counts == 0, "no"), (counts == len(labels), "every")):
        found = [name for name, is_one in zip(names, few, strict=True) if is_one]
        if found:
            rest = len(found) - MAX_LISTED
            listed = ", ".join(found[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
            yield f"{what} {part} sample has the label {listed}, so AUROC leaves it out" + (
                ", and so does mean average precision" if what == "no" else ""
            )
