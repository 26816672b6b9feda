"""A study of the user's own parts in real processes, beside its modules and below the folder."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w

from bakeoff.storage import Storage
from study_examples import call_study, study_document

LION, CYCLIC, TOP2 = "own_run.opt:Lion", "own_run.parts:cyclic", "own_run.parts:top2"
OPT = """
import torch


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for weights in group["params"]:
                state = self.state[weights]
                mean = state.setdefault("mean", torch.zeros_like(weights))
                weights.mul_(1 - group["lr"] * group["weight_decay"])
                weights.sub_(group["lr"] * mean.lerp(weights.grad, 1 - first).sign())
                mean.lerp_(weights.grad, 1 - second)
"""
PARTS = """
import math

import torch
from torch.nn.functional import cross_entropy


def cyclic(progress, num_cycles=2):
    return 0.55 + 0.45 * math.cos(2 * math.pi * num_cycles * progress)


def top2(outputs, labels):
    return (outputs.topk(2, 1).indices == labels[:, None]).any(1).float().mean()


class Wrong:
    def __init__(self):
        self.num_wrong = 0

    def update(self, outputs, labels):
        self.num_wrong += int((outputs.argmax(1) != labels).sum())

    def compute(self):
        return self.num_wrong


def brighter(images, generator):
    added = torch.randint(0, 3, (len(images), 1, 1, 1), generator=generator)
    return images + added.to(images.dtype)


def focal(outputs, labels):
    losses = cross_entropy(outputs, labels, reduction="none")
    return ((1 - (-losses).exp()) * losses).mean()
"""
DOCUMENT = study_document(
    study={"objective": TOP2},
    data={"augment": ["own_run.parts:brighter"], "train_samples": 161},
    training={"epochs": 2, "loss": "own_run.parts:focal", "metrics": ["own_run.parts:Wrong"]},
    search={
        "optimizers": [LION, "torch.optim:Rprop"],
        "schedulers": [CYCLIC],
        "trials_per_arm": 2,
        "pruner": "none",
        "defaults": False,
    },
    confirm={"seeds": 8, "shortlist": 1},
    space={LION: {"beta1": 0.9}, CYCLIC: {"num_cycles": {"low": 1, "high": 3}}},
    metrics={TOP2: {"direction": "maximize", "low": 0.0, "high": 1.0, "untrained": 0.2}},
)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the study was run; its file and modules are in `studies`."""
    folder = tmp_path_factory.mktemp("own")
    package = folder / "studies" / "own_run"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "opt.py").write_text(OPT)
    (package / "parts.py").write_text(PARTS)
    (folder / "studies" / "toy.toml").write_text(tomli_w.dumps(DOCUMENT))
    done = call_study(folder, "run", "studies/toy.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_study_ends_with_a_verdict_and_a_copy_of_its_code(folder: Path) -> None:
    results = folder / "results" / "toy"
    summary = json.loads((results / "summary.json").read_text())
    assert summary["verdict"]["leading"]
    record = Storage(f"sqlite:///{folder / 'results' / 'studies.db'}").load_record("toy")
    confirmed = [run for run in record.confirmations if run.purpose == "confirm"]
    assert len(confirmed) == 2 * 8
    for run in confirmed:
        assert 0 <= run.test_metrics[TOP2] <= 1
        wrong = (1 - run.test_metrics["accuracy"]) * record.num_test
        assert run.test_metrics["own_run.parts:Wrong"] == pytest.approx(wrong)
    assert (results / "code" / "studies" / "own_run" / "opt.py").read_text() == OPT
    page = (results / "index.html").read_text()
    assert "studies/own_run/opt.py" in page


def test_what_the_report_offers_trains_with_the_same_code(folder: Path) -> None:
    configurations = folder / "results" / "toy" / "configurations"
    code = next(configurations.glob("*Lion.py"))
    pasted = subprocess.run(
        [sys.executable, str(code)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert pasted.returncode == 0, pasted.stderr
    assert f"epoch 2 of 2: validation {TOP2} 0." in pasted.stdout
    file = code.with_suffix(".toml").relative_to(folder)
    trained = call_study(folder, "train", str(file), "--name", "again", "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["outcome"] == "complete"
    exported = call_study(folder, "export", "toy", "-o", "model.safetensors")
    assert exported.returncode == 0, exported.stderr


def test_changed_code_is_refused_by_name(folder: Path) -> None:
    parts = folder / "studies" / "own_run" / "parts.py"
    more = tomli_w.dumps({**DOCUMENT, "search": {**DOCUMENT["search"], "trials_per_arm": 3}})
    (folder / "studies" / "more.toml").write_text(more)
    parts.write_text(PARTS + "# changed\n")
    refused = call_study(folder, "run", "studies/more.toml", "--extend")
    assert refused.returncode == 2
    assert "parts.py: the code changed since the study began" in refused.stderr
