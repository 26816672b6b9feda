"""`study gate` in real processes: a baseline, the same code, worse code, and a kill in between."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from study_examples import call_study, study_document

CODE = """\
from torch import nn


def build(input_shape, num_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, num_outputs))
"""
DOCUMENT = study_document(
    data={"train_samples": 320},
    training={"epochs": 3, "batch_size": 32},
    search={
        "optimizers": ["sgd"],
        "schedulers": ["constant"],
    },
) | {
    "model": {"model": "net:build"},
    "space": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}},
}
PLACE = ("--workers", "1", "--threads", "1")
GATE = ("gate", "model.toml", *PLACE, "--baseline", "baseline.json")
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a baseline of seven seeds."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "net.py").write_text(CODE)
    (folder / "model.toml").write_text(tomli_w.dumps(DOCUMENT))
    options = ("--store-baseline", "baseline.json", "--seeds", "7", "--margin", "0.05")
    done = call_study(folder, "gate", "model.toml", *PLACE, *options)
    assert done.returncode == 0, done.stderr
    assert "over 7 seeds; accepted loss 0.05 (--margin)" in done.stdout
    return folder


def seeds_done(folder: Path) -> int:
    files = folder.glob("results/toy/gate/unfinished/*/seeds.jsonl")
    return sum(len(file.read_text().splitlines()) for file in files)


def test_killed_and_continued_the_same_code_has_the_same_bits_on_every_seed(folder):
    (folder / "net.py").write_text(CODE)
    process = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", *GATE],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_SECONDS
    while seeds_done(folder) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = seeds_done(folder)
    assert 2 <= kept < 7
    done = call_study(folder, *GATE)
    assert done.returncode == 0, done.stderr
    assert f"kept from an earlier session: {kept} seeds" in done.stderr
    assert done.stdout.startswith("# toy: not worse than the baseline\n")
    assert "7 of 7 seeds measured the same bits as the baseline in every epoch" in done.stdout
    assert (folder / "results" / "toy" / "gate" / "report.md").read_text() == done.stdout


def test_worse_code_ends_with_1_and_a_report_as_json(folder):
    (folder / "net.py").write_text(CODE.replace("nn.ReLU()", "nn.Softmax(dim=1)"))
    done = call_study(folder, *GATE, "--json")
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith("study: worse than the baseline\n")
    report = json.loads(done.stdout)
    assert report["decision"] == "worse"
    assert report["finding"]["mean"] < -0.2
    assert report["changed_environment"] == ["own code: net.py"]
    assert json.loads((folder / "results" / "toy" / "gate" / "gate.json").read_text()) == report


def test_code_that_raises_ends_with_1_and_names_the_line(folder):
    (folder / "net.py").write_text(CODE.replace("    return", "    1 / 0\n    return"))
    done = call_study(folder, *GATE)
    assert done.returncode == 1, done.stderr
    assert "it cannot be trained" in done.stdout
    assert "ZeroDivisionError: division by zero (net.py:5)" in done.stdout
