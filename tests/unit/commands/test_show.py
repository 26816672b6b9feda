from pathlib import Path

import optuna
import pytest

from bakeoff.commands.verbs.delete import delete
from bakeoff.commands.verbs.list_ import list_
from bakeoff.commands.verbs.report import report
from bakeoff.commands.verbs.show import show
from bakeoff.commands.verbs.status import status
from bakeoff.errors import UsageError
from bakeoff.records import EpochResult, StudyConfig, TrialPlan, TrialRecord
from bakeoff.storage import Storage
from bakeoff.stores import join, open_store
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


@pytest.mark.parametrize("number", ["0", "search-0"])
def test_a_trial_is_shown_with_each_class_of_its_scored_epoch(
    output: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    show("toy", number, output=output)
    lines = capsys.readouterr().out.split("epoch 2\n")[1].splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["0", "5", "1"],
        ["1", "5", "0.4", "class", "0,", "3", "times"],
    ]


def test_an_unknown_trial_is_refused_with_the_known_numbers(output: Path) -> None:
    with pytest.raises(UsageError, match="no trial or run '1'; it has 1 trial, numbered from 0"):
        show("toy", "1", output=output)


def test_deleting_an_unknown_study_suggests_the_nearest_name(output: Path) -> None:
    with pytest.raises(UsageError, match="unknown study 'tox'; did you mean 'toy'"):
        delete("tox", output=output, yes=True)
    assert Storage(f"sqlite:///{output / 'studies.db'}").names() == ("toy",)


def test_a_trial_that_was_stopped_midway_is_not_called_running(
    output: Path, config: StudyConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = TrialPlan(arm="sgd", params=PARAMS, seed=1, phase="random")
    Storage(f"sqlite:///{output / 'studies.db'}").begin(config, plan)
    status("toy", output=output)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy: unfinished; `study run FILE` continues it"
    assert lines[-1] == "not yet ended: search-1, sgd, 0 of 4 epochs"


def test_a_wrong_name_among_several_studies_is_refused_before_any_report_is_written(
    output: Path,
) -> None:
    with pytest.raises(UsageError, match="unknown study 'tou'; did you mean 'toy'"):
        report(["toy", "tou"], output=output)
    assert not (output / "toy").exists()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_report_is_copied_as_a_whole(
    request: pytest.FixtureRequest, output: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    place = str(output / "team") if kind == "folder" else request.getfixturevalue("bucket")
    report(["toy"], output=output, copy_to=place)
    assert capsys.readouterr().out.endswith(f"copied to {place}/toy/index.html\n")
    written = {
        path.relative_to(output / "toy").as_posix(): path.read_bytes()
        for path in (output / "toy").rglob("*.*")
    }
    store = open_store(join(place, "toy"))
    assert len(written) > 5
    assert {key: store.get(key) for key in store.keys()} == written  # noqa: SIM118 - no dictionary


def test_a_place_for_a_copy_is_checked_before_a_report_is_written(output: Path) -> None:
    with pytest.raises(UsageError, match="--copy-to: unknown protocol 's4'"):
        report(["toy"], output=output, copy_to="s4://bucket")
    assert not (output / "toy").exists()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (".", "the report is written there anyway"),
        ("toy/..", "the report is written there anyway"),
        ("link", "the report is written there anyway"),
        ("toy", "is inside the report's own folder"),
        ("toy/copies", "is inside the report's own folder"),
    ],
)
def test_a_copy_of_a_report_into_its_own_folder_is_refused(
    output: Path, place: str, reason: str
) -> None:
    (output / "link").symlink_to(output)
    with pytest.raises(UsageError, match=f"^--copy-to {output}.*: {reason}"):
        report(["toy"], output=output, copy_to=f"{output}/{place}")
    assert not (output / "toy").exists()


def test_a_confirmation_run_is_shown_by_its_name_with_its_test_score(
    output: Path, config: StudyConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = Storage(f"sqlite:///{output / 'studies.db'}")
    plan = TrialPlan(
        arm="sgd", params=PARAMS, seed=7, phase="random", purpose="confirm", configuration=0
    )
    number, trial_id = storage.begin(config, plan)
    record = TrialRecord(
        number=number,
        arm="sgd",
        params=PARAMS,
        outcome="complete",
        score=0.8,
        seed=7,
        purpose="confirm",
        configuration=0,
        history=(EpochResult(epoch=1, metrics={"accuracy": 0.8}),),
        test_metrics={"accuracy": 0.75},
    )
    storage.finish(trial_id, record)
    show("toy", None, output=output)
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last == ["confirm-0", "sgd", "0", "complete", "0.8", "0.75", "7"]
    show("toy", "confirm-0", output=output)
    shown = capsys.readouterr().out
    assert ["test", "accuracy", "0.75"] in [line.split() for line in shown.splitlines()]
    with pytest.raises(UsageError, match="and runs such as confirm-0"):
        show("toy", "confirm-1", output=output)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A database of another program with one study."""
    storage = f"sqlite:///{tmp_path / 'their.db'}"
    optuna.create_study(study_name="their tuning", storage=storage)
    return tmp_path / "their.db"


def test_studies_of_other_programs_are_listed_with_the_command_that_reports_on_them(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{theirs}"
    list_(output=theirs.parent, storage=url)
    assert capsys.readouterr().out.splitlines() == [
        f"no studies of bakeoff in {url}",
        "studies of other programs: their tuning",
        (
            "to report on one of them: "
            f"`study report --storage {url} --study 'their tuning' --arm PARAMETER`"
        ),
    ]
    with pytest.raises(
        UsageError, match="allowed: none; studies of other programs here: their tuning"
    ):
        status("x", output=theirs.parent, storage=url)


def test_the_status_table_leaves_out_columns_that_are_zero_in_every_arm(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status("toy", output=output)
    lines = capsys.readouterr().out.splitlines()
    heading = next(line for line in lines if line.startswith("arm"))
    assert "charged" in heading
    assert "infeasible" not in heading
    assert any("1 of 6" in line for line in lines)
