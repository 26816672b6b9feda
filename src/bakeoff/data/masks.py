"""Masks: the class of every pixel of an image, bytes [N, H, W] with values 0..C-1 or `IGNORED`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import DataError

Masks = NDArray[np.uint8]

IGNORED = 255
"""The value of pixels that count neither in the loss nor in a metric.

Source: the border of objects in Pascal VOC (Everingham et al. 2010), and Cityscapes
"""
IMAGES = 4
"""Dimensions of images [N, C, H, W]."""
MAX_LISTED = 5
"""Classes that a note lists."""
CHUNK_MASKS = 256
"""Masks that are counted at once, because counting takes eight bytes a pixel."""


def check_masks(values: NDArray[Any], where: str) -> Masks:
    """Return masks [N, H, W] as bytes.

    Raises:
        DataError: They have another shape, or hold anything but 0..254 and 255.
    """
    if values.ndim == IMAGES and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 3:  # noqa: PLR2004 - [N, H, W]
        raise DataError(
            f"{where} has shape {list(values.shape)}; masks must be [N, H, W], a class per pixel"
        )
    if values.size == 0:
        raise DataError(f"{where} is empty (shape {list(values.shape)})")
    if values.dtype.kind not in "biu":
        raise DataError(f"{where} has dtype {values.dtype}; masks must hold integers 0..C-1")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > IGNORED:
        raise DataError(
            f"{where} holds {low if low < 0 else high}; masks hold classes 0..C-1 up to"
            f" {IGNORED - 1}, and {IGNORED} where a pixel is to be ignored"
        )
    return np.ascontiguousarray(values.astype(np.uint8))


def check_mask_sizes(image_shape: tuple[int, ...], masks: Masks, where: str) -> None:
    """Make sure that samples are images [C, H, W], and as large as their masks [N, H, W].

    Raises:
        DataError: They are not.
    """
    if len(image_shape) != IMAGES - 1:
        raise DataError(
            f"{where}: samples have shape {list(image_shape)}; segmentation takes images"
            " [N, C, H, W], or grey ones [N, H, W] as bytes"
        )
    if image_shape[1:] != masks.shape[1:]:
        sizes = [f"{shape[0]} x {shape[1]}" for shape in (image_shape[1:], masks.shape[1:])]
        raise DataError(f"{where}: images have {sizes[0]} pixels, masks {sizes[1]}")


def count_pixels(masks: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """Return how many pixels have each class, [C], without those that are ignored."""
    counts = np.zeros(IGNORED + 1, dtype=np.int64)
    for first in range(0, len(masks), CHUNK_MASKS):
        chunk = np.asarray(masks[first : first + CHUNK_MASKS])
        counts += np.bincount(chunk.ravel(), minlength=IGNORED + 1)
    return counts[:IGNORED][:num_classes]


def check_mask_classes(train: Masks, where: str) -> int:
    """Return the number of classes; there are at least two, and pixels of every class.

    Raises:
        DataError: There is only one class, or a class without a pixel.
    """
    counts = count_pixels(train, IGNORED)
    classes = np.flatnonzero(counts)
    hint = f"; classes must be 0..C-1 without a gap, and {IGNORED} is ignored"
    if len(classes) < 2:  # noqa: PLR2004 - said in the message
        found = f"one class only ({classes[0]})" if len(classes) else "no class at all"
        raise DataError(f"{where} has {found}{hint}")
    if classes[-1] != len(classes) - 1:
        absent = int(np.argmax(classes != np.arange(len(classes))))
        raise DataError(f"{where} has classes up to {classes[-1]}, but no pixel of {absent}{hint}")
    return len(classes)


def check_known_classes(masks: Masks, num_classes: int, where: str) -> None:
    """Make sure that another part has no class that the training masks lack.

    Raises:
        DataError: It has.
    """
    unknown = np.flatnonzero(count_pixels(masks, IGNORED)[num_classes:])
    if len(unknown):
        raise DataError(
            f"{where} has pixels of class {num_classes + unknown[0]}, the training masks only of"
            f" 0..{num_classes - 1}"
        )


def ignored_notes(masks: Masks, part: str) -> Iterator[str]:
    """Says how many pixels of a part are ignored, if any are."""
    num_ignored = sum(
        int((masks[first : first + CHUNK_MASKS] == IGNORED).sum())
        for first in range(0, len(masks), CHUNK_MASKS)
    )
    if num_ignored:
        yield (
            f"{num_ignored / masks.size:.1%} of the {part} pixels have the value {IGNORED}, which"
            " loss and metrics ignore"
        )


def absent_class_notes(counts: NDArray[np.int64], part: str) -> Iterator[str]:
    """Says which classes no pixel of a part has, from its counts [C]."""
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        listed = ", ".join(map(str, absent[:MAX_LISTED]))
        yield f"no {part} pixel has the class {listed}" + (
            f" and {len(absent) - MAX_LISTED} more" if len(absent) > MAX_LISTED else ""
        )
