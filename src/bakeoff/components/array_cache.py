"""Decoded arrays on disk, mapped into memory so that all workers share the pages."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from platformdirs import user_cache_dir

from bakeoff.components.arrays import Arrays
from bakeoff.errors import DataError

CACHE_FORMAT = 2
"""Raised when the same source files would be decoded to something else."""
FINGERPRINT_DIGITS = 32

DAMAGE = (OSError, ValueError, KeyError, EOFError)
"""What opening a missing or damaged entry raises."""

NAMES = tuple(part.name for part in fields(Arrays))


def data_folder() -> Path:
    """Where data is kept: `BAKEOFF_DATA`, or the platform's cache folder."""
    return Path(os.environ.get("BAKEOFF_DATA") or user_cache_dir("bakeoff"))


def fingerprint(arrays: Arrays) -> str:
    """32 hexadecimal digits that depend on every value, shape and type of the data set."""
    digest = hashlib.sha256()
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
    entry = data_folder() / "arrays" / f"{name}-{_key(sources)}"
    with contextlib.suppress(*DAMAGE):
        return _open_entry(entry)
    arrays = decode()
    try:
        _write_entry(entry, arrays)
        return _open_entry(entry)
    except OSError as error:
        raise DataError(
            f"cannot write decoded data to {entry.parent} ({error.strerror or error}); "
            "set BAKEOFF_DATA to a folder with room"
        ) from None


def _key(sources: Sequence[Path]) -> str:
    stats = [(str(path.resolve()), path.stat()) for path in sources]
    state = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    return hashlib.sha256(json.dumps([CACHE_FORMAT, state]).encode()).hexdigest()[:16]


def _open_entry(entry: Path) -> tuple[Arrays, str]:
    manifest = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    # Copy-on-write: torch wants writable memory, and nobody writes, so the pages stay shared.
    mapped = {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in NAMES}
    return Arrays(**mapped), str(manifest["fingerprint"])


def _write_entry(entry: Path, arrays: Arrays) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=entry.parent))
    try:
        for name in NAMES:
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, getattr(arrays, name), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        manifest = json.dumps({"format": CACHE_FORMAT, "fingerprint": fingerprint(arrays)})
        (partial / "manifest.json").write_text(manifest, encoding="utf-8")
        _publish(partial, entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
