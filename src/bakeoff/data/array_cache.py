"""Decoded arrays on disk, mapped into memory so that all workers share the pages."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from bakeoff.data.arrays import Arrays
from bakeoff.data.inputs import Feature
from bakeoff.errors import DataError
from bakeoff.files import wait_for_lock

CACHE_FORMAT = 3
"""Raised when the same source files would be decoded to something else."""
FINGERPRINT_DIGITS = 32

DAMAGE = (OSError, ValueError, KeyError, EOFError)
"""What opening a missing or damaged entry raises."""

NAMES = tuple(part.name for part in fields(Arrays) if part.default is MISSING)
"""Of the arrays."""


def data_folder() -> Path:
    """Where data is kept: `BAKEOFF_DATA`, or the platform's cache folder."""
    return Path(os.environ.get("BAKEOFF_DATA") or user_cache_dir("bakeoff"))


def fingerprint(arrays: Arrays) -> str:
    """32 hexadecimal digits that depend on every value, shape, type and class of the data set."""
    digest = hashlib.sha256(json.dumps(arrays.class_names).encode() if arrays.class_names else b"")
    for name in NAMES:
        array = getattr(arrays, name)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def load_cached(
    name: str, sources: Sequence[Path], decode: Callable[[], Arrays]
) -> tuple[Arrays, str]:
    """The decoded data set, mapped into memory, and its fingerprint.

    It is decoded once for each state (path, size, time of change) of its source files. Several
    processes may do so at once: each writes a folder of its own and the first to rename it wins.
    A damaged entry is decoded anew.

    Raises:
        DataError: The cache folder cannot be written, or `decode` raises it.
    """
    entry = _entries() / f"{name}-{_key(sources)}"
    with contextlib.suppress(*DAMAGE):
        return _open_entry(entry)
    arrays = decode()
    with _naming_folder(entry.parent):
        _write_entry(entry, arrays)
        return _open_entry(entry)


def load_filled(
    name: str, fill: Callable[[Path], None], class_names: tuple[str, ...] = ()
) -> tuple[Arrays, str]:
    """As `load_cached`, for data that is decoded array by array and may take long.

    `fill` writes an .npy file for every array into a folder, in which it finds what a call that was
    killed had written. One process at a time fills it; others wait, and open what it made.

    Args:
        name: Name of the entry, another one for each state of the source.
        fill: Called only where the entry is missing or damaged.
        class_names: Kept with the arrays.

    Raises:
        DataError: The cache folder cannot be written, or `fill` raises it.
    """
    entry = _entries() / name
    with contextlib.suppress(*DAMAGE):
        return _open_entry(entry)
    with (
        _naming_folder(entry.parent),
        _locked_folder(entry.with_name(f".filling-{name}")) as folder,
    ):
        with contextlib.suppress(*DAMAGE):
            filled = _open_entry(entry)  # by another process, while this one waited
            shutil.rmtree(folder, ignore_errors=True)
            return filled
        fill(folder)
        _finish(folder, entry, class_names)
        return _open_entry(entry)


def load_labels(name: str, read: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """An array that `read` gives, kept for the next call.

    Raises:
        DataError: The cache folder cannot be written, or `read` raises it.
    """
    folder = data_folder() / "labels"
    with contextlib.suppress(*DAMAGE):
        return np.asarray(np.load(folder / f"{name}.npy"))
    labels = read()
    with _naming_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        partial = f".partial-{name}-{os.getpid()}"
        write_array(folder, partial, labels)
        (folder / f"{partial}.npy").replace(folder / f"{name}.npy")
    return labels


def _entries() -> Path:
    return data_folder() / "arrays"


@contextlib.contextmanager
def _naming_folder(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write decoded data to {folder} ({error.strerror or error}); "
            "set BAKEOFF_DATA to a folder with room"
        ) from None


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[Path]:
    """The folder, made where it is missing, for this process alone."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            wait_for_lock(descriptor)
            if _is_same(folder, descriptor):
                yield folder
                return
            # Whoever held it before has renamed it, and the next one is another folder.
        finally:
            os.close(descriptor)


def _is_same(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _key(sources: Sequence[Path]) -> str:
    stats = [(str(path.resolve()), path.stat()) for path in sources]
    state = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    return hashlib.sha256(json.dumps([CACHE_FORMAT, state]).encode()).hexdigest()[:16]


def _open_entry(entry: Path) -> tuple[Arrays, str]:
    manifest = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    # Copy-on-write: torch wants writable memory, and nobody writes, so the pages stay shared.
    mapped = {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in NAMES}
    names = tuple(map(str, manifest["class_names"]))
    features = tuple(
        Feature(column=one["column"], value=one["value"]) for one in manifest["features"]
    )
    return Arrays(**mapped, class_names=names, features=features), str(manifest["fingerprint"])


def _write_entry(entry: Path, arrays: Arrays) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=entry.parent))
    try:
        for name in NAMES:
            write_array(partial, name, getattr(arrays, name))
        _finish(partial, entry, arrays.class_names, arrays.features)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_array(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Write one array of an entry, and wait until it is on disk."""
    with (folder / f"{name}.npy").open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _finish(
    folder: Path, entry: Path, class_names: tuple[str, ...], features: tuple[Feature, ...] = ()
) -> None:
    """Make an entry of a folder that holds all arrays."""
    mapped = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES}
    manifest = {
        "format": CACHE_FORMAT,
        "fingerprint": fingerprint(Arrays(**mapped, class_names=class_names)),
        "class_names": class_names,
        "features": [asdict(feature) for feature in features],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    _publish(folder, entry)


def _publish(partial: Path, entry: Path) -> None:
    """Rename `partial` to `entry`, unless another process was quicker with a sound one."""
    if entry.exists():
        try:
            _open_entry(entry)
        except DAMAGE:
            shutil.rmtree(entry, ignore_errors=True)
        else:
            return
    # Whoever renames first wins; the caller opens what is there then.
    with contextlib.suppress(OSError):
        partial.rename(entry)
