"""The content of an export, used without bakeoff on raw rows, texts and images."""

import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bakeoff.components.models import MODELS
from bakeoff.data.csv_file import read_csv
from bakeoff.data.image_decoding import decode_image, read_form
from bakeoff.errors import BakeoffError
from bakeoff.production.export import ExportPaths, write_export
from bakeoff.production.loading_module import render_example, render_module
from bakeoff.production.network_source import network_source
from bakeoff.records import DataConfig, TrainingConfig, TrialConfig
from bakeoff.training import loop
from bakeoff.training.state import TrainingState
from bakeoff.training.weights import scored_weights, weights_file
from toy_tasks import pictures

TABLE = "\ufeffsize;colour;a=x;a;open;kind\n" + "".join(
    f"{n % 7},{n % 10};{('red', 'light blue')[n % 2]};{n};{'xyz'[n % 3]};{n % 5 < 2};{'uv'[n % 2]}\n"
    for n in range(60)
)
"""Decimal commas, text, truth values, and a column called as a feature of another."""

ENCODE = """
import csv, json, sys
sys.modules["bakeoff"] = None  # as if it were not installed
import torch
from load_model import encode, interpret, load_model, prepare
with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
    samples = encode(csv.DictReader(file, delimiter=";"))
with torch.no_grad():
    outputs = load_model()(prepare(samples))
print(json.dumps([samples.tolist(), outputs.tolist(), interpret(outputs)]))
"""


def exported(
    folder: Path, data: DataConfig, model: str = "mlp", **changes: Any
) -> tuple[TrainingState, ExportPaths]:
    """A model that has trained one epoch, and its export into `folder`."""
    config = TrialConfig(
        optimizer="adam",
        optimizer_params={},
        scheduler="constant",
        scheduler_params={},
        model=model,
        model_params={"width": 8},
        data=data,
        training=TrainingConfig(
            epochs=1, batch_size=8, precision="fp32", loss=changes.pop("loss", "cross_entropy")
        ),
        **{"objective": "loss", "score_rule": "best_epoch", "seed": 1, "split_seed": 0, **changes},
    )
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    (folder / "kept.safetensors").write_bytes(weights_file(state))
    return state, write_export(folder / "kept.safetensors", folder / "model.safetensors")


def run(folder: Path, *arguments: str) -> str:
    """What Python prints in a folder without bakeoff."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    (tmp_path / "table.csv").write_text(TABLE)
    return tmp_path / "table.csv"


def test_raw_rows_of_a_table_give_the_logits_of_the_trained_model(
    tmp_path: Path, table: Path
) -> None:
    state, _ = exported(tmp_path, DataConfig(dataset=f"csv:{table}"))
    known = read_csv(table, None, "classification")
    state.model.load_state_dict(scored_weights(state))
    with torch.no_grad():
        expected = state.model.eval()(
            state.splits.train.normalisation(torch.from_numpy(known.features))
        )
    samples, outputs, names = json.loads(run(tmp_path, "-c", ENCODE, str(table)))
    np.testing.assert_allclose(samples, known.features, rtol=1e-6)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert names == [known.class_names[best] for best in expected.argmax(1)]


def test_the_description_names_the_columns_and_gives_a_row(tmp_path: Path, table: Path) -> None:
    _, paths = exported(tmp_path, DataConfig(dataset=f"csv:{table}"))
    inputs = json.loads(paths.about.read_text())["inputs"]
    assert inputs["features"][:4] == [
        {"column": "size", "value": None, "offset": 0.0},
        {"column": "colour", "value": "light blue", "offset": 0.0},
        {"column": "colour", "value": "red", "offset": 0.0},
        {"column": "a=x", "value": None, "offset": 0.0},
    ]
    assert list(inputs["example"]) == list(next(csv.reader([TABLE[1:].partition("\n")[0]], delimiter=";")))[:-1]  # fmt: skip
    assert (inputs["example"]["colour"], inputs["example"]["a"]) == ("light blue", "x")


def test_a_row_that_cannot_be_encoded_is_refused_naming_why(tmp_path: Path, table: Path) -> None:
    _, paths = exported(tmp_path, DataConfig(dataset=f"csv:{table}"))
    example = json.loads(paths.about.read_text())["inputs"]["example"]
    rows = [{**example, "colour": "green"}, {"size;colour": "1;red"}]
    code = "from load_model import encode\n" + "\n".join(
        f"try: encode([{row!r}])\nexcept ValueError as error: print(error)" for row in rows
    )
    assert run(tmp_path, "-c", code).splitlines() == [
        "column 'colour' contains 'green'; known values: ['light blue', 'red']",
        "no column 'size' in ['size;colour']",
    ]


@pytest.mark.parametrize("kind", ["table", "text", "arrays"])
def test_the_example_has_ten_lines_and_runs_without_bakeoff(
    tmp_path: Path, table: Path, kind: str
) -> None:
    (tmp_path / "words.txt").write_text("The cat sat on the mat.\n" * 200)
    data = {
        "table": DataConfig(dataset=f"csv:{table}"),
        "text": DataConfig(
            dataset=f"text:{tmp_path / 'words.txt'}", task="language", sequence_length=8
        ),
        "arrays": DataConfig(dataset="digits", train_samples=40),
    }[kind]
    _, paths = exported(tmp_path, data, model="gru" if kind == "text" else "mlp")
    assert len(paths.example.read_text().splitlines()) <= 10
    code = f"import sys, runpy; sys.modules['bakeoff'] = None; sys.path.insert(0, '.')\nrunpy.run_path({paths.example.name!r})"
    answers = run(tmp_path, "-c", code)
    assert len(json.loads(answers.replace("'", '"'))) == (2 if kind == "arrays" else 1)


def test_a_text_is_encoded_as_the_data_set_encoded_it(tmp_path: Path, table: Path) -> None:
    (tmp_path / "words.txt").write_text("The cat sat on the mat.\n" * 200)
    data = DataConfig(dataset=f"text:{tmp_path / 'words.txt'}", task="language", sequence_length=8)
    state, _ = exported(tmp_path, data, model="gru")
    code = "from load_model import encode; print(encode(['The cat ', 'th? mat.']).tolist())"
    first, second = json.loads(run(tmp_path, "-c", code))
    assert first == state.splits.train.inputs[0].tolist()  # type: ignore[index]
    assert second[2] == 0


def test_labels_are_interpreted_by_their_names(tmp_path: Path, table: Path) -> None:
    names = ("open", "round")
    table.write_text(TABLE[1:].replace("kind", "round").replace("u\n", "0\n").replace("v\n", "1\n"))
    data = DataConfig(dataset=f"csv:{table}", task="multilabel", target=names)
    state, _ = exported(tmp_path, data, loss="bce")
    assert state.splits.num_outputs == 2
    _, outputs, found = json.loads(run(tmp_path, "-c", ENCODE, str(table)))
    expected = [[name for name, one in zip(names, row, strict=True) if one > 0] for row in outputs]
    assert found == expected
    assert {len(row) for row in found} > {1}


def test_several_targets_are_interpreted_by_their_names_and_in_their_units(
    tmp_path: Path, table: Path
) -> None:
    data = DataConfig(dataset=f"csv:{table}", task="regression", target=("size", "a=x"))
    state, _ = exported(tmp_path, data, loss="mse")
    _, outputs, found = json.loads(run(tmp_path, "-c", ENCODE, str(table)))
    scale = state.splits.target_scale
    assert scale is not None
    expected = np.array(outputs) * scale.deviation + scale.mean
    assert list(found[0]) == ["size", "a=x"]
    np.testing.assert_allclose([list(one.values()) for one in found], expected, rtol=1e-4)


def test_masks_are_the_most_likely_classes_of_pixels(tmp_path: Path) -> None:
    data = DataConfig(dataset="toy_tasks:pictures", task="segmentation")
    state, paths = exported(tmp_path, data, "unet")
    shown = run(tmp_path, paths.example.name)
    assert shown.startswith("tensor([[[")
    samples = pictures(4)["x"][:, None]
    np.save(tmp_path / "samples.npy", samples)
    printed = run(tmp_path, "-c", SEGMENT)
    state.model.load_state_dict(scored_weights(state))
    with torch.no_grad():
        prepared = state.splits.train.normalisation(torch.from_numpy(samples))
        expected = state.model.eval()(prepared).argmax(1)
    assert np.mean(np.array(json.loads(printed)) == expected.numpy()) > 0.999


SEGMENT = """
import json, sys
sys.modules["bakeoff"] = None  # as if it were not installed
import numpy, torch
from load_model import interpret, load_model, prepare
with torch.no_grad():
    outputs = load_model()(prepare(numpy.load("samples.npy")))
print(json.dumps(interpret(outputs).tolist()))
"""
DECODE = """
import json, sys
sys.modules["bakeoff"] = None  # as if it were not installed
import torch
from load_model import encode, load_model, prepare
with torch.no_grad():
    print(json.dumps(load_model()(prepare(encode(sys.argv[1:]))).tolist()))
"""


@pytest.mark.parametrize(
    ("mode", "suffix", "image_size"), [("RGB", "jpg", 8), ("L", "png", 8), ("RGB", "png", None)]
)
def test_image_files_give_the_logits_of_the_trained_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, suffix: str, image_size: int | None
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    files = [tmp_path / "images" / "ab"[n % 2] / f"{n}.{suffix}" for n in range(24)]
    draws = np.random.default_rng(0)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        shape = (80, 60, 3) if mode == "RGB" else (80, 60)
        Image.fromarray(draws.integers(0, 255, shape, dtype=np.uint8)).save(file)
    data = DataConfig(dataset=f"folder:{tmp_path / 'images'}", image_size=image_size)
    state, paths = exported(tmp_path, data)
    state.model.load_state_dict(scored_weights(state))
    split = state.splits.test
    with torch.no_grad():
        expected = state.model.eval()(next(iter(split.batches(99)))[0])
    raw = state.splits.test.inputs
    chosen = [
        file
        for image in raw
        for file in files
        if np.array_equal(decode_image(str(file), read_form(str(file), image_size))[0], image)
    ]
    outputs = json.loads(run(tmp_path, "-c", DECODE, *map(str, chosen)))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert "torch, Pillow and safetensors" in paths.example.read_text()
    assert run(tmp_path, paths.example.name).count("'") == 4


PACKAGE_BUILDS = (
    "bakeoff.networks.packages:build_torchvision",
    "bakeoff.networks.packages:build_timm",
    "bakeoff.networks.huggingface:build_huggingface",
)
BUILDS = sorted({*(spec.build for spec in MODELS), *PACKAGE_BUILDS})


@pytest.mark.parametrize("build", BUILDS)
def test_the_source_of_every_network_of_ours_stands_alone(tmp_path: Path, build: str) -> None:
    source = network_source(build)
    assert "bakeoff" not in source.imports + source.definitions
    (tmp_path / "network.py").write_text(f"{source.imports}\n{source.definitions}\n")
    assert callable(runpy.run_path(str(tmp_path / "network.py"))[source.function])


def test_a_small_network_brings_no_other() -> None:
    definitions = network_source("bakeoff.networks.plain:build_mlp").definitions
    assert "build_mlp" in definitions
    assert "Residual" not in definitions


@pytest.mark.parametrize("build", ["bakeoff.networks.plain:gone", "bakeoff.gone:build"])
def test_weights_of_a_network_that_is_gone_are_refused(build: str) -> None:
    with pytest.raises(BakeoffError, match="this release of bakeoff has no bakeoff"):
        network_source(build)


def test_a_name_that_is_no_identifier_gives_a_module_that_can_be_imported(tmp_path: Path) -> None:
    state, _ = exported(tmp_path, DataConfig(dataset="digits", train_samples=40))
    paths = write_export(tmp_path / "kept.safetensors", tmp_path / "8-bit cnn.safetensors")
    assert (paths.module.name, paths.example.name) == ("load_8_bit_cnn.py", "use_8-bit cnn.py")
    assert run(tmp_path, paths.example.name).startswith("['")
    assert state.splits.task == "classification"


def test_the_files_name_what_has_to_be_installed() -> None:
    about: dict[str, Any] = {
        "build": "my_models:build",
        "task": "classification",
        "arguments": {"num_outputs": 2},
        "class_names": ["a", "b"],
        "inputs": {"shape": [3], "dtype": "float32"},
        "configuration": {"data": {"dataset": "digits"}},
    }
    module = render_module(about, about_name="m.json", weights="m.safetensors", example="use_m.py")
    assert "Needs torch, safetensors and your own `my_models`" in module
    assert "from my_models import build\n" in module
    example = render_example(about, module="load_m", weights="m.safetensors")
    assert "needs torch, safetensors and your own `my_models`" in example
