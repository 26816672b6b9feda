"""A study of two losses and two models in real processes, and what it gives to use each arm."""

import json
from pathlib import Path

import pytest
import tomli_w

from bakeoff.storage import Storage
from study_examples import call_study, study_document

LOSSES = """
from torch.nn.functional import cross_entropy


def focal(outputs, labels):
    losses = cross_entropy(outputs, labels, reduction="none")
    return ((1 - (-losses).exp()) * losses).mean()
"""
FOCAL = "arm_losses:focal"
DOCUMENT = study_document(
    data={"train_samples": 161},
    training={"epochs": 2},
    search={
        "optimizers": ["adam"],
        "schedulers": ["constant"],
        "trials_per_arm": 2,
        "pruner": "none",
        "defaults": False,
    },
    confirm={"seeds": 8, "shortlist": 1},
) | {
    "arms": {
        "focal": {"training": {"loss": FOCAL}},
        "cross_entropy": {},
        "cnn": {"model": {"model": "cnn", "width": 4}},
    }
}


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the study was run."""
    folder = tmp_path_factory.mktemp("arms")
    (folder / "arm_losses.py").write_text(LOSSES)
    (folder / "toy.toml").write_text(tomli_w.dumps(DOCUMENT))
    done = call_study(folder, "run", "toy.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_study_ends_with_a_verdict_on_arms_that_trained_as_they_say(folder: Path) -> None:
    results = folder / "results" / "toy"
    assert json.loads((results / "summary.json").read_text())["verdict"]["leading"]
    record = Storage(f"sqlite:///{folder / 'results' / 'studies.db'}").load_record("toy")
    assert len([run for run in record.confirmations if run.purpose == "confirm"]) == 3 * 8
    page = (results / "index.html").read_text()
    assert f"training.loss = {FOCAL}" in page
    answer = (results / "report.md").read_text()
    assert f"model mlp, width 16, depth 1, loss {FOCAL}" in answer
    assert "model cnn" in answer


def test_the_weights_of_each_arm_are_exported_with_its_model(folder: Path) -> None:
    for arm, model, loss in (("focal", "mlp", FOCAL), ("cnn", "cnn", "cross_entropy")):
        done = call_study(folder, "export", "toy", "--arm", arm, "-o", f"{arm}.safetensors")
        assert done.returncode == 0, done.stderr
        about = json.loads((folder / f"{arm}.json").read_text())
        text = json.dumps(about)
        assert f'"{model}"' in text
        assert f'"{loss}"' in text


def test_a_configuration_of_the_report_trains_with_the_loss_of_its_arm(folder: Path) -> None:
    file = folder / "results" / "toy" / "configurations" / "focal.toml"
    assert f'loss = "{FOCAL}"' in file.read_text()
    trained = call_study(
        folder, "train", str(file.relative_to(folder)), "--name", "again", "--json"
    )
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["outcome"] == "complete"
