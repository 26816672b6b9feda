"""The training program of a report trains what the study trained."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.networks import plain
from bakeoff.ranges import Params
from bakeoff.records import StudyRecord
from bakeoff.report.training_script import training_script
from bakeoff.space import build_trial_config
from bakeoff.studyfile import format_study, resolve_study
from bakeoff.training.loop import prepare, train
from record_examples import example_record
from study_examples import study_document
from toy_tasks import language, multilabel, pictures, regression, targets

NUM_SAMPLES = 256
EPOCHS = 4

WHOLE = {"batch_size": NUM_SAMPLES}
"""One step of the whole data in each epoch, so that the order of samples makes no difference."""
HALVES = {"batch_size": NUM_SAMPLES // 2, "accumulation_steps": 2}
RUNS: dict[str, tuple[Params, dict[str, Any]]] = {
    "sgd, cosine with warm-up": (
        {"optimizer": "sgd", "scheduler": "cosine", "sgd.learning_rate": 0.3,
         "sgd.momentum": 0.9, "sgd.weight_decay": 1e-2, "cosine.warmup_fraction": 0.3},
        {**WHOLE, "clip_grad_norm": 0.1},
    ),
    "adam, cosine_restarts, accumulated": (
        {"optimizer": "adam", "scheduler": "cosine_restarts", "adam.learning_rate": 0.02,
         "adam.beta1": 0.85, "cosine_restarts.num_cycles": 2},
        {**HALVES, "clip_grad_value": 0.01, "label_smoothing": 0.1},
    ),
    "adamw, plateau": (
        {"optimizer": "adamw", "scheduler": "plateau", "adamw.learning_rate": 0.5,
         "plateau.gamma": 0.1, "plateau.patience_fraction": 0.02},
        WHOLE,
    ),
    "muon, plateau with warm-up": (
        {"optimizer": "muon", "scheduler": "plateau", "muon.learning_rate": 0.05,
         "plateau.gamma": 0.1, "plateau.patience_fraction": 0.02,
         "plateau.warmup_fraction": 0.25},
        WHOLE,
    ),
    "schedule-free": (
        {"optimizer": "schedule_free_adamw", "scheduler": "constant",
         "schedule_free_adamw.learning_rate": 0.02},
        WHOLE,
    ),
    "moving average": (
        {"optimizer": "sgd", "scheduler": "step", "sgd.learning_rate": 0.3},
        {**WHOLE, "ema_decay": 0.5},
    ),
    "balanced focal loss": (
        {"optimizer": "sgd", "scheduler": "linear", "sgd.learning_rate": 0.3},
        {**WHOLE, "class_weights": "balanced", "focal_gamma": 2.0},
    ),
    "bf16": (
        {"optimizer": "sgd", "scheduler": "polynomial", "sgd.learning_rate": 0.3},
        {**WHOLE, "precision": "bf16"},
    ),
    "fp16": (
        {"optimizer": "sgd", "scheduler": "exponential", "sgd.learning_rate": 0.3},
        {**WHOLE, "precision": "fp16"},
    ),
}  # fmt: skip


def stored_study(document: dict[str, Any], optimizer: str, scheduler: str) -> StudyRecord:
    """A study's record with the file that it would have."""
    named = {"optimizers": [optimizer], "schedulers": [scheduler]}
    config = resolve_study({**document, "search": {**document["search"], **named}})
    record = replace(example_record(num_arms=1), epochs=config.training.epochs)
    return replace(record, study_file=format_study(config))


def run_script(params: Params, record: StudyRecord) -> nn.Module:
    """What the program leaves when it is pasted."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(training_script(params, record), names)  # noqa: S102 - running what is pasted is the point
    model = names["model"]
    assert isinstance(model, nn.Module)
    return model


def with_fixed_weights(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """`build` with the same first weights in each call."""

    def rebuilt(**given: Any) -> nn.Module:
        torch.manual_seed(5)
        return build(**given)

    return rebuilt


@pytest.mark.parametrize("run", RUNS)
def test_the_program_reaches_the_weights_of_the_studys_run(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, training = RUNS[run]
    if params["optimizer"] == "schedule_free_adamw":
        pytest.importorskip("schedulefree")
    document = study_document(
        training={"epochs": EPOCHS, "precision": "fp32", **training},
        data={"train_samples": NUM_SAMPLES}, study={"score": "last_epoch"},
    )  # fmt: skip
    monkeypatch.setattr(plain, "build_mlp", with_fixed_weights(plain.build_mlp))
    record = stored_study(document, str(params["optimizer"]), str(params["scheduler"]))
    state = prepare(build_trial_config(resolve_study(document), params, seed=1), "cpu")
    start = {name: weight.clone() for name, weight in state.model.state_dict().items()}
    assert len(list(train(state))) == EPOCHS
    pasted = run_script(params, record).state_dict()
    for name, expected in state.evaluated_weights().items():
        assert not torch.equal(expected, start[name])
        torch.testing.assert_close(pasted[name], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "finetune"),
    [
        ("sgd", "one_cycle", {"layer_decay": 0.5, "head_factor": 3.0}),
        ("adamw", "cosine", {"freeze": "backbone", "unfreeze_epoch": 3}),
        ("schedule_free_adamw", "constant", {"freeze": "all but 1 stage", "layer_decay": 0.7}),
    ],
)
def test_the_program_fine_tunes_as_the_study_did(
    optimizer: str,
    scheduler: str,
    finetune: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plain, "build_mlp", with_fixed_weights(plain.build_mlp))
    torch.manual_seed(9)
    given = plain.build_mlp(input_shape=(1, 8, 8), num_outputs=10, width=16, depth=2, dropout=0.0)
    given[1].weight.data += 0.1
    torch.save(given.state_dict(), tmp_path / "begin.pt")
    document = study_document(
        training={"epochs": EPOCHS, "precision": "fp32", **WHOLE},
        data={"train_samples": NUM_SAMPLES}, study={"score": "last_epoch"},
        model={"depth": 2}, finetune={"pretrained": str(tmp_path / "begin.pt"), **finetune},
    )  # fmt: skip
    params: Params = {
        "optimizer": optimizer, "scheduler": scheduler, f"{optimizer}.learning_rate": 0.02
    }  # fmt: skip
    record = stored_study(document, optimizer, scheduler)
    state = prepare(build_trial_config(resolve_study(document), params, seed=1), "cpu")
    start = {name: weight.clone() for name, weight in state.model.state_dict().items()}
    assert torch.equal(start["1.weight"], given[1].weight)
    list(train(state))
    pasted = run_script(params, record).state_dict()
    is_still = finetune.get("freeze", "none") != "none" and "unfreeze_epoch" not in finetune
    for name, expected in state.evaluated_weights().items():
        assert torch.equal(expected, start[name]) == (is_still and name.startswith("1."))
        torch.testing.assert_close(pasted[name], expected, rtol=1e-3, atol=1e-4)


TASKS: dict[str, dict[str, Any]] = {
    "mixing, weighted sampling, augmentation": {
        "training": {"mixup_alpha": 0.2, "cutmix_alpha": 0.2, "sampling": "weighted"},
        "data": {"augment": ["translate", "cutout"], "train_samples": 320},
    },
    "early stopping of a convolutional network": {
        "training": {"early_stopping_patience": 1, "epochs": 30},
        "data": {"train_samples": 320}, "model": {"model": "cnn", "width": 8},
    },
    "text": {"data": {"dataset": "npz:text.npz", "task": "language"}, "model": {"model": "gru"}},
    "labels": {"data": {"dataset": "npz:labels.npz", "task": "multilabel"},
               "training": {"class_weights": "balanced"}, "study": {"objective": "loss"}},
    "pixels": {"data": {"dataset": "npz:pixels.npz", "task": "segmentation",
                        "augment": ["flip", "translate"]},
               "model": {"model": "unet", "width": 4}, "study": {"objective": "mean_iou"},
               "training": {"class_weights": "balanced", "label_smoothing": 0.1}},
    "codes": {"data": {"dataset": "csv:codes.csv", "task": "regression", "categories": "codes"},
              "model": {"model": "tabular_mlp", "width": 8}},
    "texts": {"data": {"dataset": "csv:texts.csv", "text": "review", "sequence_length": 6},
              "model": {"model": "gru"}, "study": {"objective": "loss"}},
    "several numbers": {"data": {"dataset": "npz:targets.npz", "task": "regression"},
                        "study": {"objective": "rmse"}},
    "numbers": {"data": {"dataset": "npz:numbers.npz", "task": "regression"},
                "training": {"loss": "huber"}, "study": {"objective": "mae"}},
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_the_program_trains_whatever_a_study_trains(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("text.npz", **language(60))
    np.savez("numbers.npz", **regression(200))
    np.savez("labels.npz", **multilabel(200))
    np.savez("pixels.npz", **pictures(60))
    np.savez("targets.npz", **targets(200))
    rows = (f"{'uvw'[row % 3]},{row % 7},{2 * (row % 3 == 1) + row % 7}" for row in range(200))
    reviews = (f"{'no ' * (row % 2)}good day {row % 5},{'ab'[row % 2]}" for row in range(200))
    Path("texts.csv").write_text("\n".join(["review,mood", *reviews]))
    Path("codes.csv").write_text("\n".join(["kind,size,price", *rows]))
    document = study_document(training={"batch_size": 32}, data={}, model={})
    for section, keys in TASKS[task].items():
        model = {} if "model" in keys else document[section]
        document[section] = {**model, **keys}
    params: Params = {
        "optimizer": "adam", "scheduler": "one_cycle", "adam.learning_rate": 0.01,
        "one_cycle.warmup_fraction": 0.3,
    }  # fmt: skip
    run_script(params, stored_study(document, "adam", "one_cycle"))
    lines = capsys.readouterr().out.splitlines()
    planned = document["training"]["epochs"]
    assert lines[0].startswith(f"epoch 1 of {planned}: validation ")
    scores = [float(line.split()[-1]) for line in lines]
    if task == "early stopping of a convolutional network":
        assert 1 < len(lines) < planned
        assert scores[-1] <= max(scores[:-1])
    else:
        assert len(lines) == planned
        better = max if task.startswith("mixing") else min
        assert better(scores) == better(scores[1:])


def test_a_program_that_is_run_from_its_file_finds_the_users_modules(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "configurations"
    folder.mkdir(parents=True)
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\n\ndef build(input_shape, num_outputs, width):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_outputs))\n"
    )
    document = study_document(
        training={"epochs": 1, "batch_size": 64}, data={"train_samples": 128}
    )  # fmt: skip
    document["model"] = {"model": "mine:build", "width": 8}
    params: Params = {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.1}
    file = folder / "sgd.py"
    file.write_text(training_script(params, stored_study(document, "sgd", "constant")))
    run = subprocess.run(
        [sys.executable, file], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    assert run.stdout.startswith("epoch 1 of 1: validation accuracy ")


def test_there_is_no_program_where_the_studys_file_is_not_known() -> None:
    params: Params = {"optimizer": "adam", "scheduler": "cosine"}
    record = example_record(num_arms=1)
    assert record.study_file == ""
    assert training_script(params, record) == ""
    damaged = replace(record, study_file='[study]\nname = "x"\n[model]\nmodel = "gone"\n')
    assert training_script(params, damaged) == ""
    assert training_script(params, replace(damaged, study_file="not = [toml")) == ""
