"""`study verify-resume` finds state that is missing from a checkpoint, and nothing else."""

import json
from pathlib import Path

import pytest
import tomli_w

from bakeoff.commands.cli import main
from bakeoff.production.verify import draw_kills
from study_examples import study_document

MODELS = '''
import time
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, num_outputs):
        super().__init__()
        self.linear = nn.Linear(64, num_outputs)
        self.register_buffer("calls", torch.zeros(()))
        self.python_calls = 0

    def forward(self, inputs):
        if self.training:
            self.calls += 1
            self.python_calls += 1
            inputs = inputs * self.scale()
        return self.linear(nn.functional.dropout(inputs.flatten(1), 0.1, self.training))


class Counting(Model):
    """Keeps its count where a checkpoint sees it."""

    def scale(self):
        return 1 + self.calls / 1000


class Forgetful(Model):
    """Keeps its count where a checkpoint does not see it."""

    def scale(self):
        return 1 + self.python_calls / 1000


class Timed(Model):
    """Looks at the clock."""

    def scale(self):
        return 1 + time.time() % 1


def build(kind):
    def build_model(input_shape, **given):
        num_outputs, = given.values()
        return kind(num_outputs)
    return build_model


counting, forgetful, timed = build(Counting), build(Forgetful), build(Timed)
'''


def verify(folder: Path, monkeypatch, capsys, *options: str, model: str) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    (folder / "verified_models.py").write_text(MODELS)
    document = study_document(data={"train_samples": 320}, training={"epochs": 9})
    document["model"] = {"model": f"verified_models:{model}"}
    (folder / "toy.toml").write_text(tomli_w.dumps(document))
    with pytest.raises(SystemExit) as caught:
        main(["verify-resume", "toy.toml", "--threads", "1", "--epochs", "2", *options])
    return caught.value.code or 0, capsys.readouterr().out


def test_a_model_that_keeps_its_state_in_buffers_is_identical(tmp_path, monkeypatch, capsys):
    code, out = verify(tmp_path, monkeypatch, capsys, "--kills", "1", "--json", model="counting")
    found = json.loads(out)
    assert code == 0
    assert found["identical"]
    assert len(found["kills"]) == 1
    assert found["difference"]["paths"] == []


def test_state_in_a_python_attribute_is_found_and_named(tmp_path, monkeypatch, capsys):
    code, out = verify(tmp_path, monkeypatch, capsys, "--kills", "1", model="forgetful")
    assert code == 1
    assert out.startswith("different: 2 epochs, killed 1 time ")
    assert "first in epoch 2: " in out  # the one after the kill
    assert "model.linear.weight, model.linear.bias" in out
    assert "registered buffer, not in a Python attribute" in out


@pytest.mark.slow
def test_a_model_that_looks_at_the_clock_is_not_repeatable_at_all(tmp_path, monkeypatch, capsys):
    code, out = verify(tmp_path, monkeypatch, capsys, "--kills", "1", model="timed")
    assert code == 1
    assert "first in epoch 1: " in out
    assert "two runs without a kill differ too" in out


@pytest.mark.slow
def test_a_run_that_ends_at_once_proves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(study_document()))
    with pytest.raises(SystemExit) as caught:
        main(["verify-resume", "toy.toml", "--threads", "1", "--learning-rate", "1e30"])
    assert caught.value.code == 1
    assert "the run ended before it could be killed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--kills", "0"], "--kills = 0"), (["--epochs", "1"], "--epochs = 1: needs at least 2")],
)
def test_a_number_out_of_range_is_refused(tmp_path, capsys, options, message):
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(study_document()))
    with pytest.raises(SystemExit) as caught:
        main(["verify-resume", str(tmp_path / "toy.toml"), *options])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_kills_lie_after_the_first_checkpoint_and_within_an_epoch():
    moments = draw_kills(1000, 4, seed=0)
    assert list(moments) == sorted(moments)
    assert moments[0] >= 1
    assert moments[-1] < 3.9
    assert {int(moment) for moment in moments} == {1, 2, 3}
    assert moments == draw_kills(1000, 4, seed=0) != draw_kills(1000, 4, seed=1)
