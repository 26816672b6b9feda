"""Lists image folders: PATH/train/<class>/* and PATH/test/<class>/*, or PATH/<class>/* alone.

torchvision's `ImageFolder` is not used: importing it imports torch, and it tells neither sizes nor
modification times of the files, which decide whether the decoded images are up to date.
"""

import hashlib
import json
import os
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from bakeoff.data.splits import Labels, hold_out_test
from bakeoff.errors import DataError

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"
)  # fmt: skip
"""Source: those of torchvision.datasets.ImageFolder, and .gif."""
FOLDER_FORMAT = 1
"""Increase this when the same images would be decoded to something else."""


@dataclass(frozen=True, kw_only=True)
class ImagePart:
    """The images of the training or the test set, class by class."""

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
    state: str
    """Changes with the path, size and modification time of every file."""
    test_is_reserved: bool
    """Whether the test set was drawn from the images, because the folder has none."""


def list_images(root: Path) -> ImageFolder:
    """List the images below `root`.

    If `root` has a folder `train`, the folders in it are the classes, and those of `test` are the
    test set. Otherwise the folders of `root` are the classes. Without a test set, a stratified
    fifth is reserved for testing, always the same one. Names that begin with a dot, and files
    without the suffix of an image, are left out.

    Raises:
        DataError: The folder does not exist, has fewer than two classes, or a class has no images.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}")
    train_root = root / "train" if (root / "train").is_dir() else root
    class_names = _class_names(train_root)
    if len(class_names) < 2:  # noqa: PLR2004 - said in the message
        raise DataError(
            f"{train_root}: has {len(class_names)} class folders; allowed: two or more folders of "
            "images, one for each class"
        )
    digest = hashlib.sha256(json.dumps([FOLDER_FORMAT, str(root), class_names]).encode())
    train = _list_part(train_root, class_names, digest, needs_all=True)
    has_test = train_root != root and (root / "test").is_dir()
    if has_test:
        for name in _class_names(root / "test"):
            if name not in class_names:
                raise DataError(f"{root / 'test' / name}: the training data has no class {name!r}")
        test = _list_part(root / "test", class_names, digest, needs_all=False)
    else:
        train, test = (
            ImagePart(files=[train.files[row] for row in rows], labels=train.labels[rows])
            for rows in hold_out_test(train.labels, "classification", str(root))
        )
    return ImageFolder(
        class_names=class_names,
        train=train,
        test=test,
        state=digest.hexdigest()[:16],
        test_is_reserved=not has_test,
    )


def _class_names(part: Path) -> tuple[str, ...]:
    try:
        with os.scandir(part) as entries:
            names = [one.name for one in entries if one.is_dir() and not one.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{part}: {error.strerror or error}") from None
    return tuple(sorted(names))


def _list_part(
    part: Path, class_names: tuple[str, ...], digest: "hashlib._Hash", *, needs_all: bool
) -> ImagePart:
    """List all images of one part; `digest` is updated with the state of its files."""
    files: list[str] = []
    counts = []
    for name in class_names:
        found = _list_class(part / name, digest) if (part / name).is_dir() else []
        if needs_all and not found:
            raise DataError(f"{part / name}: has no images ({', '.join(IMAGE_SUFFIXES)})")
        files += found
        counts.append(len(found))
    if not files:
        raise DataError(f"{part}: has no images ({', '.join(IMAGE_SUFFIXES)})")
    return ImagePart(files=files, labels=np.repeat(np.arange(len(class_names)), counts))


def _list_class(folder: Path, digest: "hashlib._Hash") -> list[str]:
    """Return the paths of the images below `folder`, in order.

    A second start does little else than this. The files are asked for their size through the open
    folder, because that takes half the time that it takes by the whole path.
    """
    files: list[str] = []
    try:
        # `fwalk` does not enter a link, so a class folder that is one is resolved first.
        for path, folders, names, descriptor in os.fwalk(folder.resolve(), onerror=_raise):
            folders[:] = sorted(name for name in folders if name[0] != ".")
            images = sorted(
                name for name in names if name[0] != "." and name.lower().endswith(IMAGE_SUFFIXES)
            )
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
