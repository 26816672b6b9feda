"""Models of torchvision, timm and the Hugging Face hub, found without importing any package.

They are built with untrained weights; `[finetune] pretrained` loads trained ones afterwards.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from bakeoff.errors import MissingDependencyError, UsageError, describe_unknown

PACKAGES: Mapping[str, str] = {
    "torchvision": "torchvision",
    "timm": "bakeoff[timm]",
    "hf": "bakeoff[hf]",
}
"""What to install for the models of each package."""
MODULES = {"hf": "transformers"}
"""The module of a package, where its prefix in a study file is another one."""

FETCHING = ("weights", "weights_backbone", "pretrained", "pretrained_cfg", "checkpoint_path")
"""Parameters that would load trained weights."""

WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""Endings of files of weights: safetensors, or a state dictionary of torch."""

DEFINITION = re.compile(
    r"^@register_model(?:\((?:name=)?\"?(?P<given>\w*)\"?\))?\s*?$(?:\n@.*|\n\s.*|\n\).*)*?"
    r"\ndef (?P<function>\w+)\(",
    re.MULTILINE,
)
"""How both packages register a model; its name may differ from the name of its function."""


def find_package(model: str) -> str | None:
    """The package of a model named `package:NAME`; None for any other name."""
    package, separator, _ = model.partition(":")
    return package if separator and package in PACKAGES else None


def is_weights_file(pretrained: str) -> bool:
    """Whether `[finetune] pretrained` names a file, and not weights of a package."""
    return pretrained.endswith(WEIGHTS_SUFFIXES)


def check_offered(model: str) -> None:
    """Make sure that the package of `package:NAME` has such a model, if it is installed.

    Raises:
        UsageError: It does not have this model; the message offers the nearest names.
    """
    package, _, architecture = model.partition(":")
    if package == "hf" and not architecture:
        raise UsageError("model 'hf:': name a model of the hub, or a folder as hf:./FOLDER")
    offered = package_models(package)
    if offered and architecture not in offered:
        problem = describe_unknown(f"{package} model", architecture, offered)
        raise UsageError(problem.partition(" allowed: ")[0].rstrip(";"))


def check_fresh(model: str, params: Iterable[str]) -> None:
    """Make sure that none of the parameters of `package:NAME` asks for trained weights.

    Raises:
        UsageError: A parameter does.
    """
    for name in params:
        if name in FETCHING:
            raise UsageError(
                f"model.{name}: model {model!r} is always built with fresh weights;"
                " trained ones are loaded by pretrained under [finetune]"
            )


def check_model_installed(model: str) -> None:
    """Make sure that the package of a model is installed.

    Raises:
        MissingDependencyError: It is not installed; the message names the extra.
    """
    package = find_package(model)
    module = MODULES.get(package or "", package)
    if package is not None and module is not None and find_spec(module) is None:
        raise MissingDependencyError(
            f"model {model!r} needs the package {module}, which is not installed;"
            f" get it with: pip install '{PACKAGES[package]}'"
        )


@cache
def package_models(package: str) -> tuple[str, ...]:
    """Names of the classifiers that a package registers; empty if it is not installed.

    They are read from the files of its folder `models`. Models in subfolders detect or segment.
    """
    found = find_spec(package) if package not in MODULES else None
    if found is None or found.origin is None:
        return ()
    files = sorted((Path(found.origin).parent / "models").glob("*.py"))
    return tuple(
        sorted(
            match["given"] or match["function"]
            for file in files
            for match in DEFINITION.finditer(file.read_text(encoding="utf-8"))
        )
    )
