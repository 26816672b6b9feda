"""Lists image folders: PATH/train/<class>/* and PATH/test/<class>/*, or PATH/<class>/* alone.

Folders of the parts may be called otherwise (`Training`, `Testing`, `val`). What is guessed or left
out is said in notes.

torchvision's `ImageFolder` is not used: importing it imports torch, and it tells neither sizes nor
modification times of the files, which decide whether the decoded images are up to date.
"""

import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from bakeoff.data.folder_parts import (
    check_class_names,
    class_names_in,
    find_parts,
    twin_notes,
)
from bakeoff.data.splits import Labels, hold_out_test
from bakeoff.errors import DataError

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png",
    ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Source: those of torchvision.datasets.ImageFolder, and others of the same formats."""
MAX_LISTED = 5
"""Endings or classes that a note lists."""
LOOSE = "/"
"""Counts images outside of the folders of classes, among endings of files that are left out."""
FOLDER_FORMAT = 3
"""Increase this when the same images would be decoded to something else."""


@dataclass(frozen=True, kw_only=True)
class ImagePart:
    """The images of the training, the validation or the test set, class by class."""

    files: list[str]
    """Paths of the images, [N]."""
    labels: Labels
    """Their classes, [N]."""


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """The image files below a folder; none of them has been opened."""

    class_names: tuple[str, ...]
    """Names of the class folders, sorted."""
    train: ImagePart
    test: ImagePart
    validation: ImagePart | None
    """None if validation samples are drawn from the training images."""
    state: str
    """Changes with the path, size and modification time of every file."""
    test_is_reserved: bool
    """Whether the test set was drawn from the images, because the folder has none."""
    notes: tuple[str, ...] = ()
    """What was guessed or left out, each as a sentence without a full stop."""


def list_images(root: Path) -> ImageFolder:
    """List the images below `root`.

    If `root` has a folder `train`, the folders in it are the classes, those of `val` the validation
    set and those of `test` the test set. Otherwise the folders of `root` are the classes. Without a
    test set, a stratified fifth is reserved for testing, always the same one. Links to folders are
    followed. Names that begin with a dot, and files without the suffix of an image, are left out.

    Raises:
        DataError: The folder does not exist, has fewer than two classes, or a class has no images;
            or it is not clear which folders are which part.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}")
    parts = find_parts(root)
    train_root, notes = parts.train, [*parts.notes]
    class_names = class_names_in(train_root)
    check_class_names(class_names, train_root)
    notes += twin_notes(class_names)
    digest = hashlib.sha256(json.dumps([FOLDER_FORMAT, str(root), class_names]).encode())
    left_out = Counter[str]()
    train = _list_part(train_root, class_names, digest, left_out, needs_all=True)
    validation = None
    if parts.validation is not None:
        digest.update(b"validation")
        validation = _list_known_part(parts.validation, class_names, digest, left_out)
        notes += _absent_notes(validation, parts.validation, class_names)
        name, count = parts.validation.name, len(validation.files)
        notes.append(f"validation samples are those of the folder {name} ({count:,})")
    if parts.test is not None:
        digest.update(b"test")
        test = _list_known_part(parts.test, class_names, digest, left_out)
        notes += _absent_notes(test, parts.test, class_names)
    else:
        train, test = (
            ImagePart(files=[train.files[row] for row in rows], labels=train.labels[rows])
            for rows in hold_out_test(train.labels, "classification", str(root), class_names)
        )
    loose = left_out.pop(LOOSE, 0)
    if loose:
        notes.append(f"{loose} images outside of the folders of classes are left out")
    if left_out:
        endings = ", ".join(f"{end} ({num})" for end, num in left_out.most_common(MAX_LISTED))
        notes.append(f"{sum(left_out.values())} files that are no images are left out: {endings}")
    return ImageFolder(
        class_names=class_names,
        train=train,
        test=test,
        validation=validation,
        state=digest.hexdigest()[:16],
        test_is_reserved=parts.test is None,
        notes=tuple(notes),
    )


def _absent_notes(part: ImagePart, folder: Path, names: tuple[str, ...]) -> list[str]:
    absent = [name for label, name in enumerate(names) if label not in part.labels]
    shown = ", ".join(absent[:MAX_LISTED])
    return [f"{folder.name} has no images of {len(absent)} classes: {shown}"] if absent else []


def _list_known_part(
    part: Path, class_names: tuple[str, ...], digest: "hashlib._Hash", left_out: Counter[str]
) -> ImagePart:
    """List all images of the validation or test set, whose classes must be those of training."""
    for name in class_names_in(part):
        if name not in class_names:
            raise DataError(f"{part / name}: the training data has no class {name!r}")
    return _list_part(part, class_names, digest, left_out, needs_all=False)


def _list_part(
    part: Path,
    class_names: tuple[str, ...],
    digest: "hashlib._Hash",
    left_out: Counter[str],
    *,
    needs_all: bool,
) -> ImagePart:
    """List all images of one part.

    `digest` is updated with the state of its files, `left_out` with the endings of other files.
    """
    files: list[str] = []
    counts = []
    beside = [one.name for one in part.iterdir() if one.is_file()]
    left_out.update(_endings(beside))
    left_out[LOOSE] += sum(map(_is_image, beside))
    for name in class_names:
        found = list_files(part / name, digest, left_out) if (part / name).is_dir() else []
        if needs_all and not found:
            raise DataError(f"{part / name}: has no images ({', '.join(IMAGE_SUFFIXES)})")
        files += found
        counts.append(len(found))
    if not files:
        raise DataError(f"{part}: has no images ({', '.join(IMAGE_SUFFIXES)})")
    return ImagePart(files=files, labels=np.repeat(np.arange(len(class_names)), counts))


def _endings(names: Iterable[str]) -> list[str]:
    """The endings of the files that are no images, of those that are not hidden."""
    others = (name for name in names if name[0] != "." and not _is_image(name))
    return [Path(name).suffix.lower() or "no ending" for name in others]


def _is_image(name: str) -> bool:
    return name[0] != "." and name.lower().endswith(IMAGE_SUFFIXES)


def list_files(folder: Path, digest: "hashlib._Hash", left_out: Counter[str]) -> list[str]:
    """Return the paths of the images below `folder`, in order.

    A second start does little else than this. The files are asked for their size through the open
    folder, because that takes half the time that it takes by the whole path.
    """
    files: list[str] = []
    entered: set[tuple[int, int]] = set()
    try:
        walk = os.fwalk(folder.resolve(), onerror=_raise, follow_symlinks=True)
        for path, folders, names, descriptor in walk:
            here = os.fstat(descriptor)
            if (here.st_dev, here.st_ino) in entered:  # a link back to a folder
                folders[:] = []
                continue
            entered.add((here.st_dev, here.st_ino))
            folders[:] = sorted(name for name in folders if name[0] != ".")
            images = sorted(filter(_is_image, names))
            left_out.update(_endings(names))
            stats = [os.stat(name, dir_fd=descriptor) for name in images]
            state = [number for one in stats for number in (one.st_size, one.st_mtime_ns)]
            digest.update(json.dumps([path, *images]).encode())
            digest.update(array("q", state).tobytes())
            files += [f"{path}/{name}" for name in images]
    except OSError as error:  # for example a link that leads nowhere
        raise DataError(f"{folder}: {error.filename}: {error.strerror or error}") from None
    return files


def _raise(error: OSError) -> NoReturn:
    raise error
