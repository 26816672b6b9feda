"""`study run` on a regression and on a language model, from a user's own data to the report."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

import toy_tasks
from bakeoff.commands.cli import main
from bakeoff.storage import Storage
from study_examples import call_study, study_document

FLATS = Path(__file__).parents[2] / "studies" / "tables" / "flats.csv"


def small_study(**changes: dict[str, object]) -> dict[str, object]:
    return study_document(
        **{
            "search": {
                "optimizers": ["adam"],
                "trials_per_arm": 2,
                "startup_trials": 1,
                "pruner": "none",
                "defaults": False,
            },
            "confirm": {"seeds": 1, "shortlist": 1, "shortlist_seeds": 1},
            "space": {"adam": {"learning_rate": {"low": 0.01, "high": 0.1, "log": True}}},
            **changes,
        }
    )


def run(folder: Path, document: dict[str, object]) -> Path:
    (folder / "toy.toml").write_text(tomli_w.dumps(document))
    done = call_study(folder, "run", "toy.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder / "results"


def test_regression_is_run_from_an_npz_file_to_its_report(tmp_path):
    np.savez(tmp_path / "mine.npz", **toy_tasks.regression())
    output = run(
        tmp_path,
        small_study(
            data={"dataset": "npz:mine.npz", "task": "regression"},
            training={"epochs": 12, "batch_size": 32, "loss": "huber"},
        ),
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    assert (record.objective.name, record.objective.direction) == ("rmse", "minimize")
    scores = [run.test_metrics["rmse"] for run in record.confirmations if run.test_metrics]
    assert min(scores) < 2 * toy_tasks.NOISE
    assert record.protocol["data"] == "npz:mine.npz, a number, samples of 5"
    assert "at random" in record.protocol["split"]
    assert json.loads((output / "toy" / "summary.json").read_text())


def test_labels_of_a_table_are_run_to_their_report(tmp_path):
    arrays = toy_tasks.multilabel(300)
    columns = [*(f"x{number}" for number in range(6)), "red", "tall", "hot"]
    rows = np.column_stack([arrays["x"], arrays["y"]])
    np.savetxt(tmp_path / "mine.csv", rows, "%g", ",", header=",".join(columns), comments="")
    output = run(
        tmp_path,
        small_study(
            data={
                "dataset": "csv:mine.csv",
                "task": "multilabel",
                "target": ["red", "tall", "hot"],
            },
            training={"epochs": 12, "batch_size": 32, "class_weights": "balanced"},
        ),
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    assert (record.objective.name, record.objective.direction) == ("macro_f1", "maximize")
    [tested] = [run.test_metrics for run in record.confirmations if run.test_metrics]
    assert tested["macro_f1"] > 0.7
    assert record.protocol["data"] == "csv:mine.csv, 3 labels that each apply or not, samples of 6"
    assert "stratified by sets of labels" in record.protocol["split"]
    assert "macro_f1" in (output / "toy" / "report.md").read_text()
    assert run(tmp_path, tomllib.loads((tmp_path / "toy.toml").read_text())) == output


def test_masks_of_a_folder_are_run_to_their_report(tmp_path):
    arrays = toy_tasks.pictures()
    for name, values in (("images", arrays["x"]), ("masks", arrays["y"].astype(np.uint8))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number, picture in enumerate(values):
            Image.fromarray(picture).save(tmp_path / "set" / name / f"{number}.png")
    output = run(
        tmp_path,
        small_study(
            data={"dataset": "folder:set", "task": "segmentation", "augment": ["flip", "crop"]},
            training={"epochs": 2, "batch_size": 4, "class_weights": "balanced"},
        )
        | {"model": {"model": "unet", "width": 4}},
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    assert (record.objective.name, record.objective.direction) == ("mean_iou", "maximize")
    [tested] = [run.test_metrics for run in record.confirmations if run.test_metrics]
    assert 0.1 < tested["mean_iou"] < tested["pixel_accuracy"] < 1
    found = record.protocol
    assert found["data"] == "folder:set, one of 3 classes for each pixel, samples of 1 x 16 x 18"
    assert "at random by image" in found["split"]
    assert "have the value 255, which loss and metrics ignore" in found["data as read"]
    assert "mean_iou" in (output / "toy" / "report.md").read_text()


def test_several_targets_of_a_table_are_run_to_their_report(tmp_path):
    arrays = toy_tasks.targets(300)
    columns = [*(f"x{number}" for number in range(5)), "price", "weight"]
    rows = np.column_stack([arrays["x"], arrays["y"]])
    np.savetxt(tmp_path / "mine.csv", rows, "%.9g", ",", header=",".join(columns), comments="")
    output = run(
        tmp_path,
        small_study(
            data={"dataset": "csv:mine.csv", "task": "regression", "target": ["price", "weight"]},
            training={"epochs": 12, "batch_size": 32},
        ),
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    assert (record.objective.name, record.objective.unit) == ("rmse", "deviations of each target")
    [tested] = [run.test_metrics for run in record.confirmations if run.test_metrics]
    assert tested["rmse"] < 0.4
    assert "2 numbers, each in units of its deviation" in record.protocol["data"]
    assert "deviations of each target" in (output / "toy" / "report.md").read_text()


def test_codes_of_a_table_are_run_to_their_report(tmp_path):
    output = run(
        tmp_path,
        small_study(
            data={
                "dataset": f"csv:{FLATS}",
                "task": "regression",
                "target": ["rent", "costs"],
                "categories": "codes",
                "train_samples": 400,
            },
            training={"epochs": 10, "batch_size": 32},
        )
        | {"model": {"model": "tabular_mlp", "width": 32}},
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    [tested] = [run.test_metrics for run in record.confirmations if run.test_metrics]
    assert tested["r2"] > 0.6
    assert "code from 1 on: district (16), heating (4)" in record.protocol["data as read"]
    configuration = output / "toy" / "configurations" / "adam.py"
    assert "categories=data.categories" in configuration.read_text()


def test_texts_with_labels_are_run_to_their_report(tmp_path):
    rows = (f"a {'bad' if row % 2 else 'good'} day {row % 7},{row % 2}" for row in range(200))
    (tmp_path / "mine.csv").write_text("\n".join(["review,mood", *rows]))
    output = run(
        tmp_path,
        small_study(
            data={"dataset": "csv:mine.csv", "text": "review", "sequence_length": 6},
            training={"epochs": 6, "batch_size": 16},
        )
        | {"model": {"model": "gru", "width": 16}},
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    [tested] = [run.test_metrics for run in record.confirmations if run.test_metrics]
    assert tested["accuracy"] == 1.0
    assert record.protocol["data"] == "csv:mine.csv, 2 classes, samples of 6"


def test_language_model_is_run_from_a_function_to_its_report(tmp_path):
    (tmp_path / "mine.py").write_text(Path(toy_tasks.__file__).read_text())
    output = run(
        tmp_path,
        small_study(
            data={"dataset": "mine:language", "task": "language"},
            training={"epochs": 8, "batch_size": 8},
        )
        | {"model": {"model": "mine:build_bigrams"}},
    )
    record = Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")
    assert (record.objective.name, record.objective.unit) == ("loss", "nats/token")
    scores = [run.test_metrics["loss"] for run in record.confirmations if run.test_metrics]
    assert min(scores) < np.log(toy_tasks.NUM_TOKENS)
    assert record.protocol["data"] == "mine:language, one of 6 tokens, samples of 16"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": {"objective": "rmse"}}, "study.objective: unknown classification metric 'rmse'"),
        (
            {"data": {"task": "regression"}},
            "data.task: 'regression' does not go with 'digits', which is for classification",
        ),
        ({"data": {"task": "regresion"}}, 'data.task = "regresion"'),
        (
            {"training": {"loss": "mse"}},
            'training.loss = "mse": the task is classification; allowed: cross_entropy',
        ),
        (
            {
                "data": {"dataset": "npz:x.npz", "task": "regression"},
                "study": {"objective": "accuracy"},
            },
            "allowed: rmse, mae, r2, loss",
        ),
        (
            {
                "data": {"dataset": "npz:x.npz", "task": "regression"},
                "training": {"label_smoothing": 0.1},
            },
            "training.label_smoothing = 0.1 cannot be used in regression",
        ),
        (
            {"data": {"dataset": "csv:x.csv", "task": "multilabel"}},
            'data.target = null: task = "multilabel" takes a list of two or more columns of 0 and',
        ),
        (
            {"data": {"dataset": "csv:x.csv", "task": "multilabel", "target": ["a", "a"]}},
            "data.target",
        ),
        (
            {"data": {"dataset": "csv:x.csv", "target": ["a", "b"]}},
            'data.target = ["a", "b"]: task = "classification" takes one column',
        ),
        (
            {
                "data": {"dataset": "npz:x.npz", "task": "multilabel"},
                "training": {"sampling": "weighted"},
            },
            'training.sampling = "weighted" cannot be used in multilabel',
        ),
        (
            {
                "data": {"dataset": "npz:x.npz", "task": "multilabel"},
                "training": {"loss": "x:y", "class_weights": "balanced"},
            },
            "training.class_weights: is part of bce, and training.loss is 'x:y'",
        ),
        (
            {"data": {"dataset": "npz:x.npz", "task": "segmentation"}},
            "model.model: model 'mlp' predicts for each sample or token, and task = 'segmentation'",
        ),
        (
            {
                "data": {"dataset": "npz:x.npz", "task": "segmentation", "augment": ["x:y"]},
                "model": {"model": "unet"},
            },
            'data.augment = "x:y": would change images without their masks',
        ),
        (
            {
                "data": {"dataset": "npz:x.npz", "task": "segmentation"},
                "model": {"model": "unet"},
                "training": {"mixup_alpha": 0.2},
            },
            "training.mixup_alpha = 0.2 cannot be used in segmentation: it mixes the classes of",
        ),
        (
            {"data": {"dataset": "npz:x.npz", "task": "language"}},
            "model.model: model 'mlp' cannot take tokens [L]",
        ),
        (
            {"model": {"model": "cnn"}, "data": {"dataset": "jargon"}},
            "model 'cnn' cannot take tokens [L]; it takes image [C, H, W]",
        ),
        (
            {"model": {"model": "torchvision:resnet18", "weights": "DEFAULT"}},
            "model.weights: model 'torchvision:resnet18' is always built with fresh weights",
        ),
    ],
)
def test_what_does_not_go_with_the_task_is_exit_2_before_anything_is_read(
    tmp_path, capsys, changes, message
):
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(study_document(**changes)))
    with pytest.raises(SystemExit) as caught:
        main(["validate", str(tmp_path / "toy.toml")])
    [line] = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert message in line
