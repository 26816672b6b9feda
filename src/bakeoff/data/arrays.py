"""Arrays of samples and labels: what is accepted, and in which form it is kept.

Classification and regression: inputs are features [N, F], rows [N, T, F] or images [N, C, H, W],
uint8 or float32. Labels are [N]: int64 in 0..C-1, every class present in the training data, or
float32 targets. Language: inputs are token ids [N, L] and labels the token after each of them
[N, L], both in the smallest integer type that holds the vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.inputs import Feature
from bakeoff.data.splits import Indices, Labels, hold_out, hold_out_any, hold_out_last
from bakeoff.errors import DataError
from bakeoff.records import Task

Inputs = NDArray[Any]

TEST_FRACTION = 0.2
"""Share locked away for testing where the data comes without a test set."""
TEST_SEED = 0
"""The locked test set is the same in every study."""

MAX_VOCABULARY = 1 << 16
"""Token ids are below this."""

CHANNELS = (1, 3, 4)
"""Of pictures: grey, colour, colour with transparency."""

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """A checked data set."""

    train_inputs: Inputs
    train_labels: Inputs
    test_inputs: Inputs
    test_labels: Inputs
    class_names: tuple[str, ...] = ()
    """Of classes or tokens, where what was read names them."""
    features: tuple[Feature, ...] = ()
    """Of a table, in the order of the inputs."""


def check_arrays(
    raw: Mapping[str, NDArray[Any]], where: str, task: Task = "classification"
) -> Arrays:
    """The data set made of `x_train`, `y_train` and, if there are any, `x_test`, `y_test`.

    `x` and `y` stand for `x_train` and `y_train`. Without a test set, a fifth is locked away,
    always the same one: stratified by class, of text the last part. Numbers other than uint8
    become float32. Bytes [N, H, W] are grey images and become [N, 1, H, W]; any other numbers
    [N, T, F] are rows in order.

    Args:
        raw: The arrays by name; other names are ignored.
        where: What they were read from, for messages.
        task: What the labels are.

    Raises:
        DataError: Something is missing, or cannot be used for the task.
    """
    named = {{"x": "x_train", "y": "y_train"}.get(key, key): value for key, value in raw.items()}
    _check_keys(named, raw, where)
    inputs, labels = _check_part(named, "train", where, task)
    if task == "classification":
        check_classes(labels, f"{where}: y_train")
    if "x_test" not in named:
        return _lock_test_set(inputs, labels, where, task)
    test_inputs, test_labels = _check_part(named, "test", where, task)
    _check_agreement(inputs, test_inputs, where, task)
    if task == "classification":
        _check_known_labels(labels, test_labels, where)
    return Arrays(
        train_inputs=inputs,
        train_labels=labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def hold_out_part(
    labels: Inputs, task: Task, fraction: float, seed: int
) -> tuple[Indices, Indices]:
    """Indices that are kept and that are held out, each sorted, as suits the task.

    Classes are stratified. Of text the last part is held out, whatever the seed, so that it is no
    neighbour of what is kept but at one end.

    Raises:
        ValueError: Too few samples to have some on each side.
    """
    if task == "classification":
        return hold_out(labels, fraction, seed)
    if task == "language":
        return hold_out_last(len(labels), fraction)
    return hold_out_any(len(labels), fraction, seed)


def _check_part(
    named: Mapping[str, NDArray[Any]], part: str, where: str, task: Task
) -> tuple[Inputs, Inputs]:
    """Inputs and labels of the training or test samples."""
    x, y = f"{where}: x_{part}", f"{where}: y_{part}"
    raw_inputs, raw_labels = named[f"x_{part}"], named[f"y_{part}"]
    if task == "language":
        inputs, labels = _check_tokens(raw_inputs, x), _check_tokens(raw_labels, y)
        if inputs.shape != labels.shape:
            raise DataError(
                f"{x} has shape {list(inputs.shape)}, y_{part} {list(labels.shape)}; both must be"
                " [N, L], the labels being the next tokens"
            )
        kind = np.promote_types(inputs.dtype, labels.dtype)
        return inputs.astype(kind, copy=False), labels.astype(kind, copy=False)
    inputs = _check_inputs(raw_inputs, x)
    labels = check_labels(raw_labels, y, task)
    _check_lengths(inputs, labels, f"{x} and y_{part}")
    return inputs, labels


def _lock_test_set(inputs: Inputs, labels: Inputs, where: str, task: Task) -> Arrays:
    try:
        kept, held = hold_out_part(labels, task, TEST_FRACTION, TEST_SEED)
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
        raise DataError(f"{where} has shape {shape}; allowed: [N, F], [N, T, F], [N, C, H, W]")
    if values.size == 0:
        raise DataError(f"{where} is empty (shape {shape})")
    values = _as_uint8_or_float32(values, where)
    check_channels_first(values.shape[1:], values.dtype, where)
    if values.ndim == 3 and values.dtype == np.uint8:  # noqa: PLR2004 - grey images
        values = values[:, None]
    # Writable, because torch complains of memory that is not.
    return np.require(values, requirements=("C", "W"))


def check_channels_first(shape: tuple[int, ...], dtype: "np.dtype[Any]", where: str) -> None:
    """Make sure that a sample of this shape is no image with its channels last.

    Only bytes are doubted: other numbers [C, H, W] need not be pictures.

    Raises:
        DataError: It looks like one.
    """
    if dtype != np.uint8 or len(shape) != 3:  # noqa: PLR2004 - (C, H, W)
        return
    if shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS):
        raise DataError(
            f"{where} holds images of shape {list(shape)}, which looks like [H, W, C]; "
            "channels come first: [C, H, W], as by numpy.moveaxis(x, -1, -3)"
        )


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


def check_labels(values: NDArray[Any], where: str, task: Task) -> Inputs:
    """Labels [N] as they are kept: class numbers as int64, targets of regression as float32.

    Raises:
        DataError: They are none.
    """
    check = _check_targets if task == "regression" else _check_class_numbers
    return check(values, where)


def _check_class_numbers(values: NDArray[Any], where: str) -> Labels:
    if values.ndim != 1:
        raise DataError(f"{where} has shape {list(values.shape)}; it must be [N]")
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"{where} has dtype {values.dtype}; labels must be integers 0..C-1"
            ' (or numbers, with [data] task = "regression")'
        )
    labels = np.ascontiguousarray(values.astype(np.int64))
    if labels.size and labels.min() < 0:
        raise DataError(f"{where} has the label {int(labels.min())}; labels must be 0..C-1")
    return labels


def _check_targets(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    if values.ndim == 2 and values.shape[1] == 1:  # noqa: PLR2004 - a column
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"{where} has shape {list(values.shape)}; it must be [N]")
    targets = _as_uint8_or_float32(values, where).astype(np.float32)
    return np.ascontiguousarray(targets)


def _check_tokens(values: NDArray[Any], where: str) -> Inputs:
    if values.ndim != 2:  # noqa: PLR2004 - [N, L]
        raise DataError(f"{where} has shape {list(values.shape)}; it must be [N, L]")
    if values.size == 0:
        raise DataError(f"{where} is empty (shape {list(values.shape)})")
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{where} has dtype {values.dtype}; tokens must be integers 0..V-1")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= MAX_VOCABULARY:
        raise DataError(
            f"{where} has the token {low if low < 0 else high}; allowed are 0..{MAX_VOCABULARY - 1}"
        )
    # No uint16 and uint32: torch cannot index with them.
    kind = next(one for one in (np.uint8, np.int16, np.int32) if high <= np.iinfo(one).max)
    return np.ascontiguousarray(values.astype(kind))


def _check_lengths(inputs: Inputs, labels: Inputs, where: str) -> None:
    if len(inputs) != len(labels):
        raise DataError(f"{where} differ in length: {len(inputs)} and {len(labels)}")


def check_classes(labels: Labels, where: str) -> None:
    """Make sure that there are several classes, and samples of all of them.

    Raises:
        DataError: There is only one class, or a number without a sample.
    """
    classes = np.unique(labels)
    if len(classes) == 1:
        raise DataError(f"{where} has one class only (label {int(classes[0])})")
    if classes[-1] != len(classes) - 1:
        absent = int(np.argmax(classes != np.arange(len(classes))))
        raise DataError(
            f"{where} has labels up to {int(classes[-1])} but no sample of class {absent}; "
            "labels must be 0..C-1 without a gap"
        )


def _check_agreement(inputs: Inputs, test_inputs: Inputs, where: str, task: Task) -> None:
    if inputs.shape[1:] != test_inputs.shape[1:]:
        raise DataError(
            f"{where}: samples of x_train have shape {list(inputs.shape[1:])}, "
            f"of x_test {list(test_inputs.shape[1:])}"
        )
    if inputs.dtype != test_inputs.dtype and task != "language":
        raise DataError(f"{where}: x_train is {inputs.dtype}, x_test is {test_inputs.dtype}")


def _check_known_labels(labels: Inputs, test_labels: Inputs, where: str) -> None:
    if test_labels.max() > labels.max():
        raise DataError(
            f"{where}: y_test has the label {int(test_labels.max())}, "
            f"y_train only 0..{int(labels.max())}"
        )
