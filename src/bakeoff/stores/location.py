"""The place of a store as a user names it: a folder, or a URL that fsspec understands."""

import re
import secrets
from pathlib import Path

from bakeoff.errors import MissingDependencyError, StoreError, UsageError, describe_unknown
from bakeoff.stores.local import LocalStore
from bakeoff.stores.protocol import Store
from bakeoff.stores.remote import RemoteStore

URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL)
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}
"""The extra of this package that brings the package for a protocol."""
COMMON = ("abfs", "az", "file", "gcs", "gs", "hdfs", "s3", "sftp", "smb", "webdav")
"""Protocols that a message names; fsspec knows others."""
DATABASES = frozenset({"sqlite", "postgresql", "postgres"})
"""Protocols of `--storage`, which a user may confuse with a place of files."""
OF_ONE_PROCESS = frozenset({"memory"})
"""What other processes cannot see."""


def check_location(text: str, flag: str) -> str:
    """The location in the form in which it is stored: a URL, or the absolute path of a folder.

    Args:
        text: A folder, or a URL such as `s3://bucket/folder`.
        flag: What the user gave it with, for messages.

    Raises:
        UsageError: It is no place that several processes can write, or it holds a password.
        MissingDependencyError: The package for its protocol is not installed.
    """
    if not text.strip():
        raise UsageError(f"{flag}: is empty; give a folder, or a URL such as s3://bucket/folder")
    if "::" in text:
        raise UsageError(f"{flag}: one URL cannot go through another (::)")
    parts = URL.fullmatch(text)
    if parts is None:
        return str(Path(text.removeprefix("file:")).absolute())
    protocol, rest = parts["protocol"].lower(), parts["rest"]
    if protocol.partition("+")[0] in DATABASES:
        raise UsageError(
            f"{flag}: {protocol}:// is a database, which holds studies (--storage) and no files;"
            " give a folder, or a URL such as s3://bucket/folder"
        )
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if at and ":" in user:
        raise UsageError(
            f"{flag}: a password or key does not belong in the URL; set it where the service's own"
            " tools look for it, such as AWS_PROFILE or AWS_ACCESS_KEY_ID"
        )
    if "?" in rest or "#" in rest:
        raise UsageError(
            f"{flag}: the URL of a folder has no ? and no #; options are set where the service's"
            " own tools look for them, such as AWS_ENDPOINT_URL"
        )
    if protocol in ("file", "local"):
        return str(Path(rest).absolute())
    _check_protocol(protocol, flag)
    if not rest.strip("/"):
        raise UsageError(f"{flag}: {protocol}:// names no bucket or folder")
    return f"{protocol}://{rest.rstrip('/')}"


def _check_protocol(protocol: str, flag: str) -> None:
    from fsspec.registry import get_filesystem_class, known_implementations

    if protocol in OF_ONE_PROCESS:
        raise UsageError(f"{flag}: what is stored in {protocol}:// ends with its process")
    if protocol not in known_implementations:
        raise UsageError(f"{flag}: {describe_unknown('protocol', protocol, COMMON)}")
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        way = f"pip install 'bakeoff[{extra}]'" if extra else str(error)
        raise MissingDependencyError(f"{flag}: {protocol}:// needs a package: {way}") from None


def join(location: str, *names: str) -> str:
    """The location of a folder below another one."""
    if is_url(location):
        return "/".join((location.rstrip("/"), *names))
    return str(Path(location, *names))


def is_url(location: str) -> bool:
    """Whether it is a URL, and not a folder."""
    return URL.fullmatch(location) is not None


def open_store(location: str) -> Store:
    """The store at a location. A folder is only created when something is stored there.

    Raises:
        StoreError: The service does not answer.
    """
    return RemoteStore(location) if is_url(location) else LocalStore(Path(location))


def clear_store(location: str) -> str:
    """Remove all files of a store; return why that is impossible, or an empty text."""
    try:
        open_store(location).clear()
    except OSError as error:
        return f"{location} cannot be removed ({error.strerror or error})"
    return ""


def try_store(location: str, flag: str) -> None:
    """Write, read and remove a small file, so that a wrong place is found before it is needed.

    Raises:
        StoreError: That does not work; the message names the flag and the reason.
    """
    key, content = f".bakeoff-{secrets.token_hex(8)}", b"bakeoff"
    try:
        store = open_store(location)
        store.put(key, content)
        found = store.get(key)
        store.delete([key])
    except StoreError as error:
        raise StoreError(f"{flag} {error}") from error
    except OSError as error:
        raise StoreError(f"{flag} {location}: {error.strerror or error}") from error
    if found != content:
        raise StoreError(f"{flag} {location}: what was written is read differently")
