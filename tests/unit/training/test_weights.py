"""Weights as they are written: the model's own answers, from a file that holds no code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bakeoff.errors import BakeoffError, CheckpointWriteError
from bakeoff.production.export import read_description, write_export
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.state import TrainingState
from bakeoff.training.weights import scored_weights, write_weights

MakeConfig = Callable[..., TrialConfig]


def trained(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


ANSWER = """
import sys
import numpy as np, torch
sys.path[:0] = sys.argv[1:3]
from load_model import load_model, prepare
with torch.no_grad():
    np.save(sys.argv[1] + "/logits.npy", load_model()(prepare(np.load(sys.argv[1] + "/raw.npy"))))
"""


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("mlp", {"width": 8, "depth": 1}),
        ("cnn", {"width": 4}),
        ("own_models:build_noisy", {}),
    ],
    ids=["mlp", "cnn", "own"],
)
def test_loaded_in_a_fresh_process_they_give_the_models_own_logits(
    make_config: MakeConfig, tmp_path: Path, model: str, params: dict[str, object]
) -> None:
    state = trained(make_config(model=model, model_params=params, epochs=2))
    write_weights(state, tmp_path / "kept.safetensors")
    write_export(tmp_path / "kept.safetensors", tmp_path / "model.safetensors")
    split = state.splits.validation
    np.save(tmp_path / "raw.npy", split.inputs[split.rows[:16]].numpy())
    own_folder = str(Path(sys.modules["own_models"].__file__ or "").parent) if params == {} else "."
    subprocess.run([sys.executable, "-c", ANSWER, str(tmp_path), own_folder], check=True)
    state.model.load_state_dict(scored_weights(state))
    state.model.eval()
    with torch.no_grad():
        expected = state.model(next(iter(split.batches(16)))[0])
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-5)


def test_they_are_those_of_the_best_epoch(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(
        epochs=8, objective="loss", scheduler="constant", optimizer_params={"learning_rate": 0.1}
    )
    state = trained(config)
    write_weights(state, tmp_path / "w.safetensors")
    about = read_description(tmp_path / "w.safetensors")
    losses = [result.metrics["loss"] for result in state.history]
    assert about["epoch"] == 1 + int(np.argmin(losses))
    assert about["epoch"] < 8, "the last epoch is the best one; the test shows nothing"
    loaded = load_file(tmp_path / "w.safetensors")
    best = state.best_weights or {}
    assert loaded.keys() == best.keys()
    assert all(torch.equal(loaded[name], best[name]) for name in best)


def test_they_are_those_of_the_last_epoch_where_that_is_scored(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        epochs=6, optimizer_params={"learning_rate": 0.05}, score_rule="last_epoch"
    )
    state = trained(config)
    write_weights(state, tmp_path / "w.safetensors")
    assert read_description(tmp_path / "w.safetensors")["epoch"] == 6
    loaded = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(loaded[key], one) for key, one in state.model.state_dict().items())


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(BakeoffError, match="not written by bakeoff"):
        read_description(tmp_path / "x.safetensors")


@pytest.mark.parametrize("length", [0, 4, 200])
def test_a_damaged_file_is_refused(make_config: MakeConfig, tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(trained(make_config(epochs=1)), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BakeoffError, match="cannot be read"):
        read_description(path)


def test_a_folder_that_cannot_be_written_is_told(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointWriteError, match="cannot be written"):
        write_weights(trained(make_config(epochs=1)), tmp_path / "file" / "w.safetensors")


def test_what_they_are_is_plain_json(make_config: MakeConfig, tmp_path: Path) -> None:
    write_weights(trained(make_config(epochs=1)), tmp_path / "w.safetensors")
    paths = write_export(tmp_path / "w.safetensors", tmp_path / "out" / "m.safetensors")
    about = json.loads(paths.about.read_text())
    assert about["arguments"] == {
        "input_shape": [1, 8, 8], "num_classes": 10, "width": 16, "depth": 1, "dropout": 0.0,
    }  # fmt: skip
    assert about["inputs"]["dtype"] == "uint8"
    assert about["configuration"]["seed"] == 1
