"""Exports weights: a safetensors file, its description, and the Python code to load it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.files import write_atomically, write_durably
from bakeoff.production.loading_module import module_name, render_example, render_module

DESCRIPTION_KEY = "bakeoff"
"""Key of the metadata of a weights file; see `bakeoff.training.weights`."""
SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class ExportPaths:
    """The files of an export."""

    weights: Path
    about: Path
    """JSON with configuration, class names, preparation of inputs, and scores."""
    module: Path
    """Python module with the network, the preparation of inputs, and the meaning of outputs."""
    example: Path
    """Python script of ten lines that uses the module."""


def read_description(weights: Path) -> dict[str, Any]:
    """The description that is stored in a weights file.

    Raises:
        BakeoffError: The file is damaged, or was not written by bakeoff.
    """
    try:
        with safe_open(str(weights), framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise BakeoffError(f"{weights} cannot be read ({error})") from None
    if DESCRIPTION_KEY not in metadata:
        raise BakeoffError(f"{weights} was not written by bakeoff: it contains no description")
    description: dict[str, Any] = json.loads(metadata[DESCRIPTION_KEY])
    return description


def write_export(weights: Path, target: Path) -> ExportPaths:
    """Copy `weights` to `target` and write its description, a module and an example next to it.

    These files need torch and safetensors, but not bakeoff.

    Raises:
        UsageError: `target` has another suffix than .safetensors, or cannot be written.
        BakeoffError: `weights` cannot be read, or this release does not have their network.
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
