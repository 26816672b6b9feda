"""Weights to take away: one safetensors file, what it is, and how to load it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from safetensors import SafetensorError, safe_open

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.files import write_atomically, write_durably
from bakeoff.records import Task

DESCRIPTION_KEY = "bakeoff"
"""See `bakeoff.training.weights`."""
SUFFIX = ".safetensors"

LOADING_EXAMPLE = Template('''\
"""Load the exported model and use it; needs torch, safetensors and `$module`."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from $module import $function

FOLDER = Path(__file__).parent
ABOUT = json.loads((FOLDER / "$about").read_text())


def load_model():
    model = build(**ABOUT["arguments"])
    model.load_state_dict(load_file(FOLDER / "$weights"))
    return model.eval()


def prepare(samples):
    """Samples as the data set has them, [N, $shape] $dtype, as the model wants them."""
$prepare


def predict(samples):
    """$answer"""
    with torch.no_grad():
        outputs = load_model()(prepare(samples))
$predict


if __name__ == "__main__":
    print(predict(torch.zeros(2, *ABOUT["inputs"]["shape"])))
''')
NORMALISE = """\
    mean, scale = (torch.tensor(ABOUT["inputs"][name]) for name in ("mean", "scale"))
    return (torch.as_tensor(samples) - mean) * scale"""
TO_TOKENS = """\
    return torch.as_tensor(samples).long()"""
TO_NAMES = """\
    return [ABOUT["class_names"][best] for best in outputs.argmax(1)]"""
TO_NEXT_TOKENS = """\
    return [ABOUT["class_names"][best] for best in outputs[:, -1].argmax(1)]"""
TO_TARGETS = """\
    return outputs[:, 0] * ABOUT["targets"]["scale"] + ABOUT["targets"]["mean"]"""
USES: Mapping[Task, tuple[str, str, str]] = {
    "classification": (NORMALISE, "Name of the likeliest class of each sample.", TO_NAMES),
    "regression": (NORMALISE, "Predicted target of each sample, in its own unit.", TO_TARGETS),
    "language": (TO_TOKENS, "Likeliest token after each sample.", TO_NEXT_TOKENS),
}
"""By task: how inputs are prepared, what is predicted, and how."""


@dataclass(frozen=True, kw_only=True)
class ExportPaths:
    """The files of an export."""

    weights: Path
    about: Path
    """JSON: configuration, class names, how inputs are prepared, scores."""
    example: Path
    """Python that loads the model."""


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
    """Copy `weights` to `target`, and put its description and a loading example beside it.

    Raises:
        UsageError: `target` is no name for such a file, or its folder cannot be written.
        BakeoffError: `weights` cannot be read.
    """
    if target.suffix != SUFFIX:
        raise UsageError(f"-o {target}: give a file name that ends with {SUFFIX}")
    about = read_description(weights)
    paths = ExportPaths(
        weights=target,
        about=target.with_suffix(".json"),
        example=target.with_name(f"load_{target.stem}.py"),
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.example, _loading_example(paths, about))
        write_atomically(paths.about, json.dumps(about, indent=2) + "\n")
        write_durably(paths.weights, weights.read_bytes())
    except OSError as error:
        raise UsageError(f"-o {target}: cannot be written ({error.strerror})") from None
    return paths


def _loading_example(paths: ExportPaths, about: dict[str, Any]) -> str:
    module, _, function = about["build"].partition(":")
    prepare, answer, predict = USES[about["task"]]
    return LOADING_EXAMPLE.substitute(
        module=module,
        function="build" if function == "build" else f"{function} as build",
        about=paths.about.name,
        weights=paths.weights.name,
        shape=", ".join(map(str, about["inputs"]["shape"])),
        dtype=about["inputs"]["dtype"],
        prepare=prepare,
        answer=answer,
        predict=predict,
    )
