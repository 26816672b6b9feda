"""Exported weights reproduce the model's outputs, from a file that cannot hold code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bakeoff.errors import BakeoffError
from bakeoff.production.description import read_description
from bakeoff.production.export import write_export
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.state import TrainingState
from bakeoff.training.weights import scored_weights, weights_file

MakeConfig = Callable[..., TrialConfig]


def trained(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


USE = """
import importlib.util, json, sys
import numpy as np, torch
sys.modules["bakeoff"] = None  # as if it were not installed
sys.path += sys.argv[1:3]
for name in sys.argv[3:]:
    spec = importlib.util.spec_from_file_location(name, f"{name}/load_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    raw = np.load(f"{name}/raw.npy")
    with torch.no_grad():
        outputs = module.load_model()(module.prepare(raw))
    np.save(f"{name}/outputs.npy", outputs)
    print(json.dumps(module.interpret(outputs)))
"""

CELLS: dict[str, dict[str, object]] = {
    "mlp": {"model_params": {"width": 8, "depth": 1}},
    "cnn": {"model": "cnn", "model_params": {"width": 4}},
    "resnet8": {"model": "resnet8", "model_params": {"width": 8}},
    "gru": {"model": "gru", "model_params": {"width": 8}},
    "transformer": {"model": "transformer", "model_params": {"width": 32}},
    "torchvision": {"model": "torchvision:shufflenet_v2_x0_5", "model_params": {}},
    "own": {"model": "own_models:build_noisy", "model_params": {}},
    "regression": {"dataset": "toy_tasks:regression", "task": "regression", "loss": "mse",
                   "objective": "rmse"},
    "language": {"dataset": "toy_tasks:language", "task": "language", "objective": "loss",
                 "model": "toy_tasks:build_bigrams", "model_params": {}},
}  # fmt: skip


def expected_outputs(state: TrainingState) -> torch.Tensor:
    """The trained model's outputs for the first validation samples."""
    state.model.load_state_dict(scored_weights(state))
    state.model.eval()
    with torch.no_grad():
        outputs: torch.Tensor = state.model(next(iter(state.splits.validation.batches(16)))[0])
    return outputs


def expected_predictions(state: TrainingState, outputs: torch.Tensor) -> list[object]:
    if state.splits.target_scale is not None:
        scale = state.splits.target_scale
        return (outputs[:, 0] * scale.deviation + scale.mean).tolist()
    last = outputs[:, -1] if outputs.ndim == 3 else outputs
    return [str(int(best)) for best in last.argmax(1)]


def test_weights_loaded_in_a_new_process_predict_as_the_trained_model_does(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    states = {name: trained(make_config(epochs=2, **cell)) for name, cell in CELLS.items()}
    for name, state in states.items():
        (tmp_path / f"{name}.safetensors").write_bytes(weights_file(state))
        write_export(tmp_path / f"{name}.safetensors", tmp_path / name / "model.safetensors")
        split = state.splits.validation
        np.save(tmp_path / name / "raw.npy", split.inputs[split.rows[:16]].numpy())
    own = [
        str(Path(sys.modules[module].__file__ or "").parent)
        for module in ("own_models", "toy_tasks")
    ]
    done = subprocess.run(
        [sys.executable, "-c", USE, *own, *CELLS],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for (name, state), printed in zip(states.items(), done.stdout.splitlines(), strict=True):
        outputs = expected_outputs(state)
        found = np.load(tmp_path / name / "outputs.npy")
        np.testing.assert_allclose(found, outputs, rtol=1e-4, atol=1e-5, err_msg=name)
        predicted = expected_predictions(state, outputs)
        assert json.loads(printed) == (
            pytest.approx(predicted) if name == "regression" else predicted
        )


def test_weights_are_those_of_the_best_epoch(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(
        epochs=8, objective="loss", scheduler="constant", optimizer_params={"learning_rate": 0.1}
    )
    state = trained(config)
    (tmp_path / "w.safetensors").write_bytes(weights_file(state))
    about = read_description(tmp_path / "w.safetensors")
    losses = [result.metrics["loss"] for result in state.history]
    assert about["epoch"] == 1 + int(np.argmin(losses))
    assert about["epoch"] < 8, "the last epoch is the best one; the test shows nothing"
    loaded = load_file(tmp_path / "w.safetensors")
    best = state.best_weights or {}
    assert loaded.keys() == best.keys()
    assert all(torch.equal(loaded[name], best[name]) for name in best)


def test_weights_are_those_of_the_last_epoch_where_that_is_scored(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        epochs=6, optimizer_params={"learning_rate": 0.05}, score_rule="last_epoch"
    )
    state = trained(config)
    (tmp_path / "w.safetensors").write_bytes(weights_file(state))
    assert read_description(tmp_path / "w.safetensors")["epoch"] == 6
    loaded = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(loaded[key], one) for key, one in state.model.state_dict().items())


def test_equal_runs_give_equal_bytes(make_config: MakeConfig, tmp_path: Path) -> None:
    state = trained(make_config(epochs=1))
    for index in range(8):  # the library's own order of the header is drawn anew each time
        (tmp_path / f"{index}.safetensors").write_bytes(weights_file(state))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert load_file(tmp_path / "0.safetensors").keys() == state.model.state_dict().keys()


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(BakeoffError, match="not written by bakeoff"):
        read_description(tmp_path / "x.safetensors")


@pytest.mark.parametrize("length", [0, 4, 200])
def test_a_damaged_file_is_refused(make_config: MakeConfig, tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(weights_file(trained(make_config(epochs=1))))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BakeoffError, match="cannot be read"):
        read_description(path)


def test_description_of_weights_is_plain_json(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(weights_file(trained(make_config(epochs=1))))
    paths = write_export(tmp_path / "w.safetensors", tmp_path / "out" / "m.safetensors")
    about = json.loads(paths.about.read_text())
    assert about["arguments"] == {
        "input_shape": [1, 8, 8], "num_outputs": 10, "width": 16, "depth": 1, "dropout": 0.0,
    }  # fmt: skip
    assert about["inputs"]["dtype"] == "uint8"
    assert about["configuration"]["seed"] == 1
