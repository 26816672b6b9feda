"""Optimizers of other packages: which can train here, and whether their package is installed.

Nothing is imported: a package is looked up where it is installed, and the names it offers are read
from its source.
"""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

from bakeoff.errors import MissingDependencyError, UsageError, describe_unknown

PACKAGE_PREFIX = "pytorch_optimizer:"
"""`pytorch_optimizer:Name` is the optimizer `Name` of that package."""

EXTRA = "optimizers"
"""The extra of this package that brings pytorch_optimizer and schedulefree."""

_REASONS = {
    "its step needs a second pass through the model": (
        "AdaHessian", "AliG", "BSAM", "FriendlySAM", "GSAM", "LBFGS", "LookSAM", "SAM", "SophiaH",
        "WSAM",
    ),
    "it wraps another optimizer": (
        "Lookahead", "OrthoGrad", "PCGrad", "SafeFP16Optimizer", "ScheduleFreeWrapper", "TRAC",
    ),
    "it needs the model itself, not its weights": ("AdaLOMO", "AdamMini", "LOMO"),
    "it needs its weights marked by hand; 'muon' does that by itself": (
        "AdaGO", "AdaMuon", "DistributedMuon", "Muon", "MuonClip", "NorMuon",
    ),
    "it takes weights of particular shapes only": ("LoRARite", "SpectralSphere"),
    "it needs the length of the run": ("Ranger21",),
    "it needs several machines": ("DeMo",),
    "a checkpoint that is safe to load cannot hold its state": (
        "AdaShift", "Conda", "SCION", "SCIONLight", "ScalableShampoo",
    ),
}  # fmt: skip
UNUSABLE = {name: reason for reason, names in _REASONS.items() for name in names}
"""Why an optimizer of the package cannot train here; tried with release 4.1."""


def check_usable(name: str) -> None:
    """Refuse what is no name, and optimizers of the package that cannot train here.

    Raises:
        UsageError: With the reason.
    """
    own_name = name.removeprefix(PACKAGE_PREFIX)
    if not re.fullmatch(r"[A-Za-z]\w*", own_name):
        raise UsageError(f"optimizer {name!r}: {own_name!r} is not the name of a class")
    if own_name in UNUSABLE:
        raise UsageError(f"optimizer {name!r} cannot train here: {UNUSABLE[own_name]}")


def check_installed(name: str, package: str) -> None:
    """Make sure that an optimizer's package is there and, for `pytorch_optimizer:Name`, has it.

    Args:
        name: Of the optimizer.
        package: That its code comes from.

    Raises:
        MissingDependencyError: The package is not installed; the message names the extra.
        UsageError: The package has no such optimizer.
    """
    found = find_spec(package)
    if found is None:
        raise MissingDependencyError(
            f"optimizer {name!r} needs the package {package}, which is not installed;"
            f" get it with: pip install 'bakeoff[{EXTRA}]'"
        )
    table = Path(found.origin or "").with_name("optimizer") / "__init__.py"
    if name.startswith(PACKAGE_PREFIX) and table.is_file():
        offered = _imported_names(table)
        own_name = name.removeprefix(PACKAGE_PREFIX)
        if own_name not in offered:
            raise UsageError(describe_unknown(f"optimizer of {package}", own_name, offered))


def _imported_names(source: Path) -> list[str]:
    """The classes that a file imports and that can train here, by the spelling of their names."""
    names = {
        alias.name
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return sorted(name for name in names if name[0].isupper() and name not in UNUSABLE)
