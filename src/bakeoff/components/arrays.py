"""Arrays of samples and labels: what is accepted, and in which form it is kept.

Inputs are [N, F] or [N, C, H, W], uint8 or float32; labels are [N], int64, values 0..C-1, every
class present in the training data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.components.splits import Labels, hold_out
from bakeoff.errors import DataError

Inputs = NDArray[Any]

TEST_FRACTION = 0.2
"""Share locked away for testing where the data comes without a test set."""
TEST_SEED = 0
"""The locked test set is the same in every study."""

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """A checked data set."""

    train_inputs: Inputs
    train_labels: Labels
    test_inputs: Inputs
    test_labels: Labels


def check_arrays(raw: Mapping[str, NDArray[Any]], where: str) -> Arrays:
    """The data set made of `x_train`, `y_train` and, if there are any, `x_test`, `y_test`.

    `x` and `y` stand for `x_train` and `y_train`. Without a test set, a stratified fifth is
    locked away, always the same one. Numbers other than uint8 become float32; [N, H, W] becomes
    [N, 1, H, W].

    Args:
        raw: The arrays by name; other names are ignored.
        where: What they were read from, for messages.

    Raises:
        DataError: Something is missing, or cannot be used to train a classifier.
    """
    named = {{"x": "x_train", "y": "y_train"}.get(key, key): value for key, value in raw.items()}
    _check_keys(named, raw, where)
    inputs = _check_inputs(named["x_train"], f"{where}: x_train")
    labels = _check_labels(named["y_train"], f"{where}: y_train")
    _check_lengths(inputs, labels, f"{where}: x_train and y_train")
    num_classes = _check_classes(labels, f"{where}: y_train")
    if "x_test" not in named:
        return _lock_test_set(inputs, labels, where)
    test_inputs = _check_inputs(named["x_test"], f"{where}: x_test")
    test_labels = _check_labels(named["y_test"], f"{where}: y_test")
    _check_lengths(test_inputs, test_labels, f"{where}: x_test and y_test")
    _check_agreement(inputs, test_inputs, test_labels, num_classes, where)
    return Arrays(
        train_inputs=inputs,
        train_labels=labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def _lock_test_set(inputs: Inputs, labels: Labels, where: str) -> Arrays:
    try:
        kept, held = hold_out(labels, TEST_FRACTION, TEST_SEED)
    except ValueError as error:
        raise DataError(f"{where}: no test set, and {error} as one") from None
    return Arrays(
        train_inputs=inputs[kept],
        train_labels=labels[kept],
        test_inputs=inputs[held],
        test_labels=labels[held],
    )


def _check_keys(named: Mapping[str, Any], raw: Mapping[str, Any], where: str) -> None:
    holds = f"it holds {', '.join(raw) or 'nothing'}"
    missing = [key for key in ("x_train", "y_train") if key not in named]
    if missing:
        raise DataError(f"{where}: {' and '.join(missing)} missing ({holds})")
    if ("x_test" in named) != ("y_test" in named):
        raise DataError(f"{where}: x_test and y_test must come together ({holds})")


def _check_inputs(values: NDArray[Any], where: str) -> Inputs:
    shape = list(values.shape)
    if values.ndim not in (2, 3, 4):
        raise DataError(f"{where} has shape {shape}; allowed: [N, F], [N, H, W], [N, C, H, W]")
    if values.size == 0:
        raise DataError(f"{where} is empty (shape {shape})")
    if values.ndim == 3:  # noqa: PLR2004 - grey images without their channel
        values = values[:, None]
    # Writable, because torch complains of memory that is not.
    return np.require(_as_uint8_or_float32(values, where), requirements=("C", "W"))


def _as_uint8_or_float32(values: NDArray[Any], where: str) -> Inputs:
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype == np.uint8:
        return values
    is_real = np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)
    if not is_real:
        raise DataError(f"{where} has dtype {values.dtype}; it must hold numbers")
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    bad = ~np.isfinite(floats)
    if bad.any():
        sample = int(np.argwhere(bad)[0][0])
        raise DataError(
            f"{where} has {int(bad.sum())} NaN or infinite values (as float32), "
            f"the first in sample {sample}"
        )
    return floats


def _check_labels(values: NDArray[Any], where: str) -> Labels:
    if values.ndim != 1:
        raise DataError(f"{where} has shape {list(values.shape)}; it must be [N]")
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{where} has dtype {values.dtype}; labels must be integers 0..C-1")
    labels = np.ascontiguousarray(values.astype(np.int64))
    if labels.size and labels.min() < 0:
        raise DataError(f"{where} has the label {int(labels.min())}; labels must be 0..C-1")
    return labels


def _check_lengths(inputs: Inputs, labels: Labels, where: str) -> None:
    if len(inputs) != len(labels):
        raise DataError(f"{where} differ in length: {len(inputs)} and {len(labels)}")


def _check_classes(labels: Labels, where: str) -> int:
    classes = np.unique(labels)
    if len(classes) == 1:
        raise DataError(f"{where} has one class only (label {int(classes[0])})")
    if classes[-1] != len(classes) - 1:
        absent = int(np.argmax(classes != np.arange(len(classes))))
        raise DataError(
            f"{where} has labels up to {int(classes[-1])} but no sample of class {absent}; "
            "labels must be 0..C-1 without a gap"
        )
    return len(classes)


def _check_agreement(
    inputs: Inputs, test_inputs: Inputs, test_labels: Labels, num_classes: int, where: str
) -> None:
    if inputs.shape[1:] != test_inputs.shape[1:]:
        raise DataError(
            f"{where}: samples of x_train have shape {list(inputs.shape[1:])}, "
            f"of x_test {list(test_inputs.shape[1:])}"
        )
    if inputs.dtype != test_inputs.dtype:
        raise DataError(f"{where}: x_train is {inputs.dtype}, x_test is {test_inputs.dtype}")
    if test_labels.max() >= num_classes:
        raise DataError(
            f"{where}: y_test has the label {int(test_labels.max())}, "
            f"y_train only 0..{num_classes - 1}"
        )
