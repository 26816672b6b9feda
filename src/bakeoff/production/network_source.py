"""Extracts the source code of a network, so that an export runs without bakeoff."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bakeoff.errors import BakeoffError

OURS = "bakeoff."
"""Prefix of the modules of this package."""
NETWORKS = f"{OURS}networks."
"""Prefix of the modules that contain networks. No other is looked for, as that would import it."""


@dataclass(frozen=True, kw_only=True)
class NetworkSource:
    """Python code of the function that builds a network."""

    function: str
    imports: str
    """Import statements, one per line."""
    definitions: str
    """The function and everything it uses; empty for a function of the user, which is imported."""


def network_source(reference: str) -> NetworkSource:
    """The source code that is needed to call `package.module:function`.

    A function of bakeoff is copied together with the functions, classes and constants that it uses,
    which are all in the same file. A function of the user is imported.

    Raises:
        BakeoffError: This release of bakeoff has no such function.
    """
    module, _, function = reference.partition(":")
    if not module.startswith(OURS):
        return NetworkSource(
            function=function, imports=f"from {module} import {function}", definitions=""
        )
    found = find_spec(module) if module.startswith(NETWORKS) else None
    text = Path(found.origin).read_text(encoding="utf-8") if found and found.origin else ""
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
    """Names that a statement of a module defines, except imports."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _needed(function: str, defined: dict[str, ast.stmt]) -> set[ast.stmt]:
    """The definition of `function` and of everything that it uses, directly or indirectly."""
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
    """The module's imports of the used names."""
    for node in tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        node.names = [one for one in node.names if (one.asname or one.name) in used]
        if node.names:
            yield ast.unparse(node)
