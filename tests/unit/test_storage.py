import math
import sqlite3
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from bakeoff.errors import StorageError, UsageError
from bakeoff.records import EpochResult, TrialRecord
from bakeoff.search.arms import TrialPlan
from bakeoff.storage import Storage, filesystem_type, parse_storage_url
from study_examples import study_facts

PLAN = TrialPlan(
    arm="sgd",
    params={
        "optimizer": "sgd",
        "scheduler": "cosine",
        "sgd.learning_rate": 0.01,
        "sgd.momentum": 0.5,
        "sgd.weight_decay": 0.0,
        "cosine.warmup_fraction": 0.1,
    },
    seed=17,
    phase="random",
)


def record_of(number, **changes):
    record = TrialRecord(
        number=number,
        arm="sgd",
        params=PLAN.params,
        outcome="complete",
        score=0.75,
        seed=17,
        phase="random",
        history=(
            EpochResult(epoch=1, metrics={"accuracy": 0.5, "loss": 2.0}, train_seconds=0.25),
            EpochResult(epoch=2, metrics={"accuracy": 0.75, "loss": 1.0}, train_loss=0.5,
                        learning_rate=0.01, grad_norm=3.0, steps=7, status="finished"),
        ),
        epochs_planned=4,
    )  # fmt: skip
    return replace(record, **changes)


@pytest.fixture
def storage(storage_url, config):
    storage = Storage(storage_url, create=True)
    storage.create(config, study_facts())
    return storage


def same(left, right):
    """Equality where NaN equals NaN."""
    return repr(left) == repr(right)


def test_settings_and_facts_come_back_as_they_were_stored(storage, config):
    assert storage.load_config("toy") == config
    assert storage.load_facts("toy") == study_facts()
    assert storage.names() == ("toy",)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"outcome": "pruned", "score": 0.5, "stop_reason": "behind its cohort at epoch 2"},
        {"outcome": "diverged", "score": 0.1},
        {"outcome": "failed", "score": None, "history": (), "stop_reason": "ValueError: no"},
        {"outcome": "infeasible", "score": None, "attempts": 3},
        {"purpose": "confirm", "configuration": 4, "phase": "user",
         "test_metrics": {"accuracy": 0.7, "loss": math.nan}},
        {"history": (EpochResult(epoch=1, metrics={"accuracy": math.nan, "loss": math.inf},
                                 train_loss=math.nan, status="diverged"),)},
    ],
)  # fmt: skip
def test_a_run_comes_back_as_it_was_stored(storage, config, changes):
    record = record_of(0, **changes)
    plan = replace(
        PLAN, purpose=record.purpose, configuration=record.configuration, phase=record.phase
    )
    number, trial_id = storage.begin(config, plan)
    storage.finish(trial_id, record)
    ((_, loaded),) = storage.load_runs("toy", record.purpose)
    assert number == 0
    assert same(loaded, record)


def test_a_running_trial_is_known_by_what_was_reported(storage, config):
    _, trial_id = storage.begin(config, PLAN)
    storage.report(trial_id, 1, 0.5)
    storage.report(trial_id, 2, 0.6)
    ((_, loaded),) = storage.load_runs("toy", "search")
    assert loaded.outcome == "running"
    assert loaded.values("accuracy") == (0.5, 0.6)
    assert loaded.params == PLAN.params


def test_confirmation_runs_are_kept_apart_and_numbered_by_themselves(storage, config):
    storage.begin(config, PLAN)
    number, _ = storage.begin(config, replace(PLAN, purpose="confirm", configuration=0))
    assert number == 0
    assert len(storage.load_runs("toy", "search")) == 1
    assert len(storage.load_runs("toy", "confirm")) == 1


def test_the_stored_study_is_an_ordinary_optuna_study(storage, config, storage_url):
    _, trial_id = storage.begin(config, PLAN)
    storage.report(trial_id, 1, 0.5)
    storage.finish(trial_id, record_of(0))
    study = optuna.load_study(study_name="toy", storage=storage_url)
    assert study.best_value == 0.75
    assert study.best_params == {name: value for name, value in PLAN.params.items() if value != 0.0}
    assert study.trials[0].intermediate_values == {1: 0.5}
    assert study.trials[0].user_attrs["arm"] == "sgd"
    assert study.trials[0].user_attrs["epochs"] == 2


def test_opening_for_reading_creates_nothing(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        Storage(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_study_of_another_program_is_not_touched(storage_url):
    optuna.create_study(study_name="theirs", storage=storage_url)
    storage = Storage(storage_url, create=True)
    assert storage.names() == ()
    with pytest.raises(StorageError, match="not made by bakeoff"):
        storage.has("theirs")


def test_an_unknown_study_is_answered_with_the_nearest_name(storage):
    with pytest.raises(UsageError, match="unknown study 'tory'; did you mean 'toy'"):
        storage.load_config("tory")


def test_a_deleted_study_is_gone_with_its_confirmation_runs(storage):
    storage.delete("toy")
    assert storage.names() == ()
    assert storage.optuna_storage.get_all_studies() == []


def test_writers_take_turns(storage, config, tmp_path):
    """A transaction of the storage holds the write lock from its beginning."""
    with storage.optuna_storage.engine.begin():
        other = sqlite3.connect(tmp_path / "studies.db", timeout=0.05)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "cannot understand"),
        ("nonsense", "cannot understand"),
        ("sqlit:///x.db", "unknown scheme 'sqlit'; did you mean 'sqlite'"),
        ("redis://localhost", "unknown scheme 'redis'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_wrong_storage_url_is_refused_in_one_line(url, message):
    with pytest.raises(UsageError, match=message):
        parse_storage_url(url)


def test_a_password_in_a_wrong_url_is_not_shown():
    with pytest.raises(UsageError) as caught:
        parse_storage_url("postgresql//user:canary@host")
    assert "canary" not in str(caught.value)


def test_postgresql_means_psycopg_3():
    assert parse_storage_url("postgresql://u@h/d").drivername == "postgresql+psycopg"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "studies.db"
    file.write_bytes(b"not a database, but long enough to be looked at" * 10)
    before = file.read_bytes()
    with pytest.raises(StorageError, match="cannot be opened"):
        Storage(f"sqlite:///{file}", create=True)
    assert file.read_bytes() == before


@pytest.mark.parametrize(("folder", "kind"), [("/data/deep/er", "nfs4"), ("/other", "ext4")])
def test_the_file_system_of_a_folder_is_the_innermost_mount(tmp_path, folder, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/a / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n")
    assert filesystem_type(Path(folder), mounts) == kind
