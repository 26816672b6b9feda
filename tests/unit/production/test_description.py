"""What is written into Python code comes from a file that anybody may have made."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.production.description import read_description
from bakeoff.production.export import write_export

GOOD: dict[str, Any] = {
    "format": 1,
    "task": "classification",
    "build": "bakeoff.networks.plain:build_mlp",
    "arguments": {"input_shape": [64], "num_outputs": 10, "width": 8, "depth": 1, "dropout": 0.0},
    "class_names": ["0", "1"],
    "inputs": {"shape": [64], "dtype": "float32", "mean": [0.0], "scale": [1.0]},
    "configuration": {"data": {"dataset": "digits", "image_size": None}},
}
EVIL = "__import__('os').system('touch owned')"
HOSTILE: dict[str, tuple[str, Any]] = {
    "code in the reference": ("build", f"os import path;{EVIL}\nfrom os:path"),
    "a reference with a newline": ("build", "os:path\nimport sys"),
    "a keyword as a module": ("build", "import.os:path"),
    "another module of this package": ("build", "bakeoff.files:write_durably"),
    "a module that does not exist": ("build", "bakeoff.networks.evil:x"),
    "code as a number of outputs": ("arguments.num_outputs", EVIL),
    "a large number of outputs": ("arguments.num_outputs", 1 << 70),
    "code in the shape": ("inputs.shape", [f'64"""\n{EVIL}\n"""']),
    "a negative shape": ("inputs.shape", [-1]),
    "code as a type": ("inputs.dtype", f'float32"""\n{EVIL}'),
    "code as an image size": ("configuration.data.image_size", EVIL),
    "two axes of an image": ("configuration.data.dataset", "folder:somewhere"),
    "another task": ("task", EVIL),
    "a language without a vocabulary": ("task", "language without"),
    "a newer format": ("format", 99),
    "no inputs": ("inputs", None),
    "features without a column": ("inputs.features", [{"value": EVIL}]),
}


def write(folder: Path, description: str) -> Path:
    path = folder / "weights.safetensors"
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"bakeoff": description})
    return path


def changed(key: str, value: Any) -> dict[str, Any]:
    about = copy.deepcopy(GOOD)
    *tables, last = key.split(".")
    table = about
    for name in tables:
        table = table[name]
    table[last] = value
    return about


def test_the_example_is_exported(tmp_path: Path) -> None:
    paths = write_export(write(tmp_path, json.dumps(GOOD)), tmp_path / "out" / "model.safetensors")
    compile(paths.module.read_text(), str(paths.module), "exec")
    compile(paths.example.read_text(), str(paths.example), "exec")


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_description_is_refused_in_one_line_and_writes_nothing(
    tmp_path: Path, what: str
) -> None:
    weights = write(tmp_path, json.dumps(changed(*HOSTILE[what])))
    with pytest.raises(BakeoffError) as caught:
        write_export(weights, tmp_path / "out" / "model.safetensors")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "[1]", "{}", "null", "[" * 100_000, '{"build": 1}'])
def test_a_description_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(BakeoffError) as caught:
        read_description(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ['a"""b', "a'b", "a\\b", "a\nb", "a$b", "a{b}"])
def test_a_file_name_that_would_end_a_text_in_the_code_is_refused(
    tmp_path: Path, name: str
) -> None:
    weights = write(tmp_path, json.dumps(GOOD))
    with pytest.raises(UsageError, match="written into Python code"):
        write_export(weights, tmp_path / "out" / f"{name}.safetensors")
