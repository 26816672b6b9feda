"""What a report offers to paste, taken from its page and run."""

import html
import math
import re
import tomllib
from pathlib import Path

import pytest

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
               for file, code in zip(blocks[::2], blocks[1::2], strict=True)}  # fmt: skip
    assert set(offered) == set(TRIALS)
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
def test_the_pasted_code_trains_a_model(pasted: dict[str, tuple[str, str]], arm: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    inputs = torch.randn(64, 4)
    targets = (inputs.sum(dim=1) > 0).long()
    names = {"torch": torch, "math": math, "model": model, "total_steps": 60}
    exec(pasted[arm][1], names)  # noqa: S102 - running what users paste is the point
    losses = []
    for _ in range(60):
        names["optimizer"].zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        names["optimizer"].step()
        if "scheduler" in names:
            names["scheduler"].step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
