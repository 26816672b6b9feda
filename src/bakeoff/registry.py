"""Named entries in a fixed order, and references to code (`package.module:name`).

The tables in `components` are registries of plain specifications. A specification names the code
that builds it by reference, and that code is imported only when a trial needs it. So a study file
can be validated, planned and reported without importing torch.
"""

import importlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from bakeoff.errors import UsageError, describe_error, describe_unknown

REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Named(Protocol):
    """Anything with a `name`."""

    @property
    def name(self) -> str:
        """The name under which it is looked up."""
        ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Generic[Entry]):
    """Entries by name, in the order in which the table lists them.

    Code that needs the names must ask for them when it runs, not when it is imported: `with_entry`
    can add an entry later.
    """

    def __init__(self, kind: str, entries: Iterable[Entry]) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        if entry.name in self._entries:
            raise ValueError(f"{self.kind} {entry.name!r} is registered twice")
        self._entries[entry.name] = entry

    @contextmanager
    def with_entry(self, entry: Entry) -> Iterator[None]:
        """Offer one more entry inside a `with` block. This is for tests and for experiments."""
        self._add(entry)
        try:
            yield
        finally:
            del self._entries[entry.name]

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`.

        Raises:
            UsageError: No entry has this name; the message offers the nearest one.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise UsageError(describe_unknown(self.kind, name, self._entries)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} {self.kind}s: {', '.join(self._entries)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self._entries)


def is_reference(text: str) -> bool:
    """Whether `text` has the form `package.module:name`."""
    return REFERENCE.fullmatch(text) is not None


def resolve(reference: str) -> object:
    """Import what `package.module:name` refers to.

    This runs the module's code, so call it only where a trial is about to run.

    Raises:
        UsageError: The module cannot be imported, or has no such attribute.
    """
    module_name, _, path = reference.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the user's module may raise anything at all
        raise UsageError(
            f"cannot import {module_name!r} for {reference!r}: {describe_error(error)}"
        ) from error
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise UsageError(f"module {module_name!r} has no attribute {path!r}") from None
    return found
