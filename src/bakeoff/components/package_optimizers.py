"""Optimizers of other packages: which can train here, and whether their package is installed.

No package is imported. A package is located where it is installed, and the names that it offers are
read from its source.
"""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

from bakeoff.errors import MissingDependencyError, UsageError, describe_unknown

PACKAGE_PREFIX = "pytorch_optimizer:"
"""`pytorch_optimizer:Name` is the optimizer `Name` of that package."""

EXTRA = "optimizers"
"""The extra of this package that installs pytorch_optimizer and schedulefree."""

_REASONS = {
    "its step needs a second pass through the model": (
        "AdaHessian", "AliG", "BSAM", "FriendlySAM", "GSAM", "LBFGS", "LookSAM", "SAM", "SophiaH",
        "WSAM",
    ),
    "it wraps another optimizer": (
        "Lookahead", "OrthoGrad", "PCGrad", "SafeFP16Optimizer", "ScheduleFreeWrapper", "TRAC",
    ),
    "it needs the model itself, not its weights": ("AdaLOMO", "AdamMini", "LOMO"),
    "it needs manually marked weights; 'muon' marks them automatically": (
        "AdaGO", "AdaMuon", "DistributedMuon", "Muon", "MuonClip", "NorMuon",
    ),
    "it takes weights of particular shapes only": ("LoRARite", "SpectralSphere"),
    "it fails on convolutions that are stored channels last": ("AdamP", "Nero", "SGDP", "SWATS"),
    "it has no learning rate to search and schedule": ("A2Grad",),
    "it needs the length of the run": ("Ranger21",),
    "it needs several machines": ("DeMo",),
    "it is not an optimizer": ("DynamicLossScaler", "RotoGrad"),
    "a checkpoint that is safe to load cannot hold its state": (
        "AdaShift", "Conda", "SCION", "SCIONLight", "ScalableShampoo",
    ),
}  # fmt: skip
UNUSABLE = {name: reason for reason, names in _REASONS.items() for name in names}
"""Why an optimizer of the package cannot train here; tried with release 4.1."""


def check_usable(name: str) -> None:
    """Refuse a malformed name and an optimizer of the package that cannot train here.

    Raises:
        UsageError: It is refused; the message says why.
    """
    own_name = name.removeprefix(PACKAGE_PREFIX)
    if not re.fullmatch(r"[A-Za-z]\w*", own_name):
        raise UsageError(f"optimizer {name!r}: {own_name!r} is not the name of a class")
    if own_name in UNUSABLE:
        raise UsageError(f"optimizer {name!r} cannot train here: {UNUSABLE[own_name]}")


def check_installed(name: str, package: str) -> None:
    """Make sure that an optimizer's package is installed and has the optimizer.

    Args:
        name: The optimizer.
        package: The package that contains its code.

    Raises:
        MissingDependencyError: The package is not installed; the message names the extra.
        UsageError: The package has no such optimizer.
    """
    if find_spec(package) is None:
        raise MissingDependencyError(
            f"optimizer {name!r} needs the package {package}, which is not installed;"
            f" get it with: pip install 'bakeoff[{EXTRA}]'"
        )
    own_name = name.removeprefix(PACKAGE_PREFIX)
    offered = package_optimizers() if name.startswith(PACKAGE_PREFIX) else ()
    if offered and own_name not in offered:
        raise UsageError(describe_unknown(f"optimizer of {package}", own_name, offered))


def package_optimizers() -> tuple[str, ...]:
    """The optimizers of the installed pytorch_optimizer that can train here, by name.

    They are read from the imports of the file that lists them. There are none if the package is not
    installed or has no such file.
    """
    package = PACKAGE_PREFIX.removesuffix(":")
    found = find_spec(package)
    if found is None or found.origin is None:
        return ()
    table = Path(found.origin).with_name("optimizer") / "__init__.py"
    if not table.is_file():
        return ()
    names = {
        alias.name
        for node in ast.walk(ast.parse(table.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith(f"{package}.optimizer.")
        for alias in node.names
    }
    return tuple(sorted(name for name in names if name[0].isupper() and name not in UNUSABLE))
