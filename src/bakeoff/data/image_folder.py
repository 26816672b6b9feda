"""Image folders: PATH/train/<class>/* and PATH/test/<class>/*, or PATH/<class>/* alone."""

import hashlib
import json
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from bakeoff.data.arrays import TEST_FRACTION, TEST_SEED
from bakeoff.data.splits import Indices, Labels, hold_out
from bakeoff.errors import DataError

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"
)  # fmt: skip
"""Source: those of torchvision.datasets.ImageFolder, and .gif."""
FOLDER_FORMAT = 1
"""Raised when the same images would be decoded to something else."""


@dataclass(frozen=True, kw_only=True)
class ImagePart:
    """The images of one part, class by class; their paths are put together when needed."""

    folders: tuple[tuple[str, tuple[str, ...]], ...]
    """Folders with the names of the images in them."""
    rows: Indices
    """Which of all these images belong to the part, [N]."""
    labels: Labels
    """Their classes, [N]."""

    @property
    def files(self) -> list[str]:
        """Paths of the images, [N]."""
        paths = [f"{folder}/{name}" for folder, names in self.folders for name in names]
        return [paths[row] for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """The image files below a folder, none of them opened."""

    class_names: tuple[str, ...]
    """Names of the class folders, sorted."""
    train: ImagePart
    test: ImagePart
    state: str
    """Changes with every file's path, size and time of change."""


def list_images(root: Path) -> ImageFolder:
    """The images below `root`.

    With a folder `train` there, its folders are the classes, and those of `test` are the test
    set; else the folders of `root` are. Without a test set, a stratified fifth of each class is
    locked away, always the same one. Names that begin with a dot, and files that are no images
    by their suffix, are left out.

    Raises:
        DataError: There is no such folder, or fewer than two classes, or a class has no images.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(f"{root}: {'is no folder' if root.exists() else 'no such folder'}")
    train_root = root / "train" if (root / "train").is_dir() else root
    class_names = _class_names(train_root)
    digest = hashlib.sha256(json.dumps([FOLDER_FORMAT, str(root), class_names]).encode())
    train = _list_part(train_root, class_names, digest)
    if train_root != root and (root / "test").is_dir():
        _check_test_classes(root / "test", class_names)
        test = _list_part(root / "test", class_names, digest)
    else:
        train, test = _lock_test_set(root, train)
    return ImageFolder(
        class_names=class_names, train=train, test=test, state=digest.hexdigest()[:16]
    )


def _class_names(part: Path) -> tuple[str, ...]:
    with _visible(str(part)) as entries:
        names = tuple(entry.name for entry in entries if entry.is_dir())
    if len(names) < 2:  # noqa: PLR2004 - said in the message
        raise DataError(
            f"{part}: has {len(names)} class folders; allowed: two or more folders of images, "
            "one for each class"
        )
    return names


def _check_test_classes(part: Path, class_names: tuple[str, ...]) -> None:
    with _visible(str(part)) as entries:
        for entry in entries:
            if entry.is_dir() and entry.name not in class_names:
                raise DataError(
                    f"{part / entry.name}: the training data has no class {entry.name!r}"
                )


def _list_part(part: Path, class_names: tuple[str, ...], digest: "hashlib._Hash") -> ImagePart:
    """All images of one part; of the test set a class may be missing."""
    folders: list[tuple[str, tuple[str, ...]]] = []
    counts = []
    for name in class_names:
        found = _list_folder(str(part / name), digest) if (part / name).is_dir() else []
        counts.append(sum(len(names) for _, names in found))
        if not counts[-1] and part.name != "test":
            raise DataError(f"{part / name}: has no images ({', '.join(IMAGE_SUFFIXES)})")
        folders += found
    if not any(counts):
        raise DataError(f"{part}: has no images ({', '.join(IMAGE_SUFFIXES)})")
    return ImagePart(
        folders=tuple(folders),
        rows=np.arange(sum(counts)),
        labels=np.repeat(np.arange(len(class_names)), counts),
    )


def _list_folder(folder: str, digest: "hashlib._Hash") -> list[tuple[str, tuple[str, ...]]]:
    """`folder` and those below it with the names of their images, in order.

    A second start does little else than this, so it is written to be quick.
    """
    with _visible(folder) as entries:
        images = [entry for entry in entries if _is_image(entry.name)]
        try:
            stats = [entry.stat() for entry in images]
        except OSError as error:  # a link that leads nowhere
            raise DataError(f"{folder}/{error.filename}: {error.strerror}") from None
        below = [
            f"{folder}/{entry.name}"
            for entry in entries
            if not _is_image(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    names = [entry.name for entry in images]
    states = array("q", [number for one in stats for number in (one.st_size, one.st_mtime_ns)])
    digest.update(json.dumps([folder, *names]).encode())
    digest.update(states.tobytes())
    return [(folder, tuple(names)), *(one for path in below for one in _list_folder(path, digest))]


def _is_image(name: str) -> bool:
    return name.endswith(IMAGE_SUFFIXES) or name.lower().endswith(IMAGE_SUFFIXES)


@contextmanager
def _visible(folder: str) -> Iterator[list[os.DirEntry[str]]]:
    """What is in a folder, by name, without what begins with a dot; `path` of each is its name.

    The folder stays open, because asking for a file's size in an open folder takes half the time
    that it takes by the whole path.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from None
    try:
        with os.scandir(descriptor) as entries:
            listed = [entry for entry in entries if entry.name[0] != "."]
        yield sorted(listed, key=attrgetter("name"))
    finally:
        os.close(descriptor)


def _lock_test_set(root: Path, part: ImagePart) -> tuple[ImagePart, ImagePart]:
    try:
        kept, held = hold_out(part.labels, TEST_FRACTION, TEST_SEED)
    except ValueError as error:
        raise DataError(f"{root}: no test set, and {error} as one") from None
    train, test = (
        ImagePart(folders=part.folders, rows=rows, labels=part.labels[rows])
        for rows in (kept, held)
    )
    return train, test
