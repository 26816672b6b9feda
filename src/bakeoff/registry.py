"""Named entries in a fixed order, and references to code (`package.module:name`).

The tables in `components` are registries of plain specifications. A specification names the code
that builds it by reference, and that code is imported only when a trial needs it. So a study file
can be validated, planned and reported without importing torch.
"""

import importlib
import inspect
import os
import random
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from bakeoff.errors import UsageError, describe_error, describe_unknown
from bakeoff.own_source import extend_path, find_other, find_own, own_folders

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
    """Whether `text` has the form `package.module:name`, which no name of a file has."""
    return REFERENCE.fullmatch(text) is not None and ".py:" not in text


def resolve(reference: str) -> object:
    """Import what `package.module:name` refers to.

    This runs the module's code, so call it only where a trial is about to run. The working folder
    and the global random generators are afterwards as they were: a module that seeds them would
    give every run the same first weights. What it prints goes to stderr.

    Raises:
        UsageError: The module cannot be imported, or has no such attribute.
    """
    module_name, _, path = reference.partition(":")
    _check_imported(module_name)
    try:
        found: object = sys.modules.get(module_name) or _import(module_name)
    except (Exception, SystemExit) as error:  # the user's module may raise anything at all
        raise UsageError(
            f"cannot import {module_name!r} for {reference!r}: {describe_error(error)}"
        ) from error
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            hidden = _hidden_file(module_name)
            raise UsageError(f"module {module_name!r} has no attribute {path!r}{hidden}") from None
    return found


def describe_signature(function: object) -> str:
    """The name of a function, class or module with its arguments: `focal(outputs, gamma=2.0)`.

    Type annotations are left out; some fill several lines.
    """
    is_class = isinstance(function, type)
    called: Any = function if is_class else getattr(function, "forward", function)
    name = str(getattr(function, "__name__", type(function).__name__))
    try:
        found = inspect.signature(called)
        plain = [one.replace(annotation=one.empty) for one in found.parameters.values()]
        return f"{name}{found.replace(parameters=plain, return_annotation=found.empty)}"
    except (TypeError, ValueError):
        return name


def _hidden_file(module: str) -> str:
    """Says that the user's file of this name was not taken, where there is one."""
    own = Path(*module.split(".")).with_suffix(".py").absolute()
    taken = getattr(sys.modules.get(module), "__file__", None)
    if not own.is_file() or (taken is not None and Path(taken).samefile(own)):
        return ""
    return f"; Python took {taken or 'its own module'} and not {own}: rename yours"


def _check_imported(module: str) -> None:
    """Refuse a module that was imported from the folder of another study.

    Raises:
        UsageError: This process cannot import another module of the same name.
    """
    if (found := find_other(module)) is not None:
        name, taken, own = found
        raise UsageError(
            f"module {name!r} was imported from {taken}, and the study has {own}: use a new"
            " Python process, or rename one of them"
        )


def _import(module: str) -> ModuleType:
    """Import the module, from a folder of the user's if one has it."""
    own = find_own(module)
    extend_path()
    with users_code(), generators_kept():
        first = module.partition(".")[0]
        if own is not None and first not in sys.modules:
            _import_own(first)
        return importlib.import_module(module)


def _import_own(name: str) -> None:
    """Import a module or package from the user's folders, although an installed one has its name.

    A folder without `__init__.py` is left to Python, which joins all folders of the name.
    """
    spec = PathFinder.find_spec(name, own_folders())
    if spec is None or spec.loader is None or spec.origin is None:
        return
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


@contextmanager
def users_code() -> Iterator[None]:
    """Run the user's code: what it prints goes to stderr, and the working folder stays.

    Output on stdout may be JSON, and files of a study are found from the working folder.
    """
    try:
        folder = Path.cwd()
    except OSError:  # it was removed
        folder = None
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if folder is not None:
            os.chdir(folder)


@contextmanager
def expecting(expected: str, called: object) -> Iterator[None]:
    """Run the user's code; where it raises, say what was expected and what `called` takes.

    Args:
        expected: Begins the message, such as `optimizer 'my:Lion': expected a call with (...)`.
        called: The function, class or module of the user's.

    Raises:
        UsageError: The block raised anything; another `UsageError` stays as it is.
    """
    try:
        with users_code():
            yield
    except UsageError:
        raise
    except Exception as error:  # the user's code may raise anything
        found = f"{describe_signature(called)} ({describe_error(error)})"
        raise UsageError(f"{expected}, found {found}") from error


@contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the global random generators of Python, NumPy and torch, as far as these are used."""
    numpy: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    of_python = random.getstate()
    of_numpy = numpy.random.get_state() if numpy else None
    of_torch = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(of_python)
        if numpy:
            numpy.random.set_state(of_numpy)
        if torch:
            torch.set_rng_state(of_torch)
