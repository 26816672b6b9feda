from pathlib import Path

import pytest

from bakeoff.commands.show import show_trials
from bakeoff.records import EpochResult, StudyConfig, TrialRecord
from bakeoff.search.arms import TrialPlan
from bakeoff.storage import Storage
from study_examples import study_facts

PARAMS = {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.1, "sgd.momentum": 0.5,
    "sgd.weight_decay": 0.0,
}  # fmt: skip


@pytest.fixture
def output(tmp_path: Path, config: StudyConfig) -> Path:
    """A results folder with one trial, whose second epoch is the scored one."""
    storage = Storage(f"sqlite:///{tmp_path / 'studies.db'}", create=True)
    storage.create(config, study_facts())
    plan = TrialPlan(arm="sgd", params=PARAMS, seed=1, phase="random")
    number, trial_id = storage.begin(config, plan)
    history = (
        EpochResult(epoch=1, metrics={"accuracy": 0.5}),
        EpochResult(epoch=2, metrics={"accuracy": 0.7}, confusion=((5, 0), (3, 2))),
    )
    record = TrialRecord(
        number=number,
        arm="sgd",
        params=PARAMS,
        outcome="complete",
        score=0.7,
        history=history,
    )
    storage.finish(trial_id, record)
    return tmp_path


def test_trial_is_shown_with_each_class_of_its_scored_epoch(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_trials("toy", 0, output=output, storage_url=None, as_json=False)
    lines = capsys.readouterr().out.split("epoch 2\n")[1].splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["0", "5", "1"],
        ["1", "5", "0.4", "class", "0,", "3", "times"],
    ]
