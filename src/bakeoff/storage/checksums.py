"""Checksums over what bakeoff stores, which find rows that were changed by anything but bakeoff.

SQLite has no checksums of its own. A run has two: the first one is stored in the transaction that
creates the run, over the rows that never change, and the second before the run ends, over all its
rows. Every other content that bakeoff reads is a JSON object with its own checksum. They are not
keyed, so they find damage and not an attacker. See `docs/decisions/storage.md#checksums`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from optuna.trial import TrialState

from bakeoff.errors import StorageError

BEGUN_KEY = "bakeoff:check-begun"
"""Checksum of the rows that a run begins with, as an attribute of the run."""
ENDED_KEY = "bakeoff:check-ended"
"""Checksum of all rows of a run that has ended."""
CHECK = "check"
"""Where a JSON object holds its own checksum."""
PLAN_KEY = "bakeoff:plan"
OWN_PREFIX = "bakeoff:"
FIRST_KEYS = frozenset({"arm", "phase", "seed", "purpose", "audited", "repeat", PLAN_KEY})
"""The attributes that a run begins with, which never change."""
BYTES = 16
ADVICE = (
    "it was damaged, or changed by another program; restore the storage from a backup, or delete"
    " the study"
)


class DamagedError(StorageError):
    """What is stored does not match its checksum."""


@dataclass
class RowHashes:
    """The hashes of the rows of one run, and the checksums that were stored with them."""

    first: list[bytes] = field(default_factory=list)
    """The rows that the run began with, which never change."""
    later: list[bytes] = field(default_factory=list)
    """The rows that were stored since."""
    begun: str = ""
    ended: str = ""
    is_own: bool = False
    """Whether bakeoff stored any of the rows."""

    def add_parameter(self, name: str, value: float, distribution: str) -> None:
        """Add a parameter in Optuna's internal representation."""
        self.first.append(_hash(f"parameter {name} {float(value)!r} {distribution}"))

    def add_user(self, key: str, text: str) -> None:
        """Add a user attribute as JSON text."""
        rows = self.first if key in FIRST_KEYS else self.later
        rows.append(_hash(f"user {key} {text}"))

    def add_system(self, key: str, text: str) -> None:
        """Add a system attribute as JSON text; those of other programs do not count."""
        if not key.startswith(OWN_PREFIX):
            return
        self.is_own = True
        if key == BEGUN_KEY:
            self.begun = text
        elif key == ENDED_KEY:
            self.ended = text
        else:
            rows = self.first if key in FIRST_KEYS else self.later
            rows.append(_hash(f"system {key} {text}"))

    def add_value(self, objective: int, kind: str, value: float | None) -> None:
        """Add the value of an objective, with Optuna's name for finite and infinite values."""
        number = None if value is None else float(value)
        self.later.append(_hash(f"value {objective} {kind} {number!r}"))

    def check_of_begin(self) -> str:
        """The checksum that is stored when a run begins, before its number is known."""
        return _combine(self.first)

    def check_of_end(self, number: int, state: str) -> str:
        """The checksum that is stored before run `number` ends in `state`."""
        head = [_hash(f"number {number} {state}"), _hash(f"begun {self.begun}")]
        return _combine([*head, *self.first, *self.later])


@dataclass(frozen=True, kw_only=True)
class FirstRows:
    """The rows that a run begins with."""

    parameters: Sequence[tuple[str, float, str]]
    """Name, value in Optuna's internal representation, and distribution as JSON text."""
    user: Mapping[str, str]
    """User attributes as JSON texts."""
    system: Mapping[str, str]
    """System attributes as JSON texts."""

    def with_checksum(self) -> "FirstRows":
        """The rows, and the checksum over them."""
        found = RowHashes()
        for parameter in self.parameters:
            found.add_parameter(*parameter)
        for key, content in self.user.items():
            found.add_user(key, content)
        for key, content in self.system.items():
            found.add_system(key, content)
        return replace(self, system={**self.system, BEGUN_KEY: json.dumps(found.check_of_begin())})


def add_end(rows: RowHashes, values: Iterable[float] | None) -> None:
    """Add the values that Optuna will store when the run ends."""
    for objective, value in enumerate(values or ()):
        rows.add_value(objective, *as_stored(value))


def as_stored(value: float) -> tuple[str, float | None]:
    """Optuna's name for finite and infinite values, and the number if it is finite."""
    infinite = {float("inf"): "INF_POS", float("-inf"): "INF_NEG"}.get(value)
    return infinite or "FINITE", None if infinite else value


def is_run_checked(rows: RowHashes, number: int, state: str, *, must_be: bool) -> bool:
    """Whether a run has checksums; an earlier release stored none.

    Args:
        rows: Its rows.
        number: Its number.
        state: Optuna's name of its state.
        must_be: Whether the release that began the study stores checksums.

    Raises:
        DamagedError: A checksum does not match, or is missing.
    """
    is_active = state in (TrialState.RUNNING.name, TrialState.WAITING.name)
    if rows.begun and json_text(rows.begun) != rows.check_of_begin():
        raise DamagedError("what it began with does not match its checksum")
    if is_active:
        if must_be and not rows.begun:
            raise DamagedError("its checksum is missing")
        return bool(rows.begun)
    if rows.ended and json_text(rows.ended) != rows.check_of_end(number, state):
        raise DamagedError("its values and attributes do not match their checksum")
    if must_be and not rows.ended:
        raise DamagedError("its checksum is missing")
    return bool(rows.ended)


def json_text(text: str) -> str:
    """The text that a JSON value holds; empty if it is none."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else ""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its checksum."""
    return {**content, CHECK: _hash_content(content)}


def opened(content: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A JSON object without its checksum; an earlier release stored none.

    Args:
        content: The object.
        what: Names it in the error.

    Raises:
        DamagedError: The checksum does not match.
    """
    plain = {key: value for key, value in content.items() if key != CHECK}
    if CHECK in content and content[CHECK] != _hash_content(plain):
        raise DamagedError(f"{what} does not match its checksum")
    return plain


def _hash_content(content: Mapping[str, Any]) -> str:
    return _hash(json.dumps(content, sort_keys=True)).hex()


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()


def _combine(hashes: Iterable[bytes]) -> str:
    return blake2b(b"".join(sorted(hashes)), digest_size=BYTES).hexdigest()
