"""Exports weights: a safetensors file, its description, and the Python code to load it."""

import json
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import UsageError
from bakeoff.files import replace_files, write_durably
from bakeoff.production.description import FILE_NAME, read_description
from bakeoff.production.loading_module import module_name, render_example, render_module

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


def write_export(weights: Path, target: Path) -> ExportPaths:
    """Copy `weights` to `target` and write its description, a module and an example next to it.

    These files need torch and safetensors, but not bakeoff.

    Raises:
        UsageError: `target` has another suffix than .safetensors or a name that cannot stand in
            Python code, or cannot be written.
        BakeoffError: `weights` cannot be read, or this release does not have their network.
    """
    if target.suffix != SUFFIX:
        raise UsageError(f"-o {target}: give a file name that ends with {SUFFIX}")
    if not FILE_NAME.fullmatch(target.name):
        raise UsageError(
            f"-o {target}: the name is written into Python code; use letters, digits, spaces and"
            " . + = @ -"
        )
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
        write_durably(paths.weights, weights.read_bytes())  # the largest first
        texts = {paths.module: module, paths.example: example}
        replace_files({**texts, paths.about: json.dumps(about, indent=2) + "\n"})
    except OSError as error:
        raise UsageError(f"-o {target}: cannot be written ({error.strerror or error})") from None
    return paths
