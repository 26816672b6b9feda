"""Complex weights, sparse gradients and state that is no weight are trained rightly or refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bakeoff.errors import UsageError
from bakeoff.production.export import write_export
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.build import build_model, build_optimizer
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.precision import measure_precision
from bakeoff.training.state import TrainingState
from bakeoff.training.weights import weights_file
from unusual_models import own_state

MakeConfig = Callable[..., TrialConfig]
CPU = torch.device("cpu")
RATE = {"learning_rate": 0.01}
EVERYTHING = {"clip_grad_norm": 0.5, "clip_grad_value": 0.01, "ema_decay": 0.9}


def trained(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


def flat(state: TrainingState) -> torch.Tensor:
    parts = [
        torch.view_as_real(one) if one.is_complex() else one for one in state.model.parameters()
    ]
    return torch.cat([one.detach().flatten() for one in parts])


def compare_training(config: TrialConfig, model: str, twin: str) -> tuple[torch.Tensor, ...]:
    """The weights before training, and those after it of both models."""
    one, other = (replace(config, model=f"unusual_models:{name}") for name in (model, twin))
    before = flat(loop.prepare(one, "cpu"))
    return before, flat(trained(one)), flat(trained(other))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_complex_weights_train_as_pairs_of_real_ones(
    make_config: MakeConfig, optimizer: str
) -> None:
    decay = {"weight_decay": 0.1, **RATE} if optimizer != "adam" else RATE
    config = make_config(optimizer=optimizer, optimizer_params=decay, model_params={}, **EVERYTHING)
    before, paired, apart = compare_training(config, "build_complex", "build_paired")
    torch.testing.assert_close(paired, apart, rtol=1e-4, atol=1e-5)
    assert float((paired - before).abs().max()) > 1e-2


def test_muon_steps_real_matrices_only_along_their_orthogonalised_momentum() -> None:
    model = build_model("unusual_models:build_complex", {}, input_shape=(64,), num_outputs=10)
    with pytest.raises(UsageError, match="'muon' is for hidden weights"):
        build_optimizer("muon", model, {}, CPU)
    deeper = torch.nn.Sequential(model, torch.nn.Linear(10, 5), torch.nn.Linear(5, 2))
    groups = build_optimizer("muon", deeper, {}, CPU).param_groups
    hidden = [one.shape for group in groups if group["hidden"] for one in group["params"]]
    assert hidden == [(10, 64), (5, 10)]


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        ("adafactor", "it does not train complex weights: RuntimeError"),
        ("schedule_free_adamw", "it does not treat complex weights as pairs of real ones"),
        ("pytorch_optimizer:Yogi", "it does not treat complex weights as pairs of real ones"),
    ],
)
def test_optimizer_that_steps_complex_weights_wrongly_is_refused(
    optimizer: str, reason: str
) -> None:
    model = build_model("unusual_models:build_complex", {}, input_shape=(64,), num_outputs=10)
    with pytest.raises(UsageError, match=f"optimizer '{optimizer}': {reason}"):
        build_optimizer(optimizer, model, {}, CPU)


def test_every_optimizer_of_a_study_is_tried_before_it_begins(make_config: MakeConfig) -> None:
    first = make_config(model="unusual_models:build_complex", model_params={}, optimizer="adam")
    measure_precision(first, "cpu", [replace(first, optimizer="sgd")])
    with pytest.raises(UsageError, match="optimizer 'adafactor': it does not train complex"):
        measure_precision(first, "cpu", [replace(first, optimizer="adafactor", scheduler="cosine")])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "adagrad"])
def test_sparse_gradients_train_as_dense_ones(make_config: MakeConfig, optimizer: str) -> None:
    params = {"learning_rate": 0.5, "weight_decay": 0.01}
    config = make_config(
        optimizer=optimizer, optimizer_params=params, model_params={}, accumulation_steps=2,
        **EVERYTHING,
    )  # fmt: skip
    before, sparse, dense = compare_training(config, "build_sparse", "build_dense")
    torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-6)
    assert float((sparse - before).abs().max()) > 1e-2


def test_state_of_a_module_is_resumed_with_the_same_bits(
    make_config: MakeConfig, checkpoint_folder: Path
) -> None:
    config = make_config(
        model="unusual_models:build_counting", model_params={}, epochs=4, ema_decay=0.9
    )
    whole = trained(config)
    begun = loop.prepare(config, "cpu")
    run = loop.train(begun)
    next(run), next(run)
    Checkpoints(checkpoint_folder, "x", max_share=float("inf")).save(begun)
    resumed = loop.prepare(config, "cpu")
    list(loop.train(resumed, Checkpoints(checkpoint_folder, "x")))
    assert [one.metrics for one in resumed.history] == [one.metrics for one in whole.history]
    assert torch.equal(flat(resumed), flat(whole))
    steps = sum(one.steps for one in whole.history)
    for state in (whole, resumed):
        own = state.model[1].state  # type: ignore[index]
        assert own["scales"] == (1 + steps, 2.5, float("inf"), True)
        assert float(own[7]) == pytest.approx(0.99**steps)
        assert (own["nested"][0], own["nested"][1].tolist()) == (
            own_state()["nested"][0], [0, 1, 2],
        )  # fmt: skip


def test_state_of_a_module_belongs_to_the_best_epoch_and_to_the_export(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        model="unusual_models:build_counting", model_params={}, epochs=6, objective="loss",
        scheduler="constant", optimizer_params={"learning_rate": 0.3},
    )  # fmt: skip
    state = trained(config)
    losses = [one.metrics["loss"] for one in state.history]
    best = int(np.argmin(losses))
    assert best < 5, "the last epoch is the best one; the test shows nothing"
    loop.read_test(state)
    steps = sum(one.steps for one in state.history[: best + 1])
    assert state.model[1].state["scales"][0] == 1 + steps  # type: ignore[index]
    (tmp_path / "kept.safetensors").write_bytes(weights_file(state))
    write_export(tmp_path / "kept.safetensors", tmp_path / "model.safetensors")
    inputs = next(iter(state.splits.validation.batches(16)))[0]
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    code = (
        "import sys; sys.modules['bakeoff'] = None\n"
        "import json, numpy, torch, load_model\nmodel = load_model.load_model()\n"
        "outputs = model(torch.from_numpy(numpy.load('inputs.npy')))\n"
        "print(json.dumps([outputs.tolist(), repr(model[1].state)]))"
    )
    paths = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=paths, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs, own = json.loads(done.stdout)
    with torch.no_grad():
        expected = state.model.eval()(inputs)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert own == repr(state.model[1].state)  # type: ignore[index]


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        ("build_with_object", r"'1\._extra_state\[8\]\[0\]' is object, which cannot be saved"),
        ("build_never_set", "its own state cannot be set again as get_extra_state gave it: Value"),
        ("build_double_complex", "'wide' is a tensor of complex128, which a file of weights"),
    ],
)
def test_state_that_cannot_be_saved_is_refused_before_training(build: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"model 'unusual_models:{build}': .*{reason}") as caught:
        build_model(f"unusual_models:{build}", {}, input_shape=(64,), num_outputs=10)
    assert "\n" not in str(caught.value)
