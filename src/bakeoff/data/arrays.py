"""Checks arrays of samples and labels, and brings them to the form in which they are kept.

Classification and regression: inputs are features [N, F], rows [N, T, F] or images [N, C, H, W],
uint8 or float32. Labels are [N]: int64 in 0..C-1, where the training data has samples of every
class, or float32 targets, [N, T] if there are several. Multi-label: labels are uint8 [N, K], 1
where a sample has a label. Segmentation: labels are `bakeoff.data.masks`. Language: inputs are
token ids [N, L], and labels [N, L] are the token after each of them, both in the smallest integer
type that holds the vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_notes import CHANNELS, part_notes, train_notes
from bakeoff.data.inputs import Feature
from bakeoff.data.label_sets import check_label_sets
from bakeoff.data.masks import (
    check_known_classes,
    check_mask_classes,
    check_mask_sizes,
    check_masks,
    ignored_notes,
)
from bakeoff.data.splits import Labels, hold_out_test
from bakeoff.errors import DataError
from bakeoff.records import Task

Inputs = NDArray[Any]

MAX_VOCABULARY = 1 << 16
"""Token ids must be below this."""

COARSEST_ROUNDING = 1e-4
"""Greatest rounding error of a column, in standard deviations."""

NUMBER_CLASSES = "numpy.unique(y, return_inverse=True)[1] numbers them"
"""Advice for labels that are no class numbers."""

MAX_LISTED = 5
"""Classes that a note lists."""

KEYS = ("x_train", "y_train", "x_test", "y_test")
VALIDATION_KEYS = ("x_val", "y_val")
OTHER_NAMES = {"x": "x_train", "y": "y_train"} | {
    f"{kind}_{name}": f"{kind}_val" for kind in "xy" for name in ("valid", "validation", "dev")
}
"""Names in small letters that mean the same as one of those."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """A checked data set."""

    train_inputs: Inputs
    train_labels: Inputs
    test_inputs: Inputs
    test_labels: Inputs
    validation_inputs: Inputs | None = None
    """Samples to validate on; None if they are drawn from the training samples."""
    validation_labels: Inputs | None = None
    class_names: tuple[str, ...] = ()
    """Names of classes or tokens, if the source names them."""
    vocabulary: tuple[str, ...] = ()
    """The tokens in order of number, if they are the words or characters of texts with labels."""
    features: tuple[Feature, ...] = ()
    """Features of a table, in the order of the inputs."""
    test_is_reserved: bool = False
    """Whether the test set was drawn from samples that came without one."""
    notes: tuple[str, ...] = ()
    """What reading the data left out, changed or guessed, each a sentence without a full stop."""


def check_arrays(
    raw: Mapping[str, NDArray[Any]],
    where: str,
    task: Task = "classification",
    class_names: tuple[str, ...] = (),
    *,
    looks_closely: bool = True,
) -> Arrays:
    """Return the data set made of `x_train`, `y_train` and, if given, the other arrays.

    `x_test` and `y_test` are the test set, `x_val` and `y_val` the samples to validate on. `x` and
    `y` mean `x_train` and `y_train`, and names may have capitals. Without a test set, a fifth is
    reserved for testing, always the same one: stratified by class; of text, the last part. Numbers
    other than uint8 become float32. Bytes [N, H, W] are grey images and become [N, 1, H, W]; any
    other numbers [N, T, F] are rows in order.

    Args:
        raw: The arrays by name; a note says which others are left out.
        where: The source of the arrays, for messages.
        task: Decides what the labels must be.
        class_names: Names of the classes, if they are known, for the data set and for messages.
        looks_closely: Whether to compare all samples with each other for notes, which takes about
            10 us a sample.

    Raises:
        DataError: Something is missing, or cannot be used for the task.
    """
    named, others = _by_name(raw, where)
    inputs, labels = _check_part(named, "train", where, task)
    if task == "classification":
        check_classes(labels, f"{where}: y_train")
    elif task == "segmentation":
        check_mask_classes(labels, f"{where}: y_train")
    validation: tuple[Inputs, Inputs] | tuple[None, None] = None, None
    notes = [f"arrays of other names are left out: {', '.join(others)}"] if others else []
    looks_closely &= task != "language"
    if looks_closely:
        notes += train_notes(inputs, splits_test="x_test" not in named)
    if task == "regression":
        notes += target_notes(labels)
    elif task == "segmentation":
        notes += ignored_notes(labels, "training")
    whole, given = inputs, dict[str, Inputs]()
    if "x_val" in named:
        validation = _check_part(named, "val", where, task)
        _check_agreement((inputs, labels), validation, "val", where, task)
        given["x_val"] = validation[0]
        notes += _absent_classes(labels, validation[1], "y_val", task)
        notes.append(f"validation samples are x_val ({len(validation[0]):,})")
    if "x_test" in named:
        test_inputs, test_labels = _check_part(named, "test", where, task)
        _check_agreement((inputs, labels), (test_inputs, test_labels), "test", where, task)
        given["x_test"] = test_inputs
        notes += _absent_classes(labels, test_labels, "y_test", task)
    else:
        kept, held = hold_out_test(labels, task, where, class_names)
        inputs, test_inputs = inputs[kept], inputs[held]
        labels, test_labels = labels[kept], labels[held]
    return Arrays(
        train_inputs=inputs,
        train_labels=labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        validation_inputs=validation[0],
        validation_labels=validation[1],
        class_names=class_names,
        test_is_reserved="x_test" not in named,
        notes=(*notes, *(part_notes(whole, given) if looks_closely else ())),
    )


def _absent_classes(labels: Inputs, others: Inputs, name: str, task: Task) -> list[str]:
    """Says which classes another part has no sample of."""
    absent = np.setdiff1d(labels, others) if task == "classification" else np.empty(0)
    shown = ", ".join(map(str, absent[:MAX_LISTED]))
    return [f"{name} has no sample of {len(absent)} classes: {shown}"] if len(absent) else []


def target_notes(targets: NDArray[Any], names: Sequence[str] = ()) -> list[str]:
    """Says of which targets, [N] or [N, T], there is nothing to predict, by number or by name."""
    is_constant = (targets == targets[0]).all(axis=0)
    if is_constant.all():
        return ["all targets have one value, so there is nothing to predict"]
    constant = np.flatnonzero(is_constant)[:MAX_LISTED]
    found = ", ".join(names[number] if names else str(number) for number in constant)
    return [f"targets with one value only tell nothing: {found}"] if found else []


def array_name(key: str) -> str:
    """The name in `KEYS` or `VALIDATION_KEYS` that a name means; another one as it is."""
    name = key.strip().lower()
    found = OTHER_NAMES.get(name, name)
    return found if found in (*KEYS, *VALIDATION_KEYS) else key


def _by_name(
    raw: Mapping[str, NDArray[Any]], where: str
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays by the names in `KEYS` and `VALIDATION_KEYS`, and all other names."""
    named: dict[str, NDArray[Any]] = {}
    others = []
    holds = f"it holds {', '.join(raw) or 'nothing'}"
    for key, value in raw.items():
        name = array_name(key)
        if name not in (*KEYS, *VALIDATION_KEYS):
            others.append(key)
        elif name in named:
            raise DataError(f"{where}: several arrays could be {name} ({holds})")
        else:
            named[name] = value
    missing = [key for key in ("x_train", "y_train") if key not in named]
    if missing:
        raise DataError(f"{where}: {' and '.join(missing)} missing ({holds})")
    for part in ("test", "val"):
        if (f"x_{part}" in named) != (f"y_{part}" in named):
            raise DataError(f"{where}: x_{part} and y_{part} must come together ({holds})")
    return named, others


def check_channels_first(shape: tuple[int, ...], dtype: "np.dtype[Any]", where: str) -> None:
    """Make sure that a sample of this shape is not an image with its channels last.

    Other numbers than bytes [C, H, W] need not be pictures, so they must look like square ones.

    Raises:
        DataError: The sample looks like such an image.
    """
    if len(shape) != 3 or (dtype != np.uint8 and shape[0] != shape[1]):  # noqa: PLR2004 - (C, H, W)
        return
    if shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS):
        raise DataError(
            f"{where} holds images of shape {list(shape)}, which looks like [H, W, C]; "
            "channels come first: [C, H, W], as by numpy.moveaxis(x, -1, -3)"
        )


def check_labels(values: NDArray[Any], where: str, task: Task) -> Inputs:
    """Return labels [N] as they are kept: class numbers as int64, regression targets as float32.

    Labels of several per sample are [N, K] of 0 and 1, masks are [N, H, W]; both are kept as bytes.

    Raises:
        DataError: The values cannot be labels for the task.
    """
    if task == "multilabel":
        return check_label_sets(values, where)
    if task == "segmentation":
        return check_masks(values, where)
    if values.ndim == 2 and values.shape[1] == 1:  # noqa: PLR2004 - column
        values = values[:, 0]
    are_flags = values.ndim == 2 and np.isin(values, (0, 1)).all()  # noqa: PLR2004 - [N, C]
    is_one_hot = are_flags and (values.sum(axis=1) == 1).all()
    is_several = task == "regression" and values.ndim == 2 and not is_one_hot  # noqa: PLR2004
    if values.ndim != 1 and not is_several:
        hint = '; [data] task = "multilabel" takes several labels per sample' if are_flags else ""
        if is_one_hot:
            hint = "; y.argmax(1) are the numbers of one-hot labels"
        raise DataError(f"{where} has shape {list(values.shape)}; it must be [N]{hint}")
    if task == "regression":
        targets = _as_uint8_or_float32(values, where).astype(np.float32)
        # they are standardised before they become float32, so no digits are lost
        exact = loses_digits(values.astype(np.float64), targets).any()
        return np.ascontiguousarray(values.astype(np.float64) if exact else targets)
    if not np.issubdtype(values.dtype, np.integer):
        hint = "" if values.dtype.kind == "f" else f"; {NUMBER_CLASSES}"
        raise DataError(
            f"{where} has dtype {values.dtype}; labels must be integers 0..C-1{hint}"
            ' (or numbers, with [data] task = "regression")'
        )
    labels = np.ascontiguousarray(values.astype(np.int64))
    if labels.size and labels.min() < 0:
        raise DataError(
            f"{where} has the label {int(labels.min())}; labels must be 0..C-1; {NUMBER_CLASSES}"
        )
    return labels


def loses_digits(values: NDArray[np.float64], narrow: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether float32 rounds a column of numbers too coarsely, [F] of `values` [N, F], or of [N].

    It does if rounding changes a value by more than a ten-thousandth of the column's standard
    deviation: of seconds since 1970 it keeps only every 128th.
    """
    error = np.abs(narrow.astype(np.float64) - values).max(axis=0)
    return np.asarray(error > COARSEST_ROUNDING * values.std(axis=0))


def check_classes(labels: Labels, where: str) -> None:
    """Make sure that there are at least two classes, and samples of every class.

    Raises:
        DataError: There is only one class, or a class number without a sample.
    """
    classes = np.unique(labels)
    if len(classes) == 1:
        raise DataError(f"{where} has one class only (label {int(classes[0])})")
    if classes[-1] != len(classes) - 1:
        absent = int(np.argmax(classes != np.arange(len(classes))))
        raise DataError(
            f"{where} has labels up to {int(classes[-1])} but no sample of class {absent}; "
            f"labels must be 0..C-1 without a gap; {NUMBER_CLASSES}"
        )


def token_type(highest: int) -> "np.dtype[Any]":
    """Return the smallest integer type for token ids up to `highest` that torch can index with.

    torch cannot index with uint16 and uint32.
    """
    kinds = (np.uint8, np.int16, np.int32)
    return np.dtype(next(kind for kind in kinds if highest <= np.iinfo(kind).max))


def _check_part(
    named: Mapping[str, NDArray[Any]], part: str, where: str, task: Task
) -> tuple[Inputs, Inputs]:
    """Check the inputs and labels of the training, validation or test samples."""
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
    inputs, labels = _check_inputs(raw_inputs, x), check_labels(raw_labels, y, task)
    if len(inputs) != len(labels):
        raise DataError(f"{x} and y_{part} differ in length: {len(inputs)} and {len(labels)}")
    if task == "segmentation":
        check_mask_sizes(inputs.shape[1:], labels, f"{x} and y_{part}")
    return inputs, labels


def _check_inputs(values: NDArray[Any], where: str) -> Inputs:
    shape = list(values.shape)
    if values.ndim not in (2, 3, 4):
        raise DataError(f"{where} has shape {shape}; allowed: [N, F], [N, T, F], [N, C, H, W]")
    if values.size == 0:
        raise DataError(f"{where} is empty (shape {shape})")
    wide, values = values, _as_uint8_or_float32(values, where)
    if wide.dtype.itemsize >= 4 and wide.dtype != np.float32:  # noqa: PLR2004
        _check_digits(wide, values, where)
    check_channels_first(values.shape[1:], values.dtype, where)
    if values.ndim == 3 and values.dtype == np.uint8:  # noqa: PLR2004 - grey images
        values = values[:, None]
    # Writable, because torch warns about memory that is not.
    return np.require(values, requirements=("C", "W"))


def _check_digits(wide: NDArray[Any], narrow: Inputs, where: str) -> None:
    """Make sure that float32 keeps the digits of each feature, or of each channel of images."""
    axis = 1 if wide.ndim == 4 else -1  # noqa: PLR2004 - [N, C, H, W]
    numbers, rounded = (
        np.moveaxis(one, axis, -1).reshape(-1, one.shape[axis]) for one in (wide, narrow)
    )
    lost = loses_digits(numbers.astype(np.float64), rounded)
    if lost.any():
        place = int(np.argmax(lost))
        kind = "channel" if axis == 1 else "column"
        raise DataError(
            f"{where}: float32 keeps too few digits of {kind} {place} (for example"
            f" {numbers[0, place]}); subtract its mean first, and divide by its deviation"
        )


def _as_uint8_or_float32(values: NDArray[Any], where: str) -> Inputs:
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "iuf":
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
    return np.ascontiguousarray(values.astype(token_type(high)))


def _check_agreement(
    train: tuple[Inputs, Inputs], other: tuple[Inputs, Inputs], part: str, where: str, task: Task
) -> None:
    """Make sure that another part has the shape, the type and the classes of the training one."""
    (inputs, labels), (other_inputs, other_labels) = train, other
    if inputs.shape[1:] != other_inputs.shape[1:]:
        raise DataError(
            f"{where}: samples of x_train have shape {list(inputs.shape[1:])}, "
            f"of x_{part} {list(other_inputs.shape[1:])}"
        )
    if labels.shape[1:] != other_labels.shape[1:] and task != "language":
        raise DataError(
            f"{where}: y_train has shape {list(labels.shape)}, y_{part} {list(other_labels.shape)}"
        )
    if inputs.dtype != other_inputs.dtype and task != "language":
        raise DataError(f"{where}: x_train is {inputs.dtype}, x_{part} is {other_inputs.dtype}")
    if task == "segmentation":
        check_known_classes(other_labels, check_mask_classes(labels, where), f"{where}: y_{part}")
    if task == "classification" and other_labels.max() > labels.max():
        known, found = int(labels.max()), int(other_labels.max())
        raise DataError(f"{where}: y_{part} has the label {found}, y_train only 0..{known}")
