"""What a function or class of the user's is called with, read from its source without importing it.

A class takes what its `__init__` takes, or that of its first base class. Names that a module
imports are followed to where they are defined.
"""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from bakeoff.own_source import find_own, find_source, read_tree, search_path
from bakeoff.ranges import Params, ParamValue

TORCH_NAMES = {"learning_rate": "lr", "epsilon": "eps"}
"""torch's argument names of parameters that have another name here."""
STUDY_NAMES = {torch_name: name for name, torch_name in TORCH_NAMES.items()}
BETAS = "betas"
"""The argument that takes `beta1` and `beta2` together."""
BETA_NAMES = ("beta1", "beta2", "beta3")

MAX_STEPS = 12
"""Imports and base classes that are followed before the signature counts as unknown."""
_is_hidden = False
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The arguments after the first one, which is what the function works on."""

    names: tuple[str, ...]
    takes_any: bool = False
    """Whether it takes arguments of any other name."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Default values that the source writes as numbers, truth values, texts, or tuples of them."""
    methods: frozenset[str] = frozenset()
    """Names of the methods of a class, with those of its base classes."""

    def takes(self, name: str) -> bool:
        """Whether it can be called with this argument."""
        return self.takes_any or name in self.names


@dataclass(frozen=True, kw_only=True)
class OwnCode:
    """The user's code behind an optimizer or a schedule that a study names by reference."""

    signature: Signature | None
    """None where its source does not tell."""

    @property
    def known(self) -> tuple[str, ...] | None:
        """The parameters that a study file may list, by their names there; None if it may list any.

        `lr`, `eps` and `betas` are listed as `learning_rate`, `epsilon`, `beta1` and `beta2`.
        """
        if self.signature is None or self.signature.takes_any:
            return None
        return tuple(self.defaults)

    @property
    def kept(self) -> tuple[str, ...]:
        """The arguments that it takes by the very names that a study file has."""
        return () if self.signature is None else self.signature.names

    @property
    def defaults(self) -> dict[str, ParamValue | None]:
        """The default of each parameter, by its name in a study file; None where it has none."""
        found: dict[str, ParamValue | None] = {}
        for name in self.kept:
            value = None if self.signature is None else self.signature.defaults.get(name)
            if name == BETAS:
                betas = value if isinstance(value, tuple) else (None, None)
                found |= {f"beta{number}": _scalar(one) for number, one in enumerate(betas, 1)}
            else:
                found[STUDY_NAMES.get(name, name)] = _scalar(value)
        return found


def torch_arguments(params: Params, kept: Collection[str] = ()) -> dict[str, Any]:
    """The parameters by torch's argument names; beta1 and beta2 together are `betas`.

    Args:
        params: Values by the names of this package.
        kept: Arguments that have the names of this package.
    """
    betas = [name for name in BETA_NAMES if name in params and name not in kept]
    arguments: dict[str, Any] = {
        name if name in kept else TORCH_NAMES.get(name, name): value
        for name, value in params.items()
        if name not in betas
    }
    if betas:
        arguments[BETAS] = tuple(params[name] for name in betas)
    return arguments


def _scalar(value: object) -> ParamValue | None:
    return value if isinstance(value, (bool, int, float, str)) else None


@contextmanager
def without_sources() -> Iterator[None]:
    """Read no source inside the block: a stored study means what it meant when it began."""
    global _is_hidden  # noqa: PLW0603 - as deep as the names of optimizers are looked up
    before, _is_hidden = _is_hidden, True
    try:
        yield
    finally:
        _is_hidden = before


def sources_are_read() -> bool:
    """Whether what the user's code takes may be read from its source."""
    return not _is_hidden


def read_own_code(reference: str) -> OwnCode:
    """What the source of `package.module:name` tells about its parameters."""
    return OwnCode(signature=read_signature(reference))


def read_signature(reference: str) -> Signature | None:
    """The signature of `package.module:name`; None where its source does not tell."""
    module, _, name = reference.partition(":")
    if _is_hidden:
        return None
    return _read(module, name.split("."), MAX_STEPS)


def _read(module: str, path: Sequence[str], steps: int) -> Signature | None:
    """The signature of an attribute of a module, or of a class in it."""
    file = find_own(module) or find_source(module, search_path())
    if file is None or steps == 0:
        return None
    with suppress(OSError, SyntaxError, ValueError):
        return _find(_tree(file, file.stat().st_mtime_ns).body, file, module, path, steps)
    return None


@lru_cache(maxsize=64)
def _tree(file: Path, changed: int) -> ast.Module:  # noqa: ARG001 - a changed file is read again
    return read_tree(file)


def _find(
    body: Sequence[ast.stmt], file: Path, module: str, path: Sequence[str], steps: int
) -> Signature | None:
    found: Signature | None = None
    for node in _statements(body):
        if isinstance(node, Definition) and node.name == path[0]:
            if len(path) > 1:
                found = _find(node.body, file, module, path[1:], steps)
            elif isinstance(node, ast.ClassDef):
                found = _of_class(node, body, file, module, steps)
            else:
                found = _of_function(node)
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                if (one.asname or one.name) == path[0]:
                    found = _read(_origin(node, file, module), [one.name, *path[1:]], steps - 1)
    return found


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, with those in the branches of conditions and attempts."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody") if isinstance(node, (ast.If, ast.Try)) else ():
            yield from _statements(getattr(node, part, []))


def _origin(node: ast.ImportFrom, file: Path, module: str) -> str:
    """The full name of the module that a statement imports from."""
    if not node.level:
        return node.module or ""
    up = node.level - (file.name == "__init__.py")
    parts = module.split(".")
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def _of_class(
    node: ast.ClassDef, body: Sequence[ast.stmt], file: Path, module: str, steps: int
) -> Signature | None:
    own = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
    inherited = _of_base(node, body, file, module, steps)
    methods = frozenset(own) | (inherited.methods if inherited else frozenset())
    if "__init__" in own:
        return replace(_of_function(own["__init__"], num_left_out=2), methods=methods)
    return inherited and replace(inherited, methods=methods)


def _of_base(
    node: ast.ClassDef, body: Sequence[ast.stmt], file: Path, module: str, steps: int
) -> Signature | None:
    """The signature of the first base class."""
    if not node.bases or steps == 0:
        return None
    parts = ast.unparse(node.bases[0]).split(".")
    if len(parts) == 1 and parts[0] != node.name:
        return _find(body, file, module, parts, steps - 1)
    for one in _statements(body):  # import torch, or import torch.optim as optim
        for alias in one.names if isinstance(one, ast.Import) else ():
            if parts[0] == (alias.asname or alias.name.partition(".")[0]):
                first = alias.name if alias.asname else parts[0]
                return _read(".".join([first, *parts[1:-1]]), parts[-1:], steps - 1)
        if isinstance(one, ast.ImportFrom):  # from torch import optim
            for alias in one.names:
                if parts[0] == (alias.asname or alias.name):
                    inner = [_origin(one, file, module), alias.name, *parts[1:-1]]
                    return _read(".".join(inner), parts[-1:], steps - 1)
    return None


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, num_left_out: int = 1) -> Signature:
    """The arguments after the first `num_left_out`."""
    placed = [*node.args.posonlyargs, *node.args.args]
    missing = [None] * (len(placed) - len(node.args.defaults))
    given: list[ast.expr | None] = [*missing, *node.args.defaults]
    pairs = [*zip(placed, given, strict=True)][num_left_out:]
    pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    defaults = {}
    for argument, value in pairs:
        with suppress(ValueError):  # it is no literal
            if value is not None:
                defaults[argument.arg] = ast.literal_eval(value)
    return Signature(
        names=tuple(argument.arg for argument, _ in pairs),
        takes_any=node.args.kwarg is not None,
        defaults=defaults,
    )
