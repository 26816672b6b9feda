"""Decodes image files once into one array on disk, by several processes, resumable after a kill.

Every chunk of files is written to its place in the array, flushed, and then noted in a progress
file. So what was decoded before a kill is kept. Pillow decodes the images, not torchvision: the
latter lacks BMP, PGM and TIFF, its resizing gives other bytes, and its import takes seconds in
every process.
"""

import contextlib
import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import repeat
from math import prod
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bakeoff.child_process import ignore_interrupts, num_cores, without_main_module
from bakeoff.data.array_cache import About, cannot_write, load_filled, write_array
from bakeoff.data.array_notes import part_notes
from bakeoff.data.arrays import Arrays
from bakeoff.data.image_folder import list_images
from bakeoff.data.reading_progress import Advance, showing_progress
from bakeoff.errors import DataError

MAX_PROCESSES = 8
"""More processes would wait for the disk."""
CHUNK_IMAGES = 256
"""Images that a process decodes before it notes its progress; a kill loses as many for each."""
PROGRESS_FILE = "progress.jsonl"
WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's names for pixels of more than 8 bits, which it cuts off instead of scaling them."""
GREY_MODES = ("1", "L")
COLOUR_MODES = ("RGB", "RGBA", "RGBX", "P", "PA")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
CHANGES = {
    "turned": "{} images are turned as their EXIF orientation says",
    "frames": "{} images have several frames or pages, of which the first is used",
    "alpha": "{} images have transparency, which is dropped",
    "grey": "{} grey images become colour, because others are",
    "converted": "{} images of other colour spaces (CMYK, for example) become RGB",
}
"""What decoding changes, as a note with the number of images."""
ORIENTATION_TAG, UPRIGHT = 0x0112, 1
TURNED, LYING = range(2, 9), range(5, 9)
"""EXIF orientations that are not upright, and those whose width and height change places.

Source: JEITA CP-3451 (EXIF 2.32), section 4.6.4 A
"""


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """The form of every decoded image."""

    channels: int
    """1 for grey, 3 for colour."""
    height: int
    width: int
    resized: bool
    """Whether images of other sizes are cropped and scaled to this size, or refused."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of one image."""
        return self.channels, self.height, self.width


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """Some files, and their place in one of the arrays."""

    array: str
    start: int
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.array} {self.start} {len(self.files)}"


class _ColourFoundError(Exception):
    """An image is in colour although the first one was grey."""


def load_image_folder(root: Path, image_size: int | None) -> tuple[Arrays, str]:
    """Return the images below `root`, mapped into memory, and their fingerprint.

    Raises:
        DataError: As `list_images` and `decode_images`, or the cache folder cannot be written.
    """
    images = list_images(root)

    def fill(folder: Path) -> About:
        folder.mkdir(exist_ok=True)
        parts = {"train_inputs": images.train.files, "test_inputs": images.test.files}
        if images.validation is not None:
            parts["validation_inputs"] = images.validation.files
            write_array(folder, "validation_labels", images.validation.labels)
        with showing_progress(f"decoding {root.name}") as advance:
            changes = decode_images(parts, folder, image_size, advance)
        write_array(folder, "train_labels", images.train.labels)
        write_array(folder, "test_labels", images.test.labels)
        (folder / PROGRESS_FILE).unlink()
        changed = (note.format(changes[kind]) for kind, note in CHANGES.items() if changes[kind])
        named = {
            f"the {name.partition('_')[0]} set": np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in parts
        }
        train = named.pop("the train set")
        return About(
            class_names=images.class_names,
            test_is_reserved=images.test_is_reserved,
            notes=(*images.notes, *changed, *part_notes(train, named)),
        )

    size = "" if image_size is None else f"-{image_size}"
    return load_filled(f"folder-{images.state}{size}", fill)


def decode_images(
    parts: Mapping[str, Sequence[str]], folder: Path, image_size: int | None, advance: Advance
) -> Counter[str]:
    """Write `<part>.npy` to `folder` for each of `parts`: uint8 [N, C, H, W] of its image files.

    Images are grey if all of them are, otherwise in colour; transparency is dropped. They are
    turned as their EXIF orientation says, as viewers show them. At most eight processes decode
    them. Called again after a kill, it continues from what was decoded.

    Args:
        parts: Paths of image files by name of the array, in order.
        folder: A folder that is kept from call to call and used by nobody else.
        image_size: Crop every image at its centre to a square and scale it to this many pixels;
            None takes the images as they are, and they must have one size.
        advance: Called with the progress.

    Returns:
        The number of images that were changed in each way of `CHANGES`.

    Raises:
        DataError: An image is damaged, of another size, or has pixels of more than 8 bits; or the
            disk has not enough space.
    """
    first = next(file for files in parts.values() for file in files)
    form = read_form(first, image_size)
    colour = replace(form, channels=3)
    if _done_before(colour, folder) is not None:  # it was killed after a colour image was found
        form = colour
    try:
        return _decode_as(form, parts, folder, advance)
    except _ColourFoundError:
        (folder / PROGRESS_FILE).unlink()
        return _decode_as(colour, parts, folder, advance)


def read_form(path: str, image_size: int | None) -> ImageForm:
    """Return the form of the image at `path`, from its header.

    Raises:
        DataError: The image is damaged.
    """
    with naming(path), Image.open(path) as image:
        stored = image.size[::-1] if _orientation(image) in LYING else image.size
        width, height = stored if image_size is None else (image_size, image_size)
        channels = 1 if image.mode in GREY_MODES else 3
    return ImageForm(channels=channels, height=height, width=width, resized=image_size is not None)


def _orientation(image: Image.Image) -> int:
    """How the picture was stored: 1 upright, other values turned or mirrored."""
    return int(image.getexif().get(ORIENTATION_TAG, UPRIGHT) or UPRIGHT)


def decode_image(path: str, form: ImageForm) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode one image file to [C, H, W], and say in which ways of `CHANGES` it was changed.

    Raises:
        DataError: The image is damaged, or not of this form.
        _ColourFoundError: It is in colour, but should be grey.
    """
    size = form.width, form.height
    with naming(path), Image.open(path) as image:
        if image.mode in WIDE_MODES:
            raise DataError(f"{path}: has pixels of more than 8 bits; convert it to 8 bits")
        if form.channels == 1 and image.mode not in GREY_MODES:
            raise _ColourFoundError
        mode = "L" if form.channels == 1 else "RGB"
        changes = _changes(image, form)
        if form.resized:
            image.draft(mode, (2 * form.width, 2 * form.height))  # quicker for large JPEGs
        upright = ImageOps.exif_transpose(image) if "turned" in changes else image
        if form.resized:
            fitted = ImageOps.fit(upright.convert(mode), size, Image.Resampling.BILINEAR)
            pixels = np.asarray(fitted)
        elif upright.size == size:
            pixels = np.asarray(upright.convert(mode))
        else:
            found = f"{upright.width}x{upright.height}"
            raise DataError(
                f"{path}: is {found}, others are {form.width}x{form.height}; "
                "[data] image_size = 32 (for example) scales all images to one size"
            )
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1), changes


def _changes(image: Image.Image, form: ImageForm) -> list[str]:
    """In which ways decoding an opened image changes it."""
    found = {
        "turned": _orientation(image) in TURNED,
        "frames": getattr(image, "is_animated", False),
        "alpha": image.mode in ALPHA_MODES or "transparency" in image.info,
        "grey": form.channels > 1 and image.mode in GREY_MODES,
        "converted": image.mode not in (*GREY_MODES, *COLOUR_MODES, *ALPHA_MODES),
    }
    return [kind for kind, is_so in found.items() if is_so]


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Name the file in every error of its decoder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            yield
    except (DataError, _ColourFoundError):
        raise
    except Exception as error:  # noqa: BLE001 - decoders of damaged files raise anything
        if Path(path).stat().st_size == 0:
            raise DataError(f"{path}: is empty; remove it, or get it again") from None
        reason = f"{type(error).__name__}: {error}".replace(repr(path), "the file")
        raise DataError(f"{path}: damaged, or not an image ({reason})") from None


def _decode_as(
    form: ImageForm, parts: Mapping[str, Sequence[str]], folder: Path, advance: Advance
) -> Counter[str]:
    total = sum(map(len, parts.values()))
    done = _done_before(form, folder)
    if done is None or not all((folder / f"{name}.npy").is_file() for name in parts):
        done = {}
        _make_arrays(form, parts, folder)
    chunks = [
        _Chunk(array=name, start=start, files=tuple(files[start : start + CHUNK_IMAGES]))
        for name, files in parts.items()
        for start in range(0, len(files), CHUNK_IMAGES)
    ]
    chunks = [chunk for chunk in chunks if chunk.name not in done]
    num_done = total - sum(len(chunk.files) for chunk in chunks)
    changes = sum(done.values(), Counter[str]())
    with (folder / PROGRESS_FILE).open("a", encoding="utf-8") as progress:
        for chunk, changed in _run(form, chunks, folder):
            progress.write(json.dumps([chunk.name, changed]) + "\n")
            progress.flush()
            os.fsync(progress.fileno())
            num_done += len(chunk.files)
            changes += changed
            advance(num_done, total)
    return changes


def _done_before(form: ImageForm, folder: Path) -> dict[str, Counter[str]] | None:
    """Return the chunks that are noted as decoded to this form, with the changes in each.

    None if that was not begun.
    """
    try:
        lines = (folder / PROGRESS_FILE).read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        if not whole or json.dumps(whole[0]) != _header(form):
            return None
        return {
            str(name): Counter({str(kind): int(count) for kind, count in changed.items()})
            for name, changed in whole[1:]
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _header(form: ImageForm) -> str:
    return json.dumps([form.shape, CHUNK_IMAGES])


def _make_arrays(form: ImageForm, parts: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Make empty arrays and the progress file, if the disk has enough space."""
    needed = prod(form.shape) * sum(map(len, parts.values()))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder.parent}: decoded images need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB "
            "are free; set BAKEOFF_DATA to a folder with enough space, or a smaller "
            "[data] image_size"
        )
    for name, files in parts.items():
        # Not filled: the system allots the space when a chunk is written, and says if it has none.
        np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(files), *form.shape)
        )
    (folder / PROGRESS_FILE).write_text(_header(form) + "\n", encoding="utf-8")


def _run(
    form: ImageForm, chunks: Sequence[_Chunk], folder: Path
) -> Iterator[tuple[_Chunk, Counter[str]]]:
    """Decode the chunks; yield each when it is on disk, with the changes of its images."""
    num_full = sum(len(chunk.files) for chunk in chunks) // CHUNK_IMAGES
    num_processes = min(MAX_PROCESSES, num_cores(), num_full)
    arguments = (repeat(form), chunks, repeat(folder))
    if num_processes < 2:  # noqa: PLR2004 - a process of its own would gain nothing
        yield from map(_decode_chunk, *arguments)
        return
    executor = ProcessPoolExecutor(
        num_processes,
        mp_context=get_context("spawn"),
        initializer=ignore_interrupts,
        initargs=(os.getpid(),),
    )
    try:
        with executor:
            with without_main_module():  # `map` starts the processes
                decoded = executor.map(_decode_chunk, *arguments)
            yield from decoded
    except BrokenProcessPool:
        raise DataError(
            "a process that decodes images was ended from outside (out of memory?); "
            "what was decoded is kept, and running again continues from there"
        ) from None


def _decode_chunk(form: ImageForm, chunk: _Chunk, folder: Path) -> tuple[_Chunk, Counter[str]]:
    """Decode some files to their place on disk, and count the changes of their images."""
    images = np.empty((len(chunk.files), *form.shape), dtype=np.uint8)
    changes = Counter[str]()
    for index, file in enumerate(chunk.files):
        images[index], changed = decode_image(file, form)
        changes.update(changed)
    path = folder / f"{chunk.array}.npy"
    offset = np.load(path, mmap_mode="r").offset + chunk.start * prod(form.shape)
    try:
        # Not through a mapping: a full disk would end the process instead of raising.
        with path.open("r+b") as file_:
            file_.seek(offset)
            file_.write(images.data)
            file_.flush()
            os.fsync(file_.fileno())
    except OSError as error:
        raise cannot_write("decoded images", path, error) from None
    return chunk, changes
