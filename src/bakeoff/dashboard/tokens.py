"""Tokens for several people: a file with a name and a hash each, and who sent one.

A token has 256 random bits, so a plain SHA-256 is enough: there is nothing to guess from the hash.
The token itself is shown once, when it is made.
"""

import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from bakeoff.errors import UsageError, describe_unknown
from bakeoff.files import LockHeldError, hold_lock

TOKEN_BYTES = 32
LONGEST_NAME = 64
OF_OTHERS = 0o077
"""The bits of a file's mode that let its group and others use it."""

Hashes = Mapping[str, str]
"""The SHA-256 of each person's token in hexadecimal digits, by name."""


def add_token(file: Path, name: str) -> str:
    """Give a person a token and return it; the file keeps its hash only.

    The file is created if it is missing, for its owner alone.

    Raises:
        UsageError: The person has a token, the name cannot be shown, or the file is not usable.
    """
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable() and " " not in name):
        raise UsageError(
            f"--add-token {name!r}: a name has 1 to {LONGEST_NAME} visible characters, no blanks"
        )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with _changing(file) as people:
        if name in people:
            raise UsageError(f"--add-token {name}: this person has a token; revoke it first")
        people[name] = {"sha256": _hash(token), "made": f"{datetime.now(UTC):%Y-%m-%d}"}
    return token


def revoke_token(file: Path, name: str) -> None:
    """Take a person's token back. A dashboard that runs refuses it from the next request on.

    Raises:
        UsageError: Nobody of this name has a token, or the file is not usable.
    """
    with _changing(file) as people:
        if name not in people:
            raise UsageError(f"--revoke-token: {describe_unknown('person', name, people)}")
        del people[name]


def read_people(file: Path) -> dict[str, dict[str, Any]]:
    """What the file holds of each person, by name.

    Raises:
        UsageError: It cannot be read, other users can read it, or it is not of this form.
    """
    try:
        with file.open(encoding="utf-8") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & OF_OTHERS:
                raise UsageError(
                    f"--tokens {file}: other users can open it; `chmod 600 {file}` keeps it"
                )
            people: dict[str, dict[str, Any]] = json.load(opened)["people"]
            for one in people.values():
                bytes.fromhex(one["sha256"])
            return people
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"--tokens {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"--tokens {file}: it is not a file of --add-token") from None


@contextmanager
def _changing(file: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """The people of a file, which is replaced as a whole when the block ends without an error."""
    try:
        with hold_lock(file.with_name(f".{file.name}.lock"), f"{os.getpid()}"):
            people = read_people(file) if file.exists() else {}
            yield people
            temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                json.dump({"people": people}, opened, indent=2)
                opened.flush()
                os.fsync(opened.fileno())
            temporary.replace(file)
    except LockHeldError:
        raise UsageError(f"--tokens {file}: another command is changing it") from None
    except OSError as error:
        raise UsageError(f"--tokens {file}: {error.strerror}") from None


@dataclass
class TokenFile:
    """Finds out who sent a token. A changed file counts from the next request on."""

    file: Path
    _stamp: tuple[int, ...] = ()
    _hashes: Hashes = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Read the file.

        Raises:
            UsageError: It is not usable, or nobody has a token.
        """
        if not read_people(self.file):
            raise UsageError(
                f"--tokens {self.file}: nobody has a token; --add-token NAME makes one"
            )

    def person(self, token: str) -> str | None:
        """The name of the person whose token this is; None if it is nobody's.

        Every hash is compared, in constant time, so that the time says nothing about the tokens.
        If the file cannot be used any more, nobody's token is known.
        """
        shown, found = _hash(token), None
        for name, stored in self._current().items():
            if hmac.compare_digest(shown, stored):
                found = name
        return found

    def _current(self) -> Hashes:
        with self._lock:
            try:
                state = self.file.stat()
                stamp = (state.st_mtime_ns, state.st_size, state.st_ino, state.st_mode)
                if stamp != self._stamp:
                    people = read_people(self.file)
                    self._hashes = {name: one["sha256"] for name, one in people.items()}
                    self._stamp = stamp
            except (OSError, UsageError):
                self._hashes, self._stamp = {}, ()
            return self._hashes


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", errors="surrogatepass")).hexdigest()
