"""What a report offers to paste, taken from its page and run."""

import html
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bakeoff.analysis.comparison import compare
from bakeoff.commands.cli import main
from bakeoff.ranges import Params
from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from bakeoff.report import write_report
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from study_examples import study_document, study_facts

TRIALS: dict[str, Params] = {
    "sgd": {
        "optimizer": "sgd", "scheduler": "cosine", "sgd.learning_rate": 0.05, "sgd.momentum": 0.5,
        "sgd.weight_decay": 1e-5, "cosine.warmup_fraction": 0.1, "model.dropout": 0.25,
    },
    "adam": {
        "optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.003,
        "adam.weight_decay": 1e-4, "adam.beta1": 0.85, "constant.warmup_fraction": 0.0,
        "model.dropout": 0.125,
    },
}  # fmt: skip


@pytest.fixture(name="pasted", scope="module")
def _pasted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Study file and PyTorch code of each arm, as they stand on the page of a stored study."""
    folder = tmp_path_factory.mktemp("report")
    storage = Storage(f"sqlite:///{folder / 'studies.db'}", create=True)
    document = study_document(
        training={"epochs": 2}, model={"dropout": {"low": 0.0, "high": 0.5}},
        data={"train_samples": 320},
    )  # fmt: skip
    config = resolve_study(document | {"space": {"adam": {"beta1": 0.85}}})
    storage.create(config, study_facts())
    for number, (arm, params) in enumerate(TRIALS.items()):
        _, trial_id = storage.begin(
            config, TrialPlan(arm=arm, seed=1, phase="random", params=params)
        )
        history = (EpochResult(epoch=1, metrics={"accuracy": 0.9}),)
        run = TrialRecord(
            number=number, arm=arm, params=params, outcome="complete", score=0.9, history=history,
            epochs_planned=2,
        )  # fmt: skip
        storage.finish(trial_id, run)
    page = write_report(compare(storage.load_record("toy")), folder).html.read_text()
    blocks = [html.unescape(block) for block in re.findall(r"<pre.*?><code>(.*?)</code></pre>",
                                                           page, re.DOTALL)]  # fmt: skip
    offered = {tomllib.loads(file)["search"]["optimizers"][0]: (file, code)
               for code, file in zip(blocks[1::3], blocks[2::3], strict=True)}  # fmt: skip
    assert set(offered) == set(TRIALS)
    for arm, command in zip(offered, blocks[::3], strict=True):
        assert command == f"study train configurations/{arm}.toml"
        for text, kind in zip(offered[arm], ("toml", "py"), strict=True):
            assert (folder / "configurations" / f"{arm}.{kind}").read_text() == text.strip() + "\n"
    return offered


@pytest.mark.parametrize("arm", TRIALS)
def test_study_train_takes_the_pasted_file(
    pasted: dict[str, tuple[str, str]], arm: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "pasted.toml"
    file.write_text(pasted[arm][0])
    with pytest.raises(SystemExit) as left:
        main(["train", str(file), "--output", str(tmp_path), "--name", "mine"])
    assert left.value.code == 0
    config = tomllib.loads((tmp_path / "toy" / "train" / "mine" / "config.toml").read_text())
    space = {
        key: value for owner in config["space"] for key, value in config["space"][owner].items()
    }
    expected = {name.partition(".")[2]: value for name, value in TRIALS[arm].items() if "." in name}
    assert {**space, "dropout": config["model"]["dropout"]} == expected
    assert "weights of epoch 2 of 2" in capsys.readouterr().out


@pytest.mark.parametrize("arm", TRIALS)
def test_the_pasted_code_trains_the_studys_network_on_its_data(
    pasted: dict[str, tuple[str, str]], arm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(pasted[arm][1], names)  # noqa: S102 - running what users paste is the point
    model = names["model"]
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    dropout = next(module.p for module in model.modules() if isinstance(module, nn.Dropout))
    assert dropout == TRIALS[arm]["model.dropout"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[0] for line in lines] == [
        "epoch 1 of 2: validation accuracy", "epoch 2 of 2: validation accuracy"
    ]  # fmt: skip
    assert float(lines[-1].rpartition(" ")[2]) > 0.2  # chance is 0.1
