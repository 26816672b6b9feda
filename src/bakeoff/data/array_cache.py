"""Keeps decoded arrays on disk and maps them into memory, so that all workers share the pages."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from bakeoff.data.arrays import Arrays
from bakeoff.data.inputs import Feature
from bakeoff.data.readers import check_file
from bakeoff.errors import DataError
from bakeoff.files import wait_for_lock, write_durably

CACHE_FORMAT = 5
"""Increase this when the same source files would be decoded to something else."""
FINGERPRINT_DIGITS = 32
DIGEST_BYTES = 32
"""Of SHA-256."""

DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError)
"""What opening a missing or damaged entry raises."""

NAMES = tuple(part.name for part in fields(Arrays) if part.default is MISSING)
"""Names of the arrays of every entry."""
MORE_NAMES = ("validation_inputs", "validation_labels")
"""Names of the arrays that an entry may have as well."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What an entry holds besides its arrays; the fields of `Arrays` have the same names."""

    class_names: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    test_is_reserved: bool = False
    notes: tuple[str, ...] = ()


def data_folder() -> Path:
    """The folder that holds data: `BAKEOFF_DATA`, or the platform's cache folder."""
    return Path(os.environ.get("BAKEOFF_DATA") or user_cache_dir("bakeoff"))


def fingerprint(arrays: Arrays) -> str:
    """32 hexadecimal digits that depend on every value, shape, type and class of the data set."""
    digest = hashlib.sha256(json.dumps(arrays.class_names).encode() if arrays.class_names else b"")
    for name, array in named_arrays(arrays).items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def named_arrays(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays of a data set by name, those to validate on only if it has them."""
    found = {name: getattr(arrays, name) for name in (*NAMES, *MORE_NAMES)}
    return {name: array for name, array in found.items() if array is not None}


def load_cached(
    name: str, sources: Sequence[Path], decode: Callable[[], Arrays]
) -> tuple[Arrays, str]:
    """Return the decoded data set, mapped into memory, and its fingerprint.

    The data set is decoded once for each state (path, size, modification time) of its source files.

    Raises:
        DataError: A source file is missing or empty, the cache folder cannot be written, or
            `decode` raises it.
    """
    for path in sources:
        check_file(path)

    def fill(folder: Path) -> About:
        arrays = decode()
        folder.mkdir(exist_ok=True)
        for part, array in named_arrays(arrays).items():
            write_array(folder, part, array)
        return About(**{part.name: getattr(arrays, part.name) for part in fields(About)})

    stats = [(str(path.resolve()), path.stat()) for path in sources]
    state = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    key = hashlib.sha256(json.dumps([CACHE_FORMAT, state]).encode()).hexdigest()[:16]
    return load_filled(f"{name}-{key}", fill)


def load_filled(name: str, fill: Callable[[Path], About]) -> tuple[Arrays, str]:
    """Return the arrays of a cache entry, mapped into memory, and their fingerprint.

    The fingerprint is computed from the arrays as they are on disk now. If it is not the one that
    was stored with them, the entry was damaged.

    If the entry is missing or damaged, `fill` makes it: it writes an .npy file for every array into
    a folder, which it creates. If an earlier call was killed, the folder still holds what that call
    had written. Only one process fills an entry. The others wait and then open what it made.

    Args:
        name: Name of the entry; it must differ for each state of the source.
        fill: Writes the arrays to a folder and returns what belongs to them.

    Raises:
        DataError: The cache folder cannot be written, or `fill` raises it.
    """
    entry = data_folder() / "arrays" / name
    with contextlib.suppress(*DAMAGE):
        return _open_entry(entry)
    with _writing(entry):
        with contextlib.suppress(*DAMAGE):  # another process may have filled it in the meantime
            return _open_entry(entry)
        folder = entry.with_name(f".filling-{name}")
        _write_manifest(folder, fill(folder))
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        folder.rename(entry)
        return _open_entry(entry)


def load_labels(name: str, read: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return the array that `read` gives; later calls read it from the cache.

    Raises:
        DataError: The cache folder cannot be written, or `read` raises it.
    """
    path = data_folder() / "labels" / f"{name}.npy"
    with contextlib.suppress(*DAMAGE):
        content = path.read_bytes()
        digest, array = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if digest == hashlib.sha256(array).digest():
            return np.asarray(np.load(BytesIO(array), allow_pickle=False))
    labels, file = read(), BytesIO()
    np.save(file, labels, allow_pickle=False)
    with _writing(path):
        write_durably(path, hashlib.sha256(file.getvalue()).digest() + file.getvalue())
    return labels


def write_array(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Write one array of an entry, and wait until it is on disk."""
    with (folder / f"{name}.npy").open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def cannot_write(what: str, folder: Path, error: OSError) -> DataError:
    """Return the error for data that cannot be written to a folder of the cache."""
    return DataError(
        f"cannot write {what} to {folder} ({error.strerror or error}); "
        "set BAKEOFF_DATA to a folder with enough space"
    )


@contextlib.contextmanager
def _writing(entry: Path) -> Iterator[None]:
    """Let no other process write the entry, and name its folder if it cannot be written."""
    lock = data_folder() / "locks" / entry.name
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        entry.parent.mkdir(exist_ok=True)
        with lock.open("w") as file:
            wait_for_lock(file.fileno())
            yield
    except OSError as error:
        raise cannot_write("decoded data", entry.parent, error) from None


def _open_entry(entry: Path) -> tuple[Arrays, str]:
    manifest = _read_manifest(entry)
    # Copy-on-write, because torch wants writable memory. Nobody writes, so the pages stay shared.
    names = [*NAMES, *map(str, manifest.get("more_arrays", ()))]
    mapped = {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in names}
    # an entry without one of these was written by an earlier version and is made again
    arrays = Arrays(
        **mapped,
        class_names=tuple(map(str, manifest["class_names"])),
        vocabulary=tuple(map(str, manifest.get("vocabulary", ()))),
        features=tuple(
            Feature(**{**one, "levels": tuple(one.get("levels", ()))})
            for one in manifest["features"]
        ),
        test_is_reserved=bool(manifest["test_is_reserved"]),
        notes=tuple(map(str, manifest["notes"])),
    )
    found = fingerprint_on_disk(entry, _states(entry), arrays.class_names)
    if found != manifest["fingerprint"]:
        raise ValueError(f"{entry} was damaged")
    return arrays, found


def _read_manifest(entry: Path) -> dict[str, Any]:
    """What an entry holds besides its arrays.

    Raises:
        ValueError: It was damaged, or written by an earlier version.
    """
    manifest: dict[str, Any] = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    if manifest.pop("digest") != _digest_of(manifest):
        raise ValueError(f"the manifest of {entry} was damaged")
    return manifest


def _digest_of(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _names_in(folder: Path) -> list[str]:
    """Names of the arrays that a folder holds."""
    return [*NAMES, *(name for name in MORE_NAMES if (folder / f"{name}.npy").is_file())]


def _states(entry: Path) -> tuple[tuple[int, int, int], ...]:
    """Inode, size and time of change of each file with an array."""
    found = [(entry / f"{name}.npy").stat() for name in _names_in(entry)]
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


@lru_cache(maxsize=16)
def fingerprint_on_disk(
    entry: Path,
    states: tuple[tuple[int, int, int], ...],  # noqa: ARG001 - another state is another call
    class_names: tuple[str, ...],
) -> str:
    """The fingerprint of an entry's arrays, computed from all of their bytes.

    Every process computes it before it uses an entry for the first time, because a disk may return
    other bytes than were written, and leaves no trace of it in the file's state.
    """
    mapped = {name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in _names_in(entry)}
    return fingerprint(Arrays(**mapped, class_names=class_names))


def _write_manifest(folder: Path, about: About) -> None:
    names = _names_in(folder)
    mapped = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    manifest = {
        "format": CACHE_FORMAT,
        "more_arrays": [name for name in names if name in MORE_NAMES],
        "fingerprint": fingerprint(Arrays(**mapped, class_names=about.class_names)),
        **asdict(about),
    }
    plain = json.loads(json.dumps(manifest))
    text = json.dumps({**plain, "digest": _digest_of(plain)})
    (folder / "manifest.json").write_text(text, encoding="utf-8")
