"""Decoding image files once into one array on disk, by several processes, resumable after a kill.

Every chunk of files is written to its place in the array, flushed, and then noted in a progress
file, so what was decoded before a kill is kept.
"""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from math import prod
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bakeoff.child_process import ignore_interrupts, num_cores
from bakeoff.data.array_cache import load_filled, write_array
from bakeoff.data.arrays import Arrays
from bakeoff.data.image_folder import list_images
from bakeoff.data.reading_progress import Advance, showing_progress
from bakeoff.errors import DataError

MAX_PROCESSES = 8
"""More would wait for the disk."""
CHUNK_IMAGES = 256
"""Decoded by one process before it notes its progress: what a kill costs each of them."""
PROGRESS_FILE = "progress.jsonl"
WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's names for pixels of more than 8 bits, which it cuts off instead of scaling them."""


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """What every decoded image looks like."""

    channels: int
    """1 for grey, 3 for colour."""
    height: int
    width: int
    resized: bool
    """Whether images of other sizes are cropped and scaled to this one, or refused."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of one image."""
        return self.channels, self.height, self.width


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """Some files, and where in which array they go."""

    array: str
    start: int
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.array} {self.start} {len(self.files)}"


class _ColourFoundError(Exception):
    """A colour image stands among images that were taken for grey ones."""


def decode_images(
    parts: Mapping[str, Sequence[str]], folder: Path, image_size: int | None, advance: Advance
) -> None:
    """Write `<part>.npy` to `folder` for each of `parts`: uint8 [N, C, H, W] of its image files.

    Images are grey if all of them are, else in colour; transparency is dropped. They are decoded
    by at most eight processes. Called again after a kill, it goes on where it was.

    Args:
        parts: Paths of image files by name of the array, in order.
        folder: A folder that is kept from call to call and used by nobody else.
        image_size: Crop every image at its centre to a square and scale it to this many pixels;
            None takes them as they are, and they must be of one size.
        advance: Told of the progress.

    Raises:
        DataError: An image is damaged, of another size, or of pixels that are not 8 bits; or
            there is no room.
    """
    first = next(file for files in parts.values() for file in files)
    form = read_form(first, image_size)
    colour = replace(form, channels=3)
    if _done_before(colour, folder) is not None:  # it was killed after a colour image was found
        form = colour
    try:
        _decode_as(form, parts, folder, advance)
    except _ColourFoundError:
        (folder / PROGRESS_FILE).unlink()
        _decode_as(colour, parts, folder, advance)


def load_image_folder(root: Path, image_size: int | None) -> tuple[Arrays, str]:
    """The images below `root`, decoded once and then mapped into memory, and their fingerprint.

    Raises:
        DataError: As `list_images` and `decode_images`, or the cache folder cannot be written.
    """
    images = list_images(root)

    def fill(folder: Path) -> None:
        parts = {"train_inputs": images.train.files, "test_inputs": images.test.files}
        with showing_progress(f"decoding {root.name}") as advance:
            decode_images(parts, folder, image_size, advance)
        write_array(folder, "train_labels", images.train.labels)
        write_array(folder, "test_labels", images.test.labels)
        (folder / PROGRESS_FILE).unlink()

    size = "" if image_size is None else f"-{image_size}"
    return load_filled(f"folder-{images.state}{size}", fill, images.class_names)


def read_form(path: str, image_size: int | None) -> ImageForm:
    """The form of the image at `path`, from its header.

    Raises:
        DataError: It is damaged.
    """
    with _naming(path), Image.open(path) as image:
        width, height = image.size if image_size is None else (image_size, image_size)
        channels = 1 if image.mode in ("1", "L") else 3
    return ImageForm(channels=channels, height=height, width=width, resized=image_size is not None)


def decode_image(path: str, form: ImageForm) -> NDArray[np.uint8]:
    """One image file as [C, H, W].

    Raises:
        DataError: It is damaged, or not of this form.
        _ColourFoundError: It is in colour, and should be grey.
    """
    with _naming(path), Image.open(path) as image:
        if image.mode in WIDE_MODES:
            raise DataError(f"{path}: has pixels of more than 8 bits; convert it to 8 bits")
        if form.channels == 1 and image.mode not in ("1", "L"):
            raise _ColourFoundError
        mode = "L" if form.channels == 1 else "RGB"
        if form.resized:
            image.draft(mode, (2 * form.width, 2 * form.height))  # quicker for large JPEGs
            fitted = ImageOps.fit(
                image.convert(mode), (form.width, form.height), Image.Resampling.BILINEAR
            )
            pixels = np.asarray(fitted)
        else:
            _check_size(path, image.size, form)
            pixels = np.asarray(image.convert(mode))
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _check_size(path: str, size: tuple[int, int], form: ImageForm) -> None:
    if size != (form.width, form.height):
        raise DataError(
            f"{path}: is {size[0]}x{size[1]}, others are {form.width}x{form.height}; "
            "[data] image_size = 32 (say) brings all to one size"
        )


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name the file in whatever its decoder raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            yield
    except (DataError, _ColourFoundError):
        raise
    except Exception as error:  # noqa: BLE001 - decoders of damaged files raise anything
        reason = f"{type(error).__name__}: {error}".replace(repr(path), "the file")
        raise DataError(f"{path}: damaged, or not an image ({reason})") from None


def _decode_as(
    form: ImageForm, parts: Mapping[str, Sequence[str]], folder: Path, advance: Advance
) -> None:
    total = sum(len(files) for files in parts.values())
    done = _begin(form, parts, folder)
    chunks = [chunk for chunk in _chunks(parts) if chunk.name not in done]
    num_done = total - sum(len(chunk.files) for chunk in chunks)
    with (folder / PROGRESS_FILE).open("a", encoding="utf-8") as progress:
        for chunk in _run(form, chunks, folder):
            progress.write(json.dumps(chunk.name) + "\n")
            progress.flush()
            os.fsync(progress.fileno())
            num_done += len(chunk.files)
            advance(num_done, total)


def _begin(form: ImageForm, parts: Mapping[str, Sequence[str]], folder: Path) -> set[str]:
    """Make the arrays, unless they are there; the chunks that they hold already."""
    done = _done_before(form, folder)
    if done is not None and all((folder / f"{name}.npy").is_file() for name in parts):
        return done
    _check_room(form, parts, folder)
    for name, files in parts.items():
        # Not filled: the system makes room when a chunk is written, and says so if there is none.
        np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(files), *form.shape)
        )
    (folder / PROGRESS_FILE).write_text(_header(form) + "\n", encoding="utf-8")
    return set()


def _done_before(form: ImageForm, folder: Path) -> set[str] | None:
    """Chunks that are noted as decoded to this form; None where none was begun."""
    try:
        lines = (folder / PROGRESS_FILE).read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError):
        return None
    return set(whole[1:]) if whole and json.dumps(whole[0]) == _header(form) else None


def _header(form: ImageForm) -> str:
    return json.dumps([form.shape, CHUNK_IMAGES])


def _check_room(form: ImageForm, parts: Mapping[str, Sequence[str]], folder: Path) -> None:
    needed = prod(form.shape) * sum(len(files) for files in parts.values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder.parent}: decoded images need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB "
            "are free; set BAKEOFF_DATA to a folder with room, or a smaller [data] image_size"
        )


def _chunks(parts: Mapping[str, Sequence[str]]) -> Iterator[_Chunk]:
    for name, files in parts.items():
        for start in range(0, len(files), CHUNK_IMAGES):
            stop = start + CHUNK_IMAGES
            yield _Chunk(array=name, start=start, files=tuple(files[start:stop]))


def _run(form: ImageForm, chunks: Sequence[_Chunk], folder: Path) -> Iterator[_Chunk]:
    """Decode the chunks; each as soon as it is on disk."""
    num_full = sum(len(chunk.files) for chunk in chunks) // CHUNK_IMAGES
    num_processes = min(MAX_PROCESSES, num_cores(), num_full)
    if num_processes < 2:  # noqa: PLR2004 - a process of its own would gain nothing
        for chunk in chunks:
            yield _decode_chunk(form, chunk, folder)
        return
    executor = ProcessPoolExecutor(
        num_processes,
        mp_context=get_context("spawn"),
        initializer=ignore_interrupts,
        initargs=(os.getpid(),),
    )
    try:
        pending = [executor.submit(_decode_chunk, form, chunk, folder) for chunk in chunks]
        yield from map(_result, as_completed(pending))
    finally:
        executor.shutdown(cancel_futures=True)


def _result(future: "Future[_Chunk]") -> _Chunk:
    try:
        return future.result()
    except BrokenProcessPool:
        raise DataError(
            "a process that decodes images was ended from outside (out of memory?); "
            "what was decoded is kept, and running again goes on from there"
        ) from None


def _decode_chunk(form: ImageForm, chunk: _Chunk, folder: Path) -> _Chunk:
    """Decode some files to their place on disk."""
    images = np.empty((len(chunk.files), *form.shape), dtype=np.uint8)
    for index, file in enumerate(chunk.files):
        images[index] = decode_image(file, form)
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
        raise DataError(
            f"cannot write decoded images to {path} ({error.strerror or error}); "
            "set BAKEOFF_DATA to a folder with room"
        ) from None
    return chunk
