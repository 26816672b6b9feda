import json

import pytest

from bakeoff.commands.verbs.metrics import metrics
from bakeoff.commands.verbs.models import models
from bakeoff.commands.verbs.optimizers import optimizers
from bakeoff.components.metrics import METRICS
from bakeoff.components.models import MODELS
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.package_optimizers import PACKAGE_PREFIX
from bakeoff.components.package_ranges import ENTRIES


def test_optimizers_are_listed_with_what_they_need_and_each_parameter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    optimizers()
    summary, note, parameters = capsys.readouterr().out.split("\n\n")
    rows = {line.split()[0]: line for line in summary.splitlines()[1:]}
    assert tuple(rows) == (*OPTIMIZERS.names, *(PACKAGE_PREFIX + name for name in ENTRIES))
    assert rows["schedule_free_adamw"].split()[-4:] == [
        "decoupled",
        "8",
        "constant",
        "schedulefree",
    ]
    assert "pip install 'bakeoff[optimizers]'" in note
    assert "beta2_decay" in parameters


def test_optimizers_as_json_hold_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    optimizers(as_json=True)
    rows = {row["optimizer"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["muon"]["state bytes per weight"] == 4
    assert rows["adam"]["schedules"] == "all"
    names = [one["parameter"] for one in rows["adamw"]["parameters"]]
    assert names == ["learning_rate", "weight_decay", "beta1", "beta2", "epsilon"]


def test_models_are_listed_with_what_they_take_and_each_parameter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models()
    summary, note, parameters = capsys.readouterr().out.split("\n\n")
    rows = {line.split()[0]: line for line in summary.splitlines()[1:]}
    assert tuple(rows) == MODELS.names
    assert "rows [T, F], image [C, H, W], tokens [L] or text [L]" in rows["lstm"]
    assert "timm:NAME" in note
    assert any(line.split()[:2] == ["transformer", "heads"] for line in parameters.splitlines())


def test_models_as_json_hold_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    models(as_json=True)
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["cnn"]["takes"] == "image [C, H, W]"
    assert [one["parameter"] for one in rows["gru"]["parameters"]] == ["width", "depth", "dropout"]


def test_metrics_are_listed_by_task_with_the_default_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics(as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["task"], row["metric"]) for row in rows] == [
        (task, name) for task, specs in METRICS.items() for name in specs.names
    ]
    assert [row["metric"] for row in rows if row["default"]] == [
        "accuracy", "macro_f1", "mean_iou", "rmse", "loss",
    ]  # fmt: skip
    assert {row["metric"]: row["range"] for row in rows}["perplexity"] == "from 1"
