"""Fine-tuning on a folder of 300 small pictures, from weights that were trained on related ones."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from PIL import Image

from bakeoff.commands.cli import main
from bakeoff.errors import UsageError
from bakeoff.production.export import write_export
from bakeoff.records import DataConfig, FinetuneConfig, TrainingConfig, TrialConfig
from bakeoff.storage import Storage
from bakeoff.training import loop
from bakeoff.training.averaging import switch_to_training
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.snapshot import snapshot
from bakeoff.training.state import TrainingState, seed_everything
from bakeoff.training.weights import scored_weights, weights_file
from grating_pictures import ARCHITECTURE, draw_folder, pretrain
from study_examples import study_document

MakeConfig = Callable[..., TrialConfig]

USE_EXPORT = """
import json, sys
sys.modules["bakeoff"] = None  # as if it were not installed
import torch
from load_model import encode, load_model, prepare
with torch.no_grad():
    print(json.dumps(load_model()(prepare(encode(sys.argv[1:]))).tolist()))
"""
GROUPS = """
def groups(model):
    return [
        {"params": model.conv1.parameters(), "frozen": True},
        {"params": model.stage2.parameters(), "learning_rate": 0.1},
    ]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders `pictures` and `few`, and the file `weights.pt`."""
    folder = tmp_path_factory.mktemp("pictures")
    draw_folder(folder / "pictures", 300)
    draw_folder(folder / "few", 80, seed=2)
    pretrain(folder / "weights.pt")
    return folder


@pytest.fixture(scope="module")
def make_config(folder: Path) -> MakeConfig:
    def make(pictures: str = "pictures", epochs: int = 2, **changes: Any) -> TrialConfig:
        finetune = FinetuneConfig(
            pretrained=str(folder / "weights.pt"), **changes.pop("finetune", {})
        )
        ema = changes.pop("ema_decay", 0.0)
        return TrialConfig(
            **{
                "optimizer": "adamw",
                "optimizer_params": {"learning_rate": 2e-3},
                "scheduler": "constant",
                "scheduler_params": {},
                "model": f"torchvision:{ARCHITECTURE}",
                "model_params": {},
                "data": DataConfig(dataset=f"folder:{folder / pictures}", normalize="weights"),
                "training": TrainingConfig(
                    epochs=epochs, batch_size=16, precision="fp32", ema_decay=ema
                ),
                "objective": "accuracy",
                "score_rule": "last_epoch",
                "seed": 1,
                "split_seed": 0,
                "finetune": finetune,
                **changes,
            }
        )

    return make


def trained(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


def test_pretrained_weights_beat_fresh_ones_at_equal_budget(make_config: MakeConfig) -> None:
    config = make_config()
    fresh = replace(config, finetune=FinetuneConfig(), data=replace(config.data, normalize=None))
    frozen = make_config(finetune={"freeze": "backbone"})
    found = [trained(one).history[-1].metrics["accuracy"] for one in (fresh, config, frozen)]
    assert min(found[1:]) > found[0] + 0.2, found


@pytest.mark.parametrize("optimizer", ["adamw", "schedule_free_adamw"])
def test_frozen_weights_and_statistics_keep_every_bit(
    make_config: MakeConfig, folder: Path, optimizer: str
) -> None:
    given = torch.load(folder / "weights.pt", weights_only=True)
    config = make_config("few", optimizer=optimizer, finetune={"freeze": "all but 2 stages"})
    found = trained(replace(config, training=replace(config.training, ema_decay=0.0)))
    frozen = ("conv1", "stage2", "stage3")
    for name, value in found.model.state_dict().items():
        is_same = name in given and torch.equal(value, given[name])
        assert is_same == name.startswith(frozen), name


def test_a_moving_average_leaves_what_is_frozen_as_it_is(
    make_config: MakeConfig, folder: Path
) -> None:
    given = torch.load(folder / "weights.pt", weights_only=True)
    state = trained(make_config("few", ema_decay=0.9, finetune={"freeze": "backbone"}))
    for name, value in scored_weights(state).items():
        assert torch.equal(value, given[name]) == (not name.startswith("fc")), name


def comparable(state: TrainingState) -> dict[str, Any]:
    """All that must not depend on a kill: everything but the clock."""
    content = snapshot(state)
    history = [
        repr(replace(one, train_seconds=0.0, data_seconds=0.0, evaluate_seconds=0.0))
        for one in state.history
    ]
    return {**plain(content), "history": history}


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else repr(value)


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [
        ("adamw", {"scheduler": "one_cycle", "ema_decay": 0.9}),
        ("muon", {"scheduler": "cosine"}),
        ("schedule_free_adamw", {}),
    ],
)
def test_killed_before_and_after_weights_thaw_a_run_ends_with_the_same_bits(
    make_config: MakeConfig, tmp_path: Path, optimizer: str, changes: dict[str, Any]
) -> None:
    finetune = {"freeze": "backbone", "unfreeze_epoch": 2, "layer_decay": 0.7, "head_factor": 3.0}
    config = make_config("few", epochs=3, optimizer=optimizer, finetune=finetune, **changes)
    expected = comparable(trained(config))
    for epoch in (1, 2):
        checkpoints = Checkpoints(tmp_path / str(epoch), "run")
        state = loop.prepare(config, "cpu")
        for result in loop.train(state, checkpoints):
            checkpoints.save(state)
            if result.epoch == epoch:
                break
        inputs, labels = next(state.splits.train.batches(16))
        state.freezing.begin(epoch + 1)
        switch_to_training(state.optimizer)
        loop.train_step(state, [(inputs, labels)], len(labels))  # which the kill loses
        seed_everything("something else entirely")
        resumed = loop.prepare(config, "cpu")
        list(loop.train(resumed, Checkpoints(tmp_path / str(epoch), "run")))
        assert comparable(resumed) == expected


def test_weights_that_thaw_are_trained_from_then_on(make_config: MakeConfig, folder: Path) -> None:
    given = torch.load(folder / "weights.pt", weights_only=True)["conv1.0.weight"]
    state = loop.prepare(
        make_config("few", finetune={"freeze": "backbone", "unfreeze_epoch": 2}), "cpu"
    )
    seen = [torch.equal(state.model.conv1[0].weight, given) for _ in loop.train(state)]
    assert seen == [True, False]


def test_an_export_runs_elsewhere_without_the_pretrained_weights(
    make_config: MakeConfig, folder: Path, tmp_path: Path
) -> None:
    gone = shutil.copy(folder / "weights.pt", tmp_path / "soon_gone.pt")
    config = make_config("few", epochs=1)
    state = trained(
        replace(config, finetune=FinetuneConfig(pretrained=str(gone), freeze="backbone"))
    )
    (tmp_path / "kept.safetensors").write_bytes(weights_file(state))
    Path(gone).unlink()
    elsewhere = tmp_path / "elsewhere"
    write_export(tmp_path / "kept.safetensors", elsewhere / "model.safetensors")
    (tmp_path / "kept.safetensors").unlink()
    files = sorted((folder / "few").rglob("*.png"))[:5]
    done = subprocess.run(
        [sys.executable, "-c", USE_EXPORT, *map(str, files)],
        cwd=elsewhere, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pictures = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files]
    inputs = torch.from_numpy(np.stack(pictures))
    with torch.no_grad():
        expected = state.model.eval()(state.splits.train.normalisation(inputs))
    torch.testing.assert_close(
        torch.tensor(json.loads(done.stdout)), expected, rtol=1e-3, atol=1e-4
    )


def test_weights_that_changed_since_a_study_began_are_refused(
    make_config: MakeConfig, folder: Path
) -> None:
    config = replace(make_config("few"), weights_sha256="0" * 64)
    with pytest.raises(
        UsageError, match=r"weights\.pt changed since the study began \(SHA-256 0{12}"
    ):
        loop.prepare(config, "cpu")


@pytest.fixture
def study(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file in a folder of its own, with the weights and a module of the user's."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "weights.pt", tmp_path / "begin.pt")
    (tmp_path / "my_groups.py").write_text(GROUPS)
    document = study_document(
        data={"dataset": f"folder:{folder / 'few'}"},
        training={"epochs": 2, "batch_size": 16},
        search={"optimizers": ["adamw"], "schedulers": ["constant"], "trials_per_arm": 1,
                "startup_trials": 1, "pruner": "none", "defaults": False},
        confirm={"seeds": 1, "shortlist": 1, "shortlist_seeds": 1},
    )  # fmt: skip
    document["model"] = {
        "model": f"torchvision:{ARCHITECTURE}", "parameter_groups": "my_groups:groups"
    }  # fmt: skip
    document["finetune"] = {"pretrained": "begin.pt", "unfreeze_epoch": 2}
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(document))
    return tmp_path


def call(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    return caught.value.code


def test_a_study_is_run_reported_and_exported_and_names_its_weights(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "toy.toml", "--workers", "1") == 0
    record = Storage("sqlite:///results/studies.db").load_record("toy")
    assert [run.outcome for run in record.trials] == ["complete"]
    assert record.environment["pretrained weights"] == "begin.pt"
    assert len(record.environment["pretrained weights, SHA-256"]) == 64
    assert record.environment["pretrained weights, licence"] == "not stated"
    assert record.protocol["begins with"] == "weights begin.pt"
    assert record.protocol["parameter groups"] == "my_groups:groups, until epoch 1"
    assert "my_groups.py" in record.environment["own code"]
    page = (study / "results" / "toy" / "report.md").read_text()
    assert record.environment["pretrained weights, SHA-256"] in page
    program = (study / "results" / "toy" / "configurations" / "adamw.py").read_text()
    assert "fresh = load_pretrained(model, weights, data.num_outputs)" in program
    assert "parameter_groups='my_groups:groups'" in program
    (study / "begin.pt").unlink()
    (study / "my_groups.py").unlink()
    assert call("export", "toy", "-o", "out/model.safetensors") == 0
    assert "my_groups" not in (study / "out" / "load_model.py").read_text()
    capsys.readouterr()
    assert call("report", "toy") == 0


def test_a_function_that_returns_no_groups_ends_a_study_before_it_begins(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "wrong_groups.py").write_text("def groups(model):\n    return {'params': []}\n")
    file = study / "toy.toml"
    file.write_text(file.read_text().replace("my_groups:groups", "wrong_groups:groups"))
    assert call("run", "toy.toml", "--workers", "1") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith(
        "study: model.parameter_groups = 'wrong_groups:groups': expected a list of groups such as"
    )
    assert lines[-1].endswith("found dict")
    assert not (study / "results" / "studies.db").exists()
