"""Data at a URL such as `csv:s3://bucket/houses.csv`: fetched once per machine, then read as files.

A copy is in the data folder, under a hash of the URL and of what the service says of every file:
size and ETag, or time of change. The service is asked when a study begins or continues and when a
node is admitted. Workers read the copy of their machine without asking.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from bakeoff.data.array_cache import cannot_write, data_folder
from bakeoff.data.reading_progress import showing_progress
from bakeoff.errors import BakeoffError, DataError, MissingDependencyError, StoreError, UsageError
from bakeoff.files import wait_for_lock, write_durably
from bakeoff.records import DataConfig
from bakeoff.stores import RemoteStore, check_location, is_url

FILES_AT_ONCE = 256
KEY_DIGITS = 16
SECTION = "[data]"
CURRENT = "current.json"
_verified: dict[Path, tuple[dict[str, str], tuple[tuple[int, int, int], ...]]] = {}
"""The copies that this process has read as a whole: their hashes, and the states of their files."""
DAMAGE = (OSError, ValueError, KeyError, TypeError)
"""What reading a missing or damaged copy raises."""


def given_path(reference: str) -> str:
    """`PATH` or the URL of `npz:PATH`, as it is shown."""
    text = reference.partition(":")[2]
    return text if is_url(text) else str(Path(text).expanduser())


def local_path(reference: str) -> Path:
    """Where the data of `npz:PATH` is on this machine. Data at a URL is fetched if it is not here.

    Raises:
        DataError: It cannot be fetched, or the copy cannot be written.
        MissingDependencyError: The package for the URL is not installed.
    """
    text = reference.partition(":")[2]
    if not is_url(text):
        return Path(text).expanduser()
    with suppress(*DAMAGE):
        return _open_copy(_folder_of(text))
    return _fetch(text)


def refresh_data(config: DataConfig) -> None:
    """Fetch data at URLs if the service has other files than this machine; else do nothing.

    Raises:
        BakeoffError: As `local_path`.
    """
    for reference in filter(None, (config.dataset, config.validation)):
        if is_url(text := reference.partition(":")[2]):
            _fetch(text)


def _folder_of(url: str) -> Path:
    return data_folder() / "fetched" / hashlib.sha256(url.encode()).hexdigest()[:KEY_DIGITS]


def _fetch(url: str) -> Path:
    """The copy of what the service has now.

    Raises:
        DataError: It cannot be fetched or written.
        MissingDependencyError: The package for the URL is not installed.
    """
    try:
        store = RemoteStore(check_location(url, SECTION))
        found = store.states()
    except MissingDependencyError:
        raise
    except FileNotFoundError:
        raise DataError(f"{url}: there is no such file or folder") from None
    except UsageError as error:
        raise DataError(str(error)) from None
    except StoreError as error:
        raise DataError(f"{SECTION}: {error}") from None
    # What the service says nothing of is always fetched.
    told = {key: [size, version or secrets.token_hex(8)] for key, (size, version) in found.items()}
    state = hashlib.sha256(json.dumps([url, told], sort_keys=True).encode()).hexdigest()
    folder = _folder_of(url)
    lock = data_folder() / "locks" / f"fetched-{folder.name}"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            wait_for_lock(file.fileno())
            with suppress(*DAMAGE):
                if json.loads((folder / CURRENT).read_text())["state"] == state:
                    return _open_copy(folder)
            return _write_copy(store, url, {key: one.size for key, one in found.items()}, state)
    except BakeoffError:
        raise
    except OSError as error:
        raise cannot_write("fetched data", folder, error) from None


def _write_copy(store: RemoteStore, url: str, sizes: Mapping[str, int | None], state: str) -> Path:
    """Fetch all files into a new folder, and make it the copy that is read.

    Raises:
        DataError: A file has an unsafe name, or another size than the service said.
        OSError: The copy cannot be written.
    """
    folder = _folder_of(url)
    copy = f"{state[:KEY_DIGITS]}-{secrets.token_hex(4)}"
    filling = folder / f".filling-{copy}"
    name = str(_safe(PurePosixPath(url).name, url))
    for left in folder.glob(".filling-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    targets = {key: filling / name / _safe(key, url) for key in sizes}
    _check_places(targets, url)
    try:
        _get_files(store, url, targets)
        digests = {key: _digest(path) for key, path in targets.items()}
        manifest = {"state": state, "copy": copy, "name": name, "files": digests}
        for key, path in targets.items():
            if sizes[key] not in (None, path.stat().st_size):
                shown = f"{url}/{key}" if key else url
                raise DataError(f"{shown}: changed while it was fetched; try again")
        filling.rename(folder / copy)
    finally:
        shutil.rmtree(filling, ignore_errors=True)
    write_durably(folder / CURRENT, json.dumps(manifest).encode())
    path = folder / copy / name
    _verified[path] = digests, _states(path, digests)
    return path


def _get_files(store: RemoteStore, url: str, targets: Mapping[str, Path]) -> None:
    keys = list(targets)
    with showing_progress(f"fetching {PurePosixPath(url).name}") as advance:
        for start in range(0, len(keys), FILES_AT_ONCE):
            some = keys[start : start + FILES_AT_ONCE]
            for path in (targets[key] for key in some):
                path.parent.mkdir(parents=True, exist_ok=True)
            try:
                store.fetch({key: targets[key] for key in some})
            except FileNotFoundError:
                raise DataError(f"{url}: changed while it was fetched; try again") from None
            except StoreError as error:
                raise DataError(f"{SECTION}: {error}") from None
            advance(start + len(some), len(keys))


def _safe(key: str, url: str) -> Path:
    """The key as a path below a folder.

    Raises:
        DataError: It would lead out of the folder.
    """
    path = Path(key)
    if path.is_absolute() or ".." in path.parts or "\0" in key:
        raise DataError(f"{url}: the name {key!r} is not one of a file below a folder")
    return path


def _check_places(targets: Mapping[str, Path], url: str) -> None:
    """Make sure that every file has a path of its own, and none is where another needs a folder.

    Raises:
        DataError: An object store may have both `a` and `a/b`, or both `a/b` and `a//b`.
    """
    keys = {path: key for key, path in targets.items()}
    for key, path in targets.items():
        for place in (path, *path.parents):
            if keys.get(place, key) != key:
                raise DataError(
                    f"{url}: holds both {keys[place]!r} and {key!r}, which no folder of files can;"
                    " rename or remove one of them"
                )


def _open_copy(folder: Path) -> Path:
    """The path of the copy that was fetched last.

    Raises:
        ValueError: A file has another content than was fetched.
        OSError: It is not there.
    """
    manifest = json.loads((folder / CURRENT).read_text())
    path = folder / str(manifest["copy"]) / str(manifest["name"])
    digests = dict(manifest["files"])
    states = _states(path, digests)
    if _verified.get(path) != (digests, states):
        if any(_digest(_file(path, key)) != digest for key, digest in digests.items()):
            raise ValueError(f"{path} was damaged")
        _verified[path] = digests, states
    return path


def _states(path: Path, keys: Iterable[str]) -> tuple[tuple[int, int, int], ...]:
    """What differs after a file of a copy was written again.

    Raises:
        OSError: A file is not there.
    """
    stats = [_file(path, key).stat() for key in keys]
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in stats)


def _file(path: Path, key: str) -> Path:
    return path / key if key else path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
