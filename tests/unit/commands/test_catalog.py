import json

import pytest

from bakeoff.commands.catalog import list_optimizers
from bakeoff.components.optimizers import OPTIMIZERS


def test_optimizers_are_listed_with_what_they_need_and_each_parameter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    list_optimizers(as_json=False)
    summary, note, parameters = capsys.readouterr().out.split("\n\n")
    rows = {line.split()[0]: line for line in summary.splitlines()[1:]}
    assert tuple(rows) == OPTIMIZERS.names
    assert rows["schedule_free_adamw"].split()[-4:] == [
        "decoupled",
        "8",
        "constant",
        "schedulefree",
    ]
    assert "pip install 'bakeoff[optimizers]'" in note
    assert "beta2_decay" in parameters


def test_optimizers_as_json_hold_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    list_optimizers(as_json=True)
    rows = {row["optimizer"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["muon"]["state bytes per weight"] == 4
    assert rows["adam"]["schedules"] == "all"
    names = [one["parameter"] for one in rows["adamw"]["parameters"]]
    assert names == ["learning_rate", "weight_decay", "beta1", "beta2", "epsilon"]
