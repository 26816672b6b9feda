"""The source of the user's code: found without importing anything, and hashed where imported."""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from bakeoff.errors import UsageError, describe_unknown


def find_source(module: str, folders: Sequence[str]) -> Path | None:
    """The file of `package.module`, looked for in `folders` in their order; None if none has it.

    A module that is not written in Python has no file here either.
    """
    path: Sequence[str] | None = folders
    parts = module.split(".")
    for number in range(len(parts)):
        spec = None if path is None else PathFinder.find_spec(".".join(parts[: number + 1]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    is_source = spec is not None and str(spec.origin).endswith(".py")
    return Path(str(spec.origin)) if spec is not None and is_source else None


def check_reference(key: str, reference: str, folders: Sequence[str]) -> None:
    """Make sure that `package.module:name` exists, as far as its source tells.

    Raises:
        UsageError: There is no such module, its source is no Python, or it has no such name; the
            message begins with `key` and offers the nearest name.
    """
    module, _, name = reference.partition(":")
    where = f"{key} = {reference!r}"
    file = find_source(module, folders)
    if file is None:
        if _is_known(module):
            return
        raise UsageError(f"{where}: no module {module!r} in {folders[-1]} or among the packages")
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise UsageError(f"{where}: {file} cannot be read as Python ({error})") from None
    defined = set(_defined(tree.body))
    first = name.partition(".")[0]
    if first not in defined and not defined & {"*", "__getattr__"}:
        public = sorted(one for one in defined if not one.startswith("_"))
        raise UsageError(f"{where}: {describe_unknown(f'name in {file}', first, public)}")


def users_files() -> dict[str, str]:
    """SHA-256 of every file of the user's that this process has imported, by its path.

    Files in the current folder are named by their path in it. Python itself, installed packages,
    bakeoff and the program that was started are left out.
    """
    paths = sysconfig.get_paths()
    folders = {Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {Path(__file__).parent}
    found: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name in ("__main__", "__mp_main__") or not str(file).endswith(".py"):
            continue
        path = Path(file).absolute()
        if folders.isdisjoint(path.parents) and path.is_file():
            here = Path.cwd()
            shown = path.relative_to(here) if here in path.parents else path
            found[str(shown)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in (*sys.builtin_module_names, *sys.stdlib_module_names)


def _defined(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that the statements of a module may define, `*` for those of another one."""
    for node in statements:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (one.asname or one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inner = (one for target in targets for one in ast.walk(target))
            yield from (one.id for one in inner if isinstance(one, ast.Name))
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            for part in ("body", "orelse", "finalbody"):
                yield from _defined(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _defined(handler.body)
