"""A study with a loop of one's own, in real workers: from the search to the report, and killed."""

import json
import sys

import pytest
import tomli_w

import bakeoff
from bakeoff.commands.cli import main
from bakeoff.errors import UsageError

LOOP = """
import torch
from torch import nn

FORGETS = False
PASSES = 1


def train(run):
    model = nn.Sequential(nn.Linear(3, run.params["width"]), nn.Tanh(), nn.Linear(run.params["width"], 1))
    optimizer = run.optimizer(model)
    draws = torch.Generator().manual_seed(0)
    data = torch.randn(90, 3, generator=draws)
    targets = data.prod(dim=1, keepdim=True)

    def error(part):
        with torch.no_grad():
            return (model(data[part]) - targets[part]).square().mean()

    steps = 0
    for epoch in run.epochs(model=model):
        for rows in torch.randperm(50).split(25) * PASSES:
            loss = (model(data[rows]) - targets[rows]).square().mean() * (1 + steps / 100)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += FORGETS
        yield {"error": error(slice(50, 70)), "train_loss": loss}
    if run.wants_test:
        yield run.test({"error": error(slice(70, 90))})
"""
DOCUMENT = {
    "study": {"name": "own", "objective": "error"},
    "metrics": {"error": {"direction": "minimize", "low": 0.0, "untrained": 2.0}},
    "model": {"width": {"low": 2, "high": 8}},
    "training": {"epochs": 4, "loop": "loop_of_a_study:train", "threads": 1},
    "search": {
        "optimizers": ["sgd", "adam"],
        "trials_per_arm": 4,
        "startup_trials": 4,
        "pruner": "halving",
        "defaults": False,
    },
    "confirm": {"seeds": 2, "shortlist": 1, "shortlist_seeds": 1},
}


@pytest.fixture
def study_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop_of_a_study.py").write_text(LOOP)
    (tmp_path / "own.toml").write_text(tomli_w.dumps(DOCUMENT))
    return tmp_path


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    return int(caught.value.code or 0)


def test_a_study_runs_to_its_report(study_folder, capsys):
    found = bakeoff.run("own.toml", workers=1, progress=False)
    record = found.comparison.study
    assert record.objective.direction == "minimize"
    assert {one.outcome for one in record.trials} == {"complete", "pruned"}
    assert len(record.confirmations) == 2 * 2  # a shortlist of one needs no runs
    confirmed = [one for one in record.confirmations if one.purpose == "confirm"]
    assert all(0 < one.test_metrics["error"] < 10 for one in confirmed)
    seeds = [sorted(one.seed for one in confirmed if one.arm == arm) for arm in ("sgd", "adam")]
    assert seeds[0] == seeds[1]
    assert record.protocol["own loop"] == "loop_of_a_study:train"
    assert record.environment["own code"].startswith("loop_of_a_study.py (")
    assert record.num_test is None
    assert (study_folder / "results/own/code/loop_of_a_study.py").read_text() == LOOP
    assert "loop_of_a_study" not in sys.modules  # only workers imported it
    page = (study_folder / "results/own/index.html").read_text()
    assert "loop_of_a_study:train" in page
    toml = next((study_folder / "results/own/configurations").glob("*.toml")).read_text()
    assert "[metrics.error]" in toml

    assert command("export", "own") == 1
    assert (
        "its network was built by a loop of yours, loop_of_a_study:train" in capsys.readouterr().err
    )
    assert command("profile", "own.toml") == 2
    assert "only the built-in loop can be profiled" in capsys.readouterr().err
    (study_folder / "loop_of_a_study.py").write_text(LOOP + "# changed\n")
    settings = {"search.trials_per_arm": 5}
    with pytest.raises(UsageError, match="the code changed since the study began"):
        bakeoff.run("own.toml", workers=1, progress=False, extend=True, settings=settings)


def test_a_wrong_loop_is_found_before_anything_is_created(study_folder):
    (study_folder / "loop_of_a_study.py").write_text(LOOP.replace('"error":', '"eror":'))
    with pytest.raises(UsageError) as caught:
        bakeoff.run("own.toml", workers=1, progress=False)
    assert str(caught.value) == (
        "training.loop = 'loop_of_a_study:train': expected the metric 'error' of the study file,"
        " found eror, train_loss"
    )
    assert not (study_folder / "results" / "studies.db").exists()


@pytest.mark.slow
def test_verify_resume_finds_state_that_the_loop_does_not_track(study_folder, capsys):
    text = LOOP.replace("FORGETS = False", "FORGETS = True").replace("PASSES = 1", "PASSES = 500")
    (study_folder / "loop_of_a_study.py").write_text(text)
    options = ["--kills", "1", "--epochs", "2", "--optimizer", "adam", "--json"]
    assert command("verify-resume", "own.toml", *options) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["identical"]
    assert len(found["kills"]) == 1
    assert "tracked.model.state.0.weight" in found["difference"]["paths"]
    assert found["is_repeatable"]
