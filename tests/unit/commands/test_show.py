from pathlib import Path

import pytest

from bakeoff.commands.report import report_own
from bakeoff.commands.show import show_status, show_trials
from bakeoff.errors import UsageError
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


def test_a_trial_that_is_not_there_is_answered_with_the_numbers_there_are(output: Path) -> None:
    with pytest.raises(UsageError, match="has no trial 1; it has 1, numbered from 0"):
        show_trials("toy", 1, output=output, storage_url=None, as_json=False)


def test_a_trial_that_was_stopped_midway_is_not_called_running(
    output: Path, config: StudyConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = TrialPlan(arm="sgd", params=PARAMS, seed=1, phase="random")
    Storage(f"sqlite:///{output / 'studies.db'}").begin(config, plan)
    show_status("toy", output=output, storage_url=None, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy: unfinished; `study run FILE` continues it"
    assert lines[-1] == "not yet ended: search-1, sgd, 0 of 4 epochs"


def test_of_several_studies_a_wrong_name_is_refused_before_any_report(output: Path) -> None:
    with pytest.raises(UsageError, match="unknown study 'tou'; did you mean 'toy'"):
        report_own(["toy", "tou"], output=output, storage_url=None)
    assert not (output / "toy").exists()
