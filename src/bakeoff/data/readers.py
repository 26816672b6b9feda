"""Reads data files: gzipped IDX, .npz, scikit-learn's digits, and text."""

import codecs
import gzip
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.arrays import KEYS, VALIDATION_KEYS, array_name
from bakeoff.errors import DataError

UNREADABLE = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError)
"""Errors that numpy, gzip and zipfile raise on damaged files."""

IDX_UINT8 = 0x08
"""Type code of unsigned bytes. Source: the format's description at yann.lecun.com/exdb/mnist"""

MAX_TEXT_BYTES = 1 << 30
"""Greatest size of an unpacked file of text, because text and tables are read whole."""
GZIP_MAGIC = b"\x1f\x8b"


def check_file(path: Path) -> None:
    """Make sure that `path` is a readable file and not empty.

    Raises:
        DataError: It is missing, a folder, unreadable or empty.
    """
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise DataError(f"{path}: is empty")
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not a data file") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def read_bounded(path: Path) -> bytes:
    """Return the content of a file, at most 1 GiB; a gzipped file is unpacked.

    Raises:
        DataError: The file is missing, damaged, empty or larger.
    """
    check_file(path)
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            with gzip.open(raw) if is_packed else raw as file:
                content = file.read(MAX_TEXT_BYTES + 1)
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not content:
        raise DataError(f"{path}: is empty")
    if len(content) > MAX_TEXT_BYTES:
        raise DataError(f"{path}: holds more than {MAX_TEXT_BYTES:,} bytes")
    return content


def decode_text(content: bytes, path: Path) -> str:
    """Decode UTF-8 text, with or without a byte order mark, or UTF-16 text with one.

    Raises:
        DataError: It is neither; the message names the byte.
    """
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not UTF-{16 if is_wide else 8} text (byte {error.start}); save it as UTF-8"
        ) from None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in a gzipped IDX file.

    Raises:
        DataError: The file is missing, damaged, or not of this format.
    """
    data = read_bounded(path)
    if len(data) < 4 or data[:3] != bytes((0, 0, IDX_UINT8)):  # noqa: PLR2004 - the magic number
        raise DataError(f"{path}: not an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[4:start]) if len(data) >= start else ()
    if len(data) != start + prod(shape) or not shape:
        raise DataError(f"{path}: holds {len(data)} bytes, which does not fit its shape")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in an .npz file whose names `check_arrays` knows.

    Other arrays are not read; empty ones are returned for them. Nothing is ever unpickled.

    Raises:
        DataError: The file is damaged, is not an .npz file, unpacks to more than the memory of this
            machine, or one of these arrays is pickled.
    """
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: damaged, or not an .npz file (write one with numpy.savez)")
    try:
        with zipfile.ZipFile(path) as archive:
            needed = sum(member.file_size for member in archive.infolist())
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > memory:
            raise DataError(
                f"{path}: unpacks to {needed / 1e9:.1f} GB, more than the {memory / 1e9:.1f} GB of "
                "memory of this machine"
            )
        with np.load(path, allow_pickle=False) as arrays:
            known = {*KEYS, *VALIDATION_KEYS}
            return {
                key: arrays[key] if array_name(key) in known else np.empty(0)
                for key in arrays.files
            }
    except UNREADABLE as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: holds an array of Python objects, which is never unpickled; convert it"
                " with astype(float) or astype(str) and save it again"
            ) from None
        raise DataError(f"{path}: cannot be read ({error})") from None


def digits_file() -> Path:
    """Find the file of scikit-learn's digits without importing scikit-learn.

    Raises:
        DataError: scikit-learn is not installed.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("digits: needs scikit-learn (pip install scikit-learn)")
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


def read_digits(path: Path) -> Mapping[str, NDArray[Any]]:
    """Return handwritten digits: images [1797, 8, 8] with values 0..16, and labels.

    Raises:
        DataError: The file is damaged.
    """
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    return {"x": table[:, :64].reshape(-1, 8, 8), "y": table[:, 64]}
