"""Finds out which folders hold the classes of the training, the validation and the test set."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import DataError

PART_NAMES = {"training": "train|training", "test": "test|testing",
              "validation": "val|valid|validation|dev"}  # fmt: skip
PART_NAME = r"(?:x[ _-]?)?(?:{})[ _-]?(?:sets?|data|images?|imgs?|pictures|samples|split)?\d*"
"""Names of the folders of the parts, in any case, such as `Training` and `test_set`. Without a
folder of the first kind all folders are classes, since a class may be called `valid`."""
SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})
"""Folders that systems add to those of their users."""
MASKS = frozenset({"mask", "masks", "label", "labels", "annotations", "segmentation"})
PICTURES = frozenset({"image", "images", "img", "imgs", "pictures"})
"""Names in small letters of two folders that hold pictures and what is drawn on them."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The folders that hold the classes of the training, the validation and the test set."""

    train: Path
    validation: Path | None
    test: Path | None
    notes: tuple[str, ...]


def find_parts(root: Path) -> Parts:
    """Find the folders of the parts below `root`; without one for training, all are classes.

    Raises:
        DataError: It is not clear which folder is which part.
    """
    folders = class_names_in(root)
    found = {
        kind: [name for name in folders if re.fullmatch(PART_NAME.format(words), name.lower())]
        for kind, words in PART_NAMES.items()
    }
    parts = [name for names in found.values() for name in names]
    others = [name for name in folders if name not in parts]
    if len(parts) == 1 and len(others) > 1 and not class_names_in(root / parts[0]):
        # nothing in it is a class, so it may be one itself: a train is a vehicle
        return Parts(train=root, validation=None, test=None, notes=_as_classes(parts))
    for kind, several in found.items():
        if found["training"] and len(several) > 1:
            raise DataError(f"{root}: {' and '.join(several)} could both be the {kind} set")
    if not found["training"]:
        if len(parts) > 1 and len(parts) == len(folders):
            raise DataError(
                f"{root}: holds {' and '.join(parts)}, but no folder train; rename the folder of"
                " the training images to train"
            )
        _check_apart(root, parts, others)
        return Parts(train=root, validation=None, test=None, notes=_as_classes(parts))
    train, notes = found["training"][0], []
    labelled: dict[str, Path] = {}
    for kind in ("validation", "test"):
        for name in found[kind]:
            if class_names_in(root / name):
                labelled[kind] = root / name
            else:
                notes.append(f"{name} is left out: it holds no folders of classes, so no labels")
    if others:
        notes.append(f"folders beside {train} are left out: {', '.join(others)}")
    return Parts(
        train=root / train,
        validation=labelled.get("validation"),
        test=labelled.get("test"),
        notes=tuple(notes),
    )


def _check_apart(root: Path, parts: list[str], classes: list[str]) -> None:
    """Refuse a test folder beside the folders of its classes."""
    for name in parts:
        if {*class_names_in(root / name)} & {*classes}:
            raise DataError(
                f"{root}: {name} holds folders of the same names as those beside it; move the"
                " others into a folder train"
            )


def _as_classes(names: list[str]) -> tuple[str, ...]:
    return tuple(f"{name} is taken as a class, as the folders beside it" for name in names)


def check_class_names(names: tuple[str, ...], folder: Path) -> None:
    """Make sure that the folders in `folder` may be classes.

    Raises:
        DataError: There are fewer than two, or they are pictures and their masks.
    """
    if len(names) < 2:  # noqa: PLR2004 - said in the message
        inner = [one for one in names if len(class_names_in(folder / one)) > 1]
        hint = f"; did you mean folder:{folder / inner[0]}?" if inner else ""
        raise DataError(
            f"{folder}: has {len(names)} class folders; allowed: two or more folders of "
            f"images, one for each class{hint}"
        )
    small = {name.lower() for name in names}
    if len(names) == 2 and small & MASKS and small & PICTURES:  # noqa: PLR2004 - said
        raise DataError(
            f"{folder}: {' and '.join(names)} look like pictures and their masks, not like classes;"
            ' [data] task = "segmentation" trains on masks'
        )


def twin_notes(names: tuple[str, ...]) -> list[str]:
    """Says which names of classes differ in their letters' case only."""
    seen: dict[str, str] = {}
    pairs = [(seen.setdefault(name.lower().strip(), name), name) for name in names]
    return [f"{one!r} and {two!r} are two classes" for one, two in pairs if one != two]


def class_names_in(part: Path) -> tuple[str, ...]:
    """Names of the folders in `part`, sorted, without hidden ones and those of systems.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with os.scandir(part) as entries:
            names = [
                one.name
                for one in entries
                if one.is_dir() and not one.name.startswith(".") and one.name not in SYSTEM_FOLDERS
            ]
    except OSError as error:
        raise DataError(f"{part}: {error.strerror or error}") from None
    return tuple(sorted(names))
