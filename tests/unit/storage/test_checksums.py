"""Checksums find what was changed in a stored study by anything but bakeoff."""

import json
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.commands.verbs.delete import delete
from bakeoff.errors import StorageError
from bakeoff.records import EpochResult, Losses, TrialPlan
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from driven_study import drive
from study_examples import SimulatedEngine, study_document, study_facts

CONFIG = resolve_study(
    study_document(search={"trials_per_arm": 3, "pruner": "none"}, confirm={"seeds": 2})
)
PLAN = TrialPlan(
    arm="sgd", params={"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.01},
    seed=1, phase="default", decision_epochs=(1, 2),
)  # fmt: skip
HISTORY = (
    EpochResult(
        epoch=1, metrics={"accuracy": 0.5}, train_loss=1.0, learning_rate=0.1, grad_norm=1.0
    ),
)
FOURTH = "(SELECT trial_id FROM trials WHERE study_id = 2 AND number = 3)"
"""The storage's id of the fourth trial of the search; study 1 holds the confirmation."""
LAST_CONFIRMATION = "study_id = 1 AND number = (SELECT max(number) FROM trials WHERE study_id = 1)"
USER, SYSTEM = "trial_user_attributes", "trial_system_attributes"
STUDY = "study_system_attributes"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with checksums."""
    folder = tmp_path_factory.mktemp("finished")
    file = folder / "studies.db"
    drive(CONFIG, SimulatedEngine(), f"sqlite:///{file}", folder)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the file can be copied
    return file


@pytest.fixture
def file(finished: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copy(finished, tmp_path / "studies.db"))


def change(file: Path, table: str, assignment: str, where: str) -> None:
    """Change rows of a table as a person or a bit of a disk could."""
    with closing(sqlite3.connect(file)) as connection:
        done = connection.execute(f"UPDATE {table} SET {assignment} WHERE {where}")  # noqa: S608
        assert done.rowcount > 0
        connection.commit()


def load(file: Path):
    return Storage(f"sqlite:///{file}").load_record("toy")


def test_a_study_that_nothing_changed_says_that_every_run_matches(finished):
    assert load(finished).protocol["checksums"] == "every stored run matches its checksum"


@pytest.mark.parametrize(
    ("table", "assignment", "key"),
    [
        ("trial_values", "value = value + 1e-9", None),
        ("trial_values", "value_type = 'INF_POS', value = NULL", None),
        ("trial_params", "param_value = param_value * 2", None),
        ("trial_params", "distribution_json = replace(distribution_json, '1', '2')", None),
        ("trial_params", "param_name = param_name || 'x'", None),
        (USER, "value_json = '\"adamw\"'", "arm"),
        (USER, "value_json = '\"1\"'", "seed"),
        (USER, "key = 'fools'", "epochs"),
        (SYSTEM, "value_json = replace(value_json, '0.', '1.')", "bakeoff:result"),
        (SYSTEM, "key = 'bakeoff:plam'", "bakeoff:plan"),
        (SYSTEM, "key = 'bakeoff:check'", "bakeoff:check-ended"),
        (SYSTEM, "key = 'bakeoff:check'", "bakeoff:check-begun"),
        ("trials", "state = 'PRUNED'", None),
        ("trials", "number = 99", None),
        ("trials", "study_id = 1, number = 99", None),
    ],
)
def test_a_changed_row_of_a_run_is_refused_by_the_name_of_the_run(file, table, assignment, key):
    change(file, table, assignment, f"trial_id = {FOURTH}" + (f" AND key = '{key}'" if key else ""))
    with pytest.raises(StorageError, match=r"study 'toy', search run 3: .*restore the storage"):
        load(file)


@pytest.mark.parametrize(
    ("table", "assignment", "where", "message"),
    [
        (STUDY, "value_json = replace(value_json, '0.1', '0.2')", "key = 'bakeoff:study'",
         "its content does not match"),
        (STUDY, "value_json = replace(value_json, 'true', 'false')",
         "key = 'bakeoff:state' AND study_id = 2", "its state does not match"),
        (STUDY, "key = 'bakeoff:stage'", "key = 'bakeoff:state'", "its state is missing"),
        ("trials", "study_id = 99", LAST_CONFIRMATION, "runs are missing"),
        ("trials", "trial_id = 9999", f"trial_id = {FOURTH}", "search runs: the attributes"),
    ],
)  # fmt: skip
def test_a_changed_row_of_a_study_is_refused(file, table, assignment, where, message):
    change(file, table, assignment, where)
    with pytest.raises(StorageError, match=rf"study 'toy'.*{message}"):
        load(file)


def test_a_damaged_study_is_not_continued_and_can_be_deleted(file):
    change(file, USER, "value_json = '\"1\"'", f"key = 'seed' AND trial_id = {FOURTH}")
    before = file.read_bytes()
    with pytest.raises(StorageError, match="search run 3"):
        drive(CONFIG, SimulatedEngine(), f"sqlite:///{file}", file.parent)
    assert file.read_bytes() == before
    delete("toy", output=file.parent, yes=True)
    assert Storage(f"sqlite:///{file}").names() == ()


def without_checksums(file: Path) -> None:
    """Make the file that a release without checksums would have written."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DELETE FROM trial_system_attributes WHERE key LIKE 'bakeoff:check%'")
        connection.execute("DELETE FROM study_system_attributes WHERE key = 'bakeoff:state'")
        stored = connection.execute(
            "SELECT study_system_attribute_id, value_json FROM study_system_attributes"
            " WHERE key = 'bakeoff:study'"
        ).fetchall()
        for identity, text in stored:
            content = {**json.loads(text), "format": 1}
            del content["check"]
            connection.execute(
                "UPDATE study_system_attributes SET value_json = ?"
                " WHERE study_system_attribute_id = ?",
                (json.dumps(content), identity),
            )
        connection.commit()


def test_a_study_of_an_earlier_release_says_unchecked_and_continues(file, finished, tmp_path):
    without_checksums(file)
    record = load(file)
    num_runs = len(record.trials) + len(record.confirmations)
    expected = f"unchecked: {num_runs} of {num_runs} runs, stored by an earlier release"
    assert record.protocol["checksums"] == expected
    assert record.trials == load(finished).trials
    storage = Storage(f"sqlite:///{file}", create=True)
    storage.note("toy", "continued")
    _, trial_id = storage.begin(CONFIG, PLAN)
    storage.report(trial_id, 1, 0.5)
    again = load(file)
    assert again.protocol["checksums"] == expected.replace(f"of {num_runs}", f"of {num_runs + 1}")
    assert again.notes[-1] == "continued"


@pytest.fixture
def storage(storage_url):
    storage = Storage(storage_url, create=True)
    storage.create(CONFIG, study_facts())
    return storage


@pytest.mark.parametrize(
    ("table", "assignment", "where"),
    [
        (USER, "value_json = '\"2\"'", "key = 'seed'"),
        ("trial_params", "param_value = 0.02", "true"),
        (SYSTEM, "value_json = replace(value_json, '0.5', '0.6')", "key = 'bakeoff:paused'"),
        (SYSTEM, "key = 'bakeoff:pause'", "key = 'bakeoff:paused'"),
        (SYSTEM, "value_json = replace(value_json, ': 2', ': 1')", "key = 'bakeoff:losses'"),
        (SYSTEM, "value_json = replace(value_json, ': 1', ': 2')", "key = 'bakeoff:exempt'"),
    ],
)
def test_a_changed_row_of_a_run_that_has_not_ended_is_refused(
    storage, tmp_path, table, assignment, where
):
    _, trial_id = storage.begin(CONFIG, PLAN)
    storage.report(trial_id, 1, 0.5)
    storage.count_attempt(trial_id, 2, Losses(1, 1))
    storage.exempt(trial_id, 1)
    storage.pause(trial_id, HISTORY)
    ((_, run),) = storage.load_runs("toy", "search")
    assert (run.attempts, run.losses, run.spared_at, run.history) == (2, Losses(1, 1), 1, HISTORY)
    change(tmp_path / "studies.db", table, assignment, where)
    with pytest.raises(StorageError, match="study 'toy', search run 0: "):
        storage.load_runs("toy", "search")


def begin(storage: Storage):
    """Begin a run; its storage id, and its record as it will end."""
    _, trial_id = storage.begin(CONFIG, PLAN)
    ((_, run),) = storage.load_runs("toy", "search")
    return trial_id, replace(run, outcome="complete", score=0.5, history=HISTORY)


def test_a_run_whose_begin_was_changed_is_not_given_a_valid_end(storage, tmp_path):
    trial_id, run = begin(storage)
    change(tmp_path / "studies.db", "trial_params", "param_value = 0.02", "true")
    with pytest.raises(StorageError, match="what it began with"):
        storage.finish(trial_id, run)


def test_a_driver_killed_before_a_run_ended_leaves_a_run_that_continues(storage):
    trial_id, run = begin(storage)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("bakeoff.storage.transaction._end", die)
        storage.finish(trial_id, run)
    ((_, again),) = storage.load_runs("toy", "search")
    assert again.outcome == "running"
    storage.finish(trial_id, run)
    ((_, ended),) = storage.load_runs("toy", "search")
    assert ended == run


def test_attributes_that_another_program_adds_to_a_running_trial_do_no_harm(storage):
    trial_id, run = begin(storage)
    storage.optuna_storage.set_trial_user_attr(trial_id, "seen by", "a person")
    storage.optuna_storage.set_trial_system_attr(trial_id, "other:key", 1)
    storage.finish(trial_id, run)
    assert storage.load_record("toy").protocol["checksums"].startswith("every")
