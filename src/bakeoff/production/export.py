"""Weights to take away: one safetensors file, what it is, and how to load it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.files import write_atomically, write_durably
from bakeoff.production.loading_module import module_name, render_example, render_module

DESCRIPTION_KEY = "bakeoff"
"""See `bakeoff.training.weights`."""
SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class ExportPaths:
    """The files of an export."""

    weights: Path
    about: Path
    """JSON: configuration, class names, how inputs are prepared, scores."""
    module: Path
    """Python: the network, how inputs are prepared, what outputs mean."""
    example: Path
    """Ten lines that use the module."""


def read_description(weights: Path) -> dict[str, Any]:
    """What a weights file says of itself.

    Raises:
        BakeoffError: It is damaged, or was not written by bakeoff.
    """
    try:
        with safe_open(str(weights), framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise BakeoffError(f"{weights} cannot be read ({error})") from None
    if DESCRIPTION_KEY not in metadata:
        raise BakeoffError(f"{weights} was not written by bakeoff: it does not say what it is")
    description: dict[str, Any] = json.loads(metadata[DESCRIPTION_KEY])
    return description


def write_export(weights: Path, target: Path) -> ExportPaths:
    """Copy `weights` to `target`, and put its description, a module and an example beside it.

    Together they need torch and safetensors, but not bakeoff.

    Raises:
        UsageError: `target` is no name for such a file, or its folder cannot be written.
        BakeoffError: `weights` cannot be read, or are of a network that this release has not.
    """
    if target.suffix != SUFFIX:
        raise UsageError(f"-o {target}: give a file name that ends with {SUFFIX}")
    about = read_description(weights)
    paths = ExportPaths(
        weights=target,
        about=target.with_suffix(".json"),
        module=target.with_name(f"{module_name(target.stem)}.py"),
        example=target.with_name(f"use_{target.stem}.py"),
    )
    module = render_module(
        about, about_name=paths.about.name, weights=paths.weights.name, example=paths.example.name
    )
    example = render_example(about, module=paths.module.stem, weights=paths.weights.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.module, module)
        write_atomically(paths.example, example)
        write_atomically(paths.about, json.dumps(about, indent=2) + "\n")
        write_durably(paths.weights, weights.read_bytes())
    except OSError as error:
        raise UsageError(f"-o {target}: cannot be written ({error.strerror})") from None
    return paths
