"""Print the size and the structure of the package: `python tests/structure.py [FOLDER]`.

FOLDER is a checkout (default: this one). Imports are read from the source with grimp, those for the
type checker included. A package is a folder or a module directly below `bakeoff`; an arrow is a pair
of packages of which one imports from the other.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp


def longest_functions(source: Path, most: int = 5) -> list[tuple[int, str]]:
    """Lines of the longest functions, docstrings excluded, with file and name."""
    return sorted(_functions(source), reverse=True)[:most]


def _functions(source: Path) -> Iterator[tuple[int, str]]:
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node, clean=False)
                length = (node.end_lineno or 0) - node.lineno + 1
                length -= docstring.count("\n") + 1 if docstring else 0
                yield length, f"{path.relative_to(source)}:{node.name}"


def build_graph(checkout: Path) -> grimp.ImportGraph:
    """The import graph of the package in `checkout`, whatever is installed."""
    sys.path.insert(0, str(checkout / "src"))
    try:
        return grimp.build_graph("bakeoff", cache_dir=None)
    finally:
        sys.path.pop(0)


def cycles(graph: grimp.ImportGraph) -> list[tuple[str, ...]]:
    """Groups of modules that import each other, directly or through others."""
    below = {name: graph.find_downstream_modules(name) for name in graph.modules}
    groups = {
        (name, *(other for other in importers if name in below[other]))
        for name, importers in below.items()
    }
    return sorted({tuple(sorted(group)) for group in groups if len(group) > 1})


def arrows(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Pairs of packages of which the first imports from the second."""
    pairs = {
        (name.split(".")[1], imported.split(".")[1])
        for name in graph.modules
        for imported in graph.find_modules_directly_imported_by(name)
        if name.count(".") and imported.count(".")
    }
    return {(importer, imported) for importer, imported in pairs if importer != imported}


def main(checkout: Path) -> None:
    """Print the figures of one checkout."""
    source = checkout / "src" / "bakeoff"
    files = list(source.rglob("*.py"))
    graph = build_graph(checkout)
    packages = {name.split(".")[1] for name in graph.modules if name.count(".")}
    print("files:", len(files))
    print("lines:", sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files))
    print("longest functions:", *(f"{name} {lines}," for lines, name in longest_functions(source)))
    print("import cycles:", len(cycles(graph)), cycles(graph) or "")
    print("packages:", len(packages))
    print("arrows between packages:", len(arrows(graph)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
