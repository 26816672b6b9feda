"""The source of a network on its own: what an export carries so that it runs without bakeoff."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bakeoff.errors import BakeoffError

OURS = "bakeoff."
"""How the names of our own modules begin."""


@dataclass(frozen=True, kw_only=True)
class NetworkSource:
    """Python that defines the function that builds a network."""

    function: str
    imports: str
    """Statements, one a line."""
    definitions: str
    """The function, and what it calls; empty where it is the user's and is imported."""


def network_source(reference: str) -> NetworkSource:
    """What has to be written down for `package.module:function` to be called.

    Functions of bakeoff are copied, with the functions, classes and constants of their file that
    they need: these files import nothing else of it. The user's own are imported from where they
    are.

    Raises:
        BakeoffError: bakeoff has no such function any more.
    """
    module, _, function = reference.partition(":")
    if not module.startswith(OURS):
        return NetworkSource(
            function=function, imports=f"from {module} import {function}", definitions=""
        )
    found = find_spec(module)
    if found is None or found.origin is None:
        raise BakeoffError(f"this release of bakeoff has no {reference}, which built these weights")
    text = Path(found.origin).read_text(encoding="utf-8")
    tree = ast.parse(text)
    defined = {name: node for node in tree.body for name in _defines(node)}
    if function not in defined:
        raise BakeoffError(f"this release of bakeoff has no {reference}, which built these weights")
    needed = _needed(function, defined)
    used = {name for node in needed for name in _names(node)}
    parts = [ast.get_source_segment(text, node) or "" for node in tree.body if node in needed]
    return NetworkSource(
        function=function,
        imports="\n".join(_imports(tree, used)),
        definitions="\n\n\n".join(parts),
    )


def _defines(node: ast.stmt) -> list[str]:
    """Names that a statement of a module defines, imports aside."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _needed(function: str, defined: dict[str, ast.stmt]) -> set[ast.stmt]:
    """The definition of `function` and all that it refers to, directly or not."""
    needed: set[ast.stmt] = set()
    waiting = [function]
    while waiting:
        node = defined[waiting.pop()]
        if node not in needed:
            needed.add(node)
            waiting += [name for name in _names(node) if name in defined]
    return needed


def _names(node: ast.stmt) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _imports(tree: ast.Module, used: set[str]) -> Iterator[str]:
    """The module's imports of names that are used."""
    for node in tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        node.names = [one for one in node.names if (one.asname or one.name) in used]
        if node.names:
            yield ast.unparse(node)
