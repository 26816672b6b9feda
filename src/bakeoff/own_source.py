"""The source of the user's code: found without importing anything, and hashed where imported.

A module of the user's is looked for in the study file's folder, then in the current folder, then
among the installed packages. What that module itself imports is looked for there in the opposite
order, so that a file of the user's never hides a module of a library.
"""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from pathlib import Path

from bakeoff.errors import UsageError, describe_unknown

CODE = "own code"
"""Heading of the files of the user's code among the facts about a study."""
OWN_PACKAGES = frozenset(
    {
        "bakeoff", "numpy", "optuna", "pytorch_optimizer", "schedulefree", "timm", "torch",
        "torchmetrics", "torchvision",
    }
)  # fmt: skip
"""Packages whose code this program runs itself."""
_study_folders: list[str] = []
_earlier_folders: set[str] = set()
"""Those of the studies that this process worked on before."""
_on_path: set[str] = set()
"""Folders of studies that `extend_path` added."""


def look_in(folder: str) -> None:
    """Look for the user's modules in a study file's folder from now on, then in the current one.

    A process works on one study at a time, so each study replaces the folder of the one before, on
    Python's path too.

    Args:
        folder: Empty for a study without a file.
    """
    invalidate_caches()
    found = [str(Path(folder).absolute())] if folder else []
    left = _on_path.difference(found)
    sys.path[:] = [entry for entry in sys.path if entry not in left]
    _on_path.difference_update(left)
    _earlier_folders.update(one for one in _study_folders if one not in found)
    _study_folders[:] = found


def extend_path() -> None:
    """Let the user's modules import others of theirs: their folders come last on Python's path."""
    added = [folder for folder in own_folders() if folder not in sys.path]
    sys.path += added
    _on_path.update(folder for folder in added if folder in _study_folders)


def own_folders() -> tuple[str, ...]:
    """The study file's folder, if there is one, and the current folder, if it was not removed."""
    current: list[str] = []
    with suppress(OSError):
        current.append(str(Path.cwd()))
    return tuple(dict.fromkeys((*_study_folders, *current)))


def search_path() -> tuple[str, ...]:
    """The folders in which the user's modules are looked for, in this order."""
    return (*own_folders(), *(entry for entry in sys.path if entry))


def find_own(module: str) -> Path | None:
    """The file of a module in a folder of the user's; None if there is none.

    None also for modules of Python and of the packages that this program itself uses: a file of the
    user's must not take the place of torch.

    Raises:
        UsageError: Two folders have different files of this name.
    """
    if _is_known(module) or _is_ours(module):
        return None
    found = [file for one in own_folders() if (file := find_source(module, [one])) is not None]
    for other in found[1:]:
        if other.read_bytes() != found[0].read_bytes():
            raise UsageError(
                f"module {module!r} is both {found[0]} and {other}, which differ: remove or rename"
                " one of them"
            )
    return found[0] if found else None


def find_other(module: str) -> tuple[str, Path, Path] | None:
    """A module that was imported from another file than this study's own, with both files.

    It is `module`, or one that an earlier study imported from its folder: a module of this study
    would get that one where its own folder has another file of the name.

    Raises:
        UsageError: As `find_own`.
    """
    if _is_ours(module):
        return None  # it imports nothing of the user's
    taken = getattr(sys.modules.get(module), "__file__", None)
    found = [(module, Path(taken), find_own(module))] if taken else []
    if _earlier_folders:
        found += [
            (name, path, find_source(name, _study_folders))
            for name, path in _users_modules()
            if not _earlier_folders.isdisjoint(map(str, path.parents))
        ]
    for name, path, own in found:
        if own is not None and path.is_file() and own.read_bytes() != path.read_bytes():
            return name, path, own
    return None


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
    hidden = [find_source(module, [one]) for one in own_folders() if _is_known(module)]
    for own in filter(None, hidden):
        raise UsageError(f"{where}: Python takes a module of its own and not {own}: rename yours")
    try:
        file = find_own(module) or find_source(module, folders)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    if file is None:
        if _is_known(module):
            return
        raise UsageError(f"{where}: {_describe_missing(module)}")
    try:
        tree = read_tree(file)
    except (SyntaxError, ValueError, OSError) as error:
        raise UsageError(f"{where}: {file} cannot be read as Python ({error})") from None
    defined = set(_defined(tree.body))
    first = name.partition(".")[0]
    if first not in defined and not defined & {"*", "__getattr__"}:
        public = sorted(one for one in defined if not one.startswith("_"))
        raise UsageError(f"{where}: {describe_unknown(f'name in {file}', first, public)}")


def read_tree(file: Path) -> ast.Module:
    """The syntax tree of a file of Python code.

    Raises:
        SyntaxError: It is not Python.
        ValueError: It holds what no text does.
        OSError: It cannot be read.
    """
    return ast.parse(file.read_bytes())


def _describe_missing(module: str) -> str:
    """Where the module was looked for, and the nearest name of a file there."""
    folders = own_folders()
    beside = {one.stem for folder in folders for one in Path(folder).glob("*.py")}
    nearest = get_close_matches(module, beside, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"no module {module!r} in {' or '.join(folders)} or among the packages{hint}"


def folders_of(modules: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """The folders from which files of the user's are imported as these modules.

    Args:
        modules: Names such as `package.module`.
        files: Paths of imported files, as `users_files` names them.
    """
    found: dict[str, None] = {}
    for module in modules:
        parts = tuple(module.split("."))
        for path in map(Path, files):
            whole = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
            if whole[-len(parts) :] == parts:
                found[str(Path(*whole[: -len(parts)]))] = None
    return tuple(found)


def code_files(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The paths of the user's files that were imported where a study or run began."""
    entries = environment.get(CODE, "").split(", ")
    return tuple(entry.rpartition(" (")[0] for entry in entries if entry)


def users_files() -> dict[str, str]:
    """SHA-256 of every file of the user's that this process has imported, by its path.

    Files in the current folder are named by their path in it. Python itself, installed packages,
    bakeoff and the program that was started are left out.
    """
    found: dict[str, str] = {}
    for _, path in _users_modules():
        here = Path.cwd()
        shown = path.relative_to(here) if here in path.parents else path
        found[str(shown)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _users_modules() -> Iterator[tuple[str, Path]]:
    """Name and file of every module of the user's that this process has imported."""
    paths = sysconfig.get_paths()
    folders = {Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {Path(__file__).parent}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name in ("__main__", "__mp_main__") or not str(file).endswith(".py"):
            continue
        path = Path(file).absolute()
        if folders.isdisjoint(path.parents) and path.is_file():
            yield name, path


def _is_ours(module: str) -> bool:
    """Whether it belongs to this program or to a package that it uses itself."""
    return module.partition(".")[0] in OWN_PACKAGES


def _is_known(module: str) -> bool:
    """Whether it belongs to Python itself, which takes its own whatever the folders hold."""
    return module.partition(".")[0] in (*sys.builtin_module_names, *sys.stdlib_module_names)


def _defined(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that the statements of a module may define, `*` for those of another one."""
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (one.asname or one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, (ast.Lambda, ast.comprehension)):  # their names are their own
            yield from _defined(ast.iter_child_nodes(node))
