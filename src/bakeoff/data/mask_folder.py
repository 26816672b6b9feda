"""Image folders with masks: images/ and masks/ of equal file names, below train/ and others if any.

A mask is a grey or palette picture whose pixel values are the classes. Its file has the name of its
image, whatever the endings of both are.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bakeoff.data.array_cache import About, load_filled, write_array
from bakeoff.data.array_notes import part_notes
from bakeoff.data.arrays import Arrays
from bakeoff.data.folder_parts import MASKS, PICTURES, class_names_in, find_parts
from bakeoff.data.image_decoding import (
    CHANGES,
    PROGRESS_FILE,
    ImageForm,
    decode_images,
    naming,
    read_form,
)
from bakeoff.data.image_folder import list_files
from bakeoff.data.masks import (
    IGNORED,
    Masks,
    check_known_classes,
    check_mask_classes,
    count_pixels,
    ignored_notes,
)
from bakeoff.data.reading_progress import Advance, showing_progress
from bakeoff.data.splits import hold_out_test
from bakeoff.errors import DataError

MASK_MODES = ("1", "L", "P")
"""Pillow's names for pixels that can be classes: black and white, grey, and places in a palette."""
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".avif", ".jp2", ".webp")
"""Formats that change the values of pixels."""
MASK_FOLDER_FORMAT = 1
"""Increase this when the same files would be decoded to something else."""


@dataclass(frozen=True, kw_only=True)
class MaskedPart:
    """The images of the training, the validation or the test set, and their masks, in one order."""

    images: tuple[str, ...]
    """Paths of the images, [N]."""
    masks: tuple[str, ...]
    """Paths of their masks, [N]."""

    def select(self, rows: NDArray[np.int64]) -> "MaskedPart":
        """Some of them."""
        return MaskedPart(
            images=tuple(self.images[row] for row in rows),
            masks=tuple(self.masks[row] for row in rows),
        )


@dataclass(frozen=True, kw_only=True)
class MaskFolder:
    """The files below a folder; none of them has been opened."""

    parts: dict[str, MaskedPart]
    """By `train`, `test` and, if there is such a folder, `validation`."""
    state: str
    """Changes with the path, size and modification time of every file."""
    test_is_reserved: bool
    notes: tuple[str, ...]


def load_mask_folder(root: Path, image_size: int | None) -> tuple[Arrays, str]:
    """Return the images and masks below `root`, mapped into memory, and their fingerprint.

    Raises:
        DataError: As `list_masked_images` and `decode_mask`, an image cannot be decoded, the
            classes have a gap, or the cache folder cannot be written.
    """
    found = list_masked_images(root)

    def fill(folder: Path) -> About:
        folder.mkdir(exist_ok=True)
        images = {f"{name}_inputs": part.images for name, part in found.parts.items()}
        with showing_progress(f"decoding {root.name}") as advance:
            changes = decode_images(images, folder, image_size, advance)
        form = read_form(found.parts["train"].images[0], image_size)
        with showing_progress(f"decoding masks of {root.name}") as advance:
            masks = _decode_masks(found.parts, form, advance)
        num_classes = _check_classes(masks, root, is_reserved=found.test_is_reserved)
        for name, array in masks.items():
            write_array(folder, f"{name}_labels", array)
        (folder / PROGRESS_FILE).unlink()
        changed = [note.format(changes[kind]) for kind, note in CHANGES.items() if changes[kind]]
        named = {
            f"the {name} set": np.load(folder / f"{name}_inputs.npy", mmap_mode="r")
            for name in masks
        }
        train = named.pop("the train set")
        ignored = [note for name, array in masks.items() for note in ignored_notes(array, name)]
        return About(
            class_names=tuple(map(str, range(num_classes))),
            test_is_reserved=found.test_is_reserved,
            notes=(*found.notes, *changed, *part_notes(train, named), *ignored),
        )

    size = "" if image_size is None else f"-{image_size}"
    return load_filled(f"masks-{found.state}{size}", fill)


def list_masked_images(root: Path) -> MaskFolder:
    """List the images and masks below `root`.

    If `root` has a folder `train`, its folders `images` and `masks` are the training set, those of
    `val` the validation set and those of `test` the test set. Otherwise `root` holds both itself.
    Without a test set, a fifth of the images is reserved for testing, always the same one.

    Raises:
        DataError: A folder or a mask is missing, or a mask has no image.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}")
    digest = hashlib.sha256(json.dumps([MASK_FOLDER_FORMAT, str(root)]).encode())
    found = find_parts(root)
    notes, left_out = list(found.notes), Counter[str]()
    parts: dict[str, MaskedPart] = {}
    folders = {"train": found.train, "validation": found.validation, "test": found.test}
    for name, folder in folders.items():
        if folder is not None:
            digest.update(name.encode())
            parts[name] = _list_part(folder, digest, left_out)
    if found.validation is not None:
        count = len(parts["validation"].images)
        notes.append(
            f"validation samples are those of the folder {found.validation.name} ({count:,})"
        )
    if found.test is None:
        whole = parts["train"]
        kept, held = hold_out_test(np.arange(len(whole.images)), "segmentation", str(root))
        parts |= {"train": whole.select(kept), "test": whole.select(held)}
    if left_out:
        notes.append(f"{sum(left_out.values())} files that are no images are left out")
    return MaskFolder(
        parts=parts,
        state=digest.hexdigest()[:16],
        test_is_reserved=found.test is None,
        notes=tuple(notes),
    )


def _list_part(folder: Path, digest: "hashlib._Hash", left_out: Counter[str]) -> MaskedPart:
    """Pair the images of one part with their masks."""
    pair = []
    for known, usual in ((PICTURES, "images"), (MASKS, "masks")):
        names = [name for name in class_names_in(folder) if name.lower() in known]
        if len(names) != 1:
            what = " and ".join(names) or "nothing of this kind"
            raise DataError(
                f"{folder}: expected folders images and masks of equal file names, found {what} for"
                f" {usual}"
            )
        pair.append(_by_name(folder / names[0], digest, left_out))
    images, masks = pair
    for one, other, what in ((images, masks, "mask"), (masks, images, "image")):
        lacking = sorted(one.keys() - other.keys())
        if lacking:
            more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
            raise DataError(f"{one[lacking[0]]}: has no {what}{more}")
    if not images:
        raise DataError(f"{folder}: has no images")
    names = sorted(images)
    for name in names:
        if masks[name].lower().endswith(LOSSY_SUFFIXES):
            raise DataError(
                f"{masks[name]}: its format changes the values of pixels, which are classes; save"
                " masks as PNG"
            )
    return MaskedPart(
        images=tuple(images[name] for name in names), masks=tuple(masks[name] for name in names)
    )


def _by_name(folder: Path, digest: "hashlib._Hash", left_out: Counter[str]) -> dict[str, str]:
    """Paths of the images below `folder` by their place in it without the ending.

    Raises:
        DataError: Two files differ in their endings only.
    """
    found: dict[str, str] = {}
    base = folder.resolve()
    for file in list_files(folder, digest, left_out):
        name = str(PurePath(file).relative_to(base).with_suffix(""))
        if name in found:
            raise DataError(f"{file}: has the name of {found[name]}")
        found[name] = file
    return found


def _decode_masks(
    parts: dict[str, MaskedPart], form: ImageForm, advance: Advance
) -> dict[str, Masks]:
    """Masks [N, H, W] by name of the part."""
    total, done = sum(len(part.masks) for part in parts.values()), 0
    found: dict[str, Masks] = {}
    for name, part in parts.items():
        found[name] = np.empty((len(part.masks), form.height, form.width), dtype=np.uint8)
        for row, file in enumerate(part.masks):
            found[name][row] = decode_mask(file, form)
            done += 1
            advance(done, total)
    return found


def decode_mask(path: str, form: ImageForm) -> Masks:
    """Decode one mask to [H, W], as its image is turned, cropped and scaled.

    Raises:
        DataError: It is damaged, in colour, has pixels of more than 8 bits, or not the size of the
            images.
    """
    size = form.width, form.height
    with naming(path), Image.open(path) as image:
        if image.mode not in MASK_MODES:
            raise DataError(
                f"{path}: has the colours {image.mode}; masks are grey or palette pictures of 8"
                " bits whose pixel values are classes"
            )
        upright = ImageOps.exif_transpose(image)
        if form.resized:
            upright = ImageOps.fit(upright, size, Image.Resampling.NEAREST)
        if upright.size != size:
            found = f"{upright.width}x{upright.height}"
            raise DataError(f"{path}: is {found}, images are {form.width}x{form.height}")
        return np.asarray(upright).astype(np.uint8)


def _check_classes(masks: dict[str, Masks], root: Path, *, is_reserved: bool) -> int:
    """The number of classes of the masks to train on, and of those reserved from them for testing.

    Raises:
        DataError: There is one class only, a gap, or a class that only other masks have.
    """
    known: Sequence[str] = ("train", "test") if is_reserved else ("train",)
    both = np.concatenate([masks[name] for name in known])
    num_classes = check_mask_classes(both, f"{root}")
    for name, array in masks.items():
        check_known_classes(array, num_classes, f"{root}: the {name} set")
        if not count_pixels(array, IGNORED).any():
            raise DataError(f"{root}: every pixel of the {name} set is ignored")
    return num_classes
