"""Whatever fsspec can write as a store: S3, Google Cloud, Azure, SFTP and others.

There is no rename and no sync there. An object appears when it is complete, and on a file system
such as SFTP a killed `put` may leave a part, which its manifest does not fit.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bakeoff.errors import StoreError, one_line
from bakeoff.files import write_durably
from bakeoff.stores.services import advise, quiet

RETRY_SECONDS = 15.0
"""How long an access is repeated after its first failure."""
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0
MAX_REASON = 200
"""Characters that are kept of the reason that a service gave."""
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"})
"""Protocols without folders. Elsewhere the folder of a file must be made before the file."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Without this, botocore and this store would both repeat, which takes minutes together.
    protocol: {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    for protocol in ("s3", "s3a")
}
FINAL = (ImportError, NotImplementedError, PermissionError, TypeError, ValueError)
"""Errors that do not pass by themselves."""
FINAL_NAMES = ("Credential", "Token", "Authentication", "Profile", "ParamValidation")
"""Parts of the names of such errors, which come from packages that may not be installed."""
T = TypeVar("T")
VERSIONS = (
    "ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified", "updated",
    "modified", "created",
)  # fmt: skip
"""What services call that which changes with the content of a file, the surest first."""


class FileState(NamedTuple):
    """What a service says of a file without reading it."""

    size: int | None
    version: str
    """Differs when the file was written again; empty if the service says nothing of the kind."""


class RemoteStore:
    """The files below a URL that fsspec understands.

    Args:
        url: Without credentials, which the service's own settings give (`AWS_PROFILE`, files in the
            home folder, the role of the machine).
        retry_seconds: How long an access is repeated after its first failure; None means
            `RETRY_SECONDS`.
    """

    def __init__(self, url: str, *, retry_seconds: float | None = None) -> None:
        self._location = url.rstrip("/")
        self._protocol = url.partition(":")[0]
        self._retry_seconds = RETRY_SECONDS if retry_seconds is None else retry_seconds
        quiet(self._protocol)
        options = dict(OPTIONS.get(self._protocol, {}))
        from fsspec.core import url_to_fs  # as is torch, only where it is used

        # Another process may have changed what a cached listing holds.
        self._files, root = self._call(
            lambda: url_to_fs(self._location, use_listings_cache=False, **options)
        )
        self._root = str(root).rstrip("/")
        if loop := getattr(self._files, "loop", None):
            # A request that breaks off leaves tasks whose errors nobody asks for: asyncio would log
            # a traceback of each. What an access fails by is raised anyway.
            loop.set_exception_handler(lambda _loop, _context: None)

    @property
    def location(self) -> str:
        """The URL."""
        return self._location

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, or replace it.

        Raises:
            StoreError: It cannot be written, also after some seconds of trying.
        """
        path, content = self._path(key), bytes(data)

        def write() -> None:
            if self._protocol not in OBJECT_STORES:
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)

        try:
            self._call(write)
        except FileNotFoundError as error:  # the bucket
            raise self._error(error) from error

    def get(self, key: str) -> bytes:
        """The content of an object.

        Raises:
            FileNotFoundError: There is none of this key.
            StoreError: It cannot be read, also after some seconds of trying.
        """
        return bytes(self._call(lambda: self._files.cat_file(self._path(key))))

    def keys(self) -> list[str]:
        """The keys of all objects.

        Raises:
            StoreError: They cannot be listed, also after some seconds of trying.
        """
        try:
            found = self._call(lambda: self._files.find(self._root))
        except FileNotFoundError:  # the bucket, or a folder
            return []
        start = f"{self._root}/".lstrip("/")
        return [
            one.removeprefix(start)
            for one in (str(path).lstrip("/") for path in found)
            if one.startswith(start)
        ]

    def states(self) -> dict[str, FileState]:
        """What the service says of every file below the URL, by key, or of the file at the URL.

        The key of the latter is empty.

        Raises:
            FileNotFoundError: There is neither.
            StoreError: They cannot be listed, also after some seconds of trying.
        """
        about = self._call(lambda: self._files.info(self._root))
        if about["type"] == "file":
            return {"": _state_of(about)}
        found = self._call(lambda: self._files.find(self._root, detail=True))
        start = f"{self._root}/".lstrip("/")
        states = {
            str(path).lstrip("/").removeprefix(start): _state_of(one)
            for path, one in found.items()
            if one["type"] == "file" and not str(path).endswith("/")  # which stands for a folder
        }
        if not states:
            raise FileNotFoundError(self._location)
        return states

    def fetch(self, targets: Mapping[str, Path]) -> None:
        """Copy files by key to paths of this machine, whose folders are there, at the same time.

        Raises:
            FileNotFoundError: There is no file of one of the keys.
            StoreError: One cannot be read, also after some seconds of trying.
        """
        sources = [self._path(key) if key else self._root for key in targets]
        places = [str(path) for path in targets.values()]
        self._call(lambda: self._files.get(sources, places))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects one after the other; one that is not there is skipped.

        Raises:
            StoreError: One cannot be removed, also after some seconds of trying.
        """
        for key in keys:
            with suppress(FileNotFoundError):
                self._call(partial(self._files.rm_file, self._path(key)))

    def move_out(self, key: str, target: Path, sha256: str) -> None:
        """Copy an object to a path of this machine, and remove it.

        Raises:
            FileNotFoundError: There is no object of this key.
            ValueError: It has another SHA-256; nothing was moved.
            StoreError: The store cannot be reached.
        """
        data = self.get(key)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("its SHA-256 does not match")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_durably(target, data)
        self.delete([key])

    def clear(self) -> None:
        """Remove all objects.

        Raises:
            StoreError: They cannot be removed, also after some seconds of trying.
        """
        if self.keys():
            with suppress(FileNotFoundError):
                self._call(lambda: self._files.rm(self._root, recursive=True))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _call(self, access: Callable[[], T]) -> T:
        """Access the store, and again for some seconds where that fails.

        Raises:
            FileNotFoundError: There is no such object.
            StoreError: It failed, and repeating it does not help.
        """
        wait, last = FIRST_WAIT_SECONDS, math.inf
        while True:
            try:
                return access()
            except FileNotFoundError:
                raise
            except Exception as error:  # every service has errors of its own
                last = min(last, time.monotonic() + self._retry_seconds)
                if _is_final(error) or time.monotonic() >= last:
                    raise self._error(error) from error
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _error(self, error: Exception) -> StoreError:
        reason = one_line(error)[:MAX_REASON] or type(error).__name__
        return StoreError(f"{self._location}: {reason}{advise(self._protocol, error)}")


def _state_of(about: Mapping[str, Any]) -> FileState:
    versions = (str(about[name]) for name in VERSIONS if about.get(name))
    size = about.get("size")
    return FileState(size=None if size is None else int(size), version=next(versions, ""))


def _is_final(error: Exception) -> bool:
    named = any(part in type(error).__name__ for part in FINAL_NAMES)
    return named or isinstance(error, FINAL)
