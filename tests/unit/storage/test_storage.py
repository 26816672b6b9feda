import contextlib
import fcntl
import math
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import optuna
import pytest
import sqlalchemy

from bakeoff.errors import EmptyStorageError, StorageError, UsageError
from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from bakeoff.storage import Storage
from bakeoff.storage.database import choose_storage_url, filesystem_type, parse_storage_url, shown
from bakeoff.storage.trials import packed, unpacked
from lost_connections import LOSSES, lose_connections
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


def test_settings_and_facts_are_loaded_as_stored(storage, config):
    assert storage.load_config("toy") == config
    assert storage.load_facts("toy") == study_facts()
    assert storage.names() == ("toy",)


def test_confusion_is_stored_for_the_latest_epoch_that_has_one(storage, config):
    matrices = (((1, 2), (3, 4)), ((2, 1), (3, 4)), ())
    history = tuple(
        EpochResult(epoch=epoch, metrics={"accuracy": 0.5}, confusion=confusion)
        for epoch, confusion in enumerate(matrices, 1)
    )
    number, trial_id = storage.begin(config, PLAN)
    storage.finish(trial_id, record_of(number, history=history))
    [(_, loaded)] = storage.load_runs("toy", "search")
    assert [result.confusion for result in loaded.history] == [(), matrices[1], ()]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"outcome": "pruned", "score": 0.5, "stop_reason": "behind its cohort at epoch 2"},
        {"outcome": "diverged", "score": 0.1},
        {"outcome": "failed", "score": None, "history": (), "stop_reason": "ValueError: no"},
        {"outcome": "infeasible", "score": None, "attempts": 3},
        {"audited": True, "decision_epochs": (2, 3)},
        {"purpose": "confirm", "configuration": 4, "phase": "user",
         "test_metrics": {"accuracy": 0.7, "loss": math.nan}},
        {"purpose": "default", "phase": "default", "repeat": 3, "test_metrics": {"accuracy": 0.5},
         "test_without": (0.5, 0.25, math.nan, -math.inf)},
        {"history": (EpochResult(epoch=1, metrics={"accuracy": math.nan, "loss": math.inf},
                                 train_loss=math.nan, status="diverged"),)},
    ],
)  # fmt: skip
def test_a_run_is_loaded_as_stored(storage, config, changes):
    record = record_of(0, **changes)
    plan = replace(
        PLAN, purpose=record.purpose, configuration=record.configuration, phase=record.phase,
        audited=record.audited, decision_epochs=record.decision_epochs, repeat=record.repeat,
    )  # fmt: skip
    number, trial_id = storage.begin(config, plan)
    storage.finish(trial_id, record)
    ((_, loaded),) = storage.load_runs("toy", record.purpose)
    assert number == 0
    assert same(loaded, record)


def test_two_hundred_scores_without_groups_take_about_a_kilobyte():
    scores = [0.9 + math.sin(one) / 1000 for one in range(200)]
    assert unpacked(packed(scores)) == pytest.approx(scores, abs=1e-7)
    assert len(packed(scores)) < 1200
    assert unpacked("") == ()


def test_the_runs_of_one_repeat_are_loaded_alone(storage, config):
    for repeat in (0, 1, 1):
        storage.begin(config, replace(PLAN, repeat=repeat))
    assert [record.number for _, record in storage.load_runs("toy", "search", 1)] == [1, 2]
    assert len(storage.load_runs("toy", "search")) == 3


def test_a_running_trial_has_its_reported_values(storage, config):
    _, trial_id = storage.begin(config, PLAN)
    storage.report(trial_id, 1, 0.5)
    storage.report(trial_id, 2, 0.6)
    ((_, loaded),) = storage.load_runs("toy", "search")
    assert loaded.outcome == "running"
    assert loaded.values("accuracy") == (0.5, 0.6)
    assert loaded.params == PLAN.params


def test_confirmation_runs_are_stored_and_numbered_separately(storage, config):
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


def test_a_study_of_another_program_is_not_changed(storage_url):
    optuna.create_study(study_name="theirs", storage=storage_url)
    storage = Storage(storage_url, create=True)
    assert storage.names() == ()
    with pytest.raises(StorageError, match=r"not made by bakeoff.* --study theirs --arm"):
        storage.has("theirs")


def test_the_error_for_an_unknown_study_names_the_nearest_one(storage):
    with pytest.raises(UsageError, match="unknown study 'tory'; did you mean 'toy'"):
        storage.load_config("tory")


def test_deleting_a_study_removes_its_confirmation_runs(storage):
    storage.delete("toy")
    assert storage.names() == ()
    assert storage.optuna_storage.get_all_studies() == []


class Killed(BaseException):
    """Simulates the end of the process."""


@pytest.mark.parametrize("num_writes", range(7))
def test_a_study_that_was_killed_during_creation_is_created_again(storage_url, config, num_writes):
    """`create` makes two studies and sets two attributes of each: six writes."""
    storage = Storage(storage_url, create=True)
    rdb, left = storage.optuna_storage, [num_writes]

    def dies_after(write):
        def counted(*arguments):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return write(*arguments)

        return counted

    rdb.create_new_study = dies_after(rdb.create_new_study)
    rdb.set_study_system_attr = dies_after(rdb.set_study_system_attr)
    with contextlib.suppress(Killed):
        storage.create(config, study_facts())
    again = Storage(storage_url, create=True)
    again.remove_half_made("toy")
    if not again.has("toy"):
        again.create(config, study_facts())
    assert again.load_config("toy") == config
    assert len(again.optuna_storage.get_all_studies()) == 2


@pytest.mark.parametrize("loss", LOSSES)
def test_a_write_whose_connection_is_lost_is_stored_exactly_once(storage, config, loss):
    storage.begin(config, PLAN)  # which counts the trials
    losses = lose_connections(storage)
    losses.append(loss)
    number, trial_id = storage.begin(config, PLAN)
    for epoch in (1, 2):
        losses.append(loss)
        storage.report(trial_id, epoch, 0.5)
    losses.append(loss)
    storage.finish(trial_id, record_of(1))
    assert losses == []
    assert number == 1
    runs = storage.load_runs("toy", "search")
    assert [record.outcome for _, record in runs] == ["running", "complete"]
    [_, trial] = storage.optuna_storage.get_all_trials(storage.connection.study_id("toy"))
    assert trial.intermediate_values == {1: 0.5, 2: 0.5}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_written_together_is_stored_together_exactly_once(storage, config, loss):
    _, ends = storage.begin(config, PLAN)
    losses = lose_connections(storage)
    with storage.together():
        losses.append(loss)
        storage.report(ends, 2, 0.75)
        storage.finish(ends, record_of(0))
        begun = [storage.begin(config, PLAN) for _ in range(3)]
        storage.report(begun[1][1], 1, 0.25)
        storage.pause(begun[2][1], record_of(2).history)
    storage.report(begun[1][1], 2, 0.5)
    storage.unpause(begun[2][1])
    assert [number for number, _ in begun] == [1, 2, 3]
    runs = [record for _, record in storage.load_runs("toy", "search")]
    assert [run.outcome for run in runs] == ["complete", "running", "running", "running"]
    assert [run.score for run in runs] == [0.75, None, None, None]
    assert [run.values("accuracy") for run in runs] == [(0.5, 0.75), (), (0.25, 0.5), ()]
    assert not any(run.is_paused for run in runs)
    trials = storage.optuna_storage.get_all_trials(storage.connection.study_id("toy"))
    assert [trial.intermediate_values for trial in trials] == [{2: 0.75}, {}, {1: 0.25, 2: 0.5}, {}]


def test_of_what_is_written_together_nothing_is_stored_if_an_error_ends_it(storage, config):
    _, trial_id = storage.begin(config, PLAN)
    with contextlib.suppress(ZeroDivisionError), storage.together():
        storage.report(trial_id, 1, 0.5)
        storage.begin(config, PLAN)
        raise ZeroDivisionError
    number, _ = storage.begin(config, PLAN)
    assert number == 1
    assert [record.history for _, record in storage.load_runs("toy", "search")] == [(), ()]


def test_optuna_reads_the_trials_that_are_stored_as_it_would_have_stored_them(storage, config):
    """The rows are written without Optuna, so each of them is compared with what Optuna writes."""
    started = datetime.now()
    _, trial_id = storage.begin(config, PLAN)
    storage.report(trial_id, 1, 0.5)
    storage.finish(trial_id, record_of(0))
    [trial] = storage.optuna_storage.get_all_trials(storage.connection.study_id("toy"))
    other = optuna.create_study(storage=storage.optuna_storage, direction="maximize")
    other.add_trial(trial)
    [copy] = other.get_trials()
    copy_id = storage.optuna_storage.get_trial_id_from_study_id_trial_number(
        storage.connection.study_id(other.study_name), 0
    )
    assert copy.datetime_start == trial.datetime_start
    assert copy.datetime_complete == trial.datetime_complete
    assert started <= trial.datetime_start <= trial.datetime_complete <= datetime.now()
    rows = [trial_rows(storage.optuna_storage.engine, one) for one in (trial_id, copy_id)]
    assert rows[0] == rows[1]
    assert len(rows[0]["trial_params"]) == 5  # weight decay 0 is outside of its range
    assert all(rows[0].values())


def trial_rows(engine, trial_id):
    """All rows of a trial, by table, without their ids."""
    tables = (
        "trials", "trial_params", "trial_values", "trial_intermediate_values",
        "trial_user_attributes", "trial_system_attributes",
    )  # fmt: skip
    found = {}
    with engine.begin() as connection:
        for table in tables:
            query = sqlalchemy.text(f"SELECT * FROM {table} WHERE trial_id = :id")  # noqa: S608
            rows = connection.execute(query, {"id": trial_id}).mappings()
            found[table] = sorted(
                str({key: value for key, value in row.items() if not key.endswith("_id")})
                for row in rows
            )
    return found


def test_a_write_waits_for_an_unreachable_storage_and_says_why(storage, config):
    reasons = []
    storage.connection.on_wait = reasons.append
    lose_connections(storage).append("lost answer")
    storage.begin(config, PLAN)
    assert reasons == ["the storage does not answer (connection lost); waiting for it"]


def test_a_run_whose_number_another_program_took_is_not_stored(storage, config, storage_url):
    storage.begin(config, PLAN)
    optuna.load_study(study_name="toy", storage=storage_url).enqueue_trial({"x": 1})
    with pytest.raises(StorageError, match="another program deleted or changed"):
        storage.begin(config, PLAN)
    assert len(storage.optuna_storage.get_all_trials(storage.connection.study_id("toy"))) == 2


def test_writing_to_a_study_that_another_program_deleted_is_an_error(storage, config, storage_url):
    _, trial_id = storage.begin(config, PLAN)
    optuna.delete_study(study_name="toy", storage=storage_url)
    with pytest.raises(StorageError, match="another program deleted or changed"):
        storage.report(trial_id, 1, 0.5)


def test_trials_that_another_program_added_are_ignored(storage, config, storage_url):
    storage.begin(config, PLAN)
    optuna.load_study(study_name="toy", storage=storage_url).enqueue_trial({"x": 1})
    assert len(storage.load_runs("toy", "search")) == 1


@pytest.mark.parametrize("content", ["tables of others", "nothing"])
def test_reading_a_file_without_studies_writes_nothing(tmp_path, content):
    file = tmp_path / "app.db"
    connection = sqlite3.connect(file)
    if content != "nothing":
        connection.execute("CREATE TABLE notes (text)")
    connection.commit()
    connection.close()
    file.touch()
    before = file.read_bytes()
    with pytest.raises(EmptyStorageError, match="holds no studies"):
        Storage(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_database_of_another_program_is_refused(tmp_path):
    file = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE notes (text)")
        connection.commit()
    with pytest.raises(StorageError, match="belongs to another program"):
        Storage(f"sqlite:///{file}", create=True)


@pytest.mark.parametrize("num_starts", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_several_processes_may_create_the_same_storage_at_once(storage_url, num_starts):
    code = "import sys; from bakeoff.storage import Storage; Storage(sys.argv[1], create=True)"
    starts = [
        subprocess.Popen([sys.executable, "-c", code, storage_url], stderr=subprocess.PIPE)
        for _ in range(num_starts)
    ]
    errors = [start.communicate()[1].decode() for start in starts]
    assert errors == [""] * num_starts


READER = """
import sys
from bakeoff.storage import Storage
storage, count = Storage(sys.argv[1]), 0
print("reads", flush=True)
while len(record := storage.load_record("toy").trials) < int(sys.argv[2]):
    count += 1
print(count)
"""


def test_concurrent_readers_neither_fail_nor_delay_the_driver(storage, config, storage_url):
    reasons, num_trials = [], 60
    storage.connection.on_wait = reasons.append
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, storage_url, str(num_trials)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for reader in readers:
        assert reader.stdout.readline() == "reads\n"
    for _ in range(num_trials):
        number, trial_id = storage.begin(config, PLAN)
        for epoch in (1, 2, 3):
            storage.report(trial_id, epoch, 0.5)
        storage.finish(trial_id, record_of(number))
    outputs = [reader.communicate(timeout=60) for reader in readers]
    assert [err for _, err in outputs] == ["", ""]
    assert all(int(out) > 0 for out, _ in outputs)
    assert reasons == []


def test_readers_wait_until_the_tables_are_created(storage_url, tmp_path):
    """A reader that saw only some of the tables would create the rest, and stop the writer."""
    Storage(storage_url, create=True)
    code = "import sys; from bakeoff.storage import Storage; Storage(sys.argv[1]); print('read')"
    with (tmp_path / ".studies.db.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reader = subprocess.Popen([sys.executable, "-c", code, storage_url], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            reader.wait(timeout=3)
    assert reader.communicate(timeout=30)[0] == b"read\n"


def test_writers_exclude_each_other(storage, config, tmp_path):
    """A transaction of the storage holds the write lock from its beginning."""
    with storage.optuna_storage.engine.begin():
        other = sqlite3.connect(tmp_path / "studies.db", timeout=0.05)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


LEAVER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM studies").fetchall()
connection.close()  # the last one that has locks removes the log
"""


def test_opening_a_storage_releases_no_lock_of_this_process(storage, config, storage_url, tmp_path):
    """Closing any other file descriptor of the database would release all of them."""
    storage.begin(config, PLAN)
    Storage(storage_url)
    file = tmp_path / "studies.db"
    subprocess.run([sys.executable, "-c", LEAVER, str(file)], check=True)
    assert file.with_name("studies.db-wal").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "cannot understand"),
        ("nonsense", "cannot understand"),
        ("sqlit:///x.db", "unknown scheme 'sqlit'; did you mean 'sqlite'"),
        ("redis://localhost", "unknown scheme 'redis'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://u:secret@host:port/db", "cannot understand the URL"),
    ],
)
def test_a_wrong_storage_url_is_refused_in_one_line(url, message):
    with pytest.raises(UsageError, match=message):
        parse_storage_url(url)


def test_a_password_in_a_wrong_url_is_not_shown():
    with pytest.raises(UsageError) as caught:
        parse_storage_url("postgresql//user:canary@host")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://user:canary@host/db", "postgresql://host/db?user=u&password=canary"],
)
def test_a_password_is_never_shown(url):
    assert "canary" not in shown(parse_storage_url(url))


@pytest.mark.parametrize("folder", ["plain", "with space", "50%20off", "a?b", "sharp#"])
def test_the_default_storage_is_in_the_output_folder(tmp_path, folder):
    url = parse_storage_url(choose_storage_url(None, tmp_path / folder))
    assert url.database == str(tmp_path / folder / "studies.db")


def test_postgresql_means_psycopg_3():
    assert parse_storage_url("postgresql://u@h/d").drivername == "postgresql+psycopg"


def test_a_file_that_is_not_a_database_is_refused_and_not_changed(tmp_path):
    file = tmp_path / "studies.db"
    file.write_bytes(b"not a database, but long enough to be looked at" * 10)
    before = file.read_bytes()
    with pytest.raises(StorageError, match="is not a SQLite database"):
        Storage(f"sqlite:///{file}", create=True)
    assert file.read_bytes() == before


@pytest.mark.parametrize(("folder", "kind"), [("/data/deep/er", "nfs4"), ("/other", "ext4")])
def test_the_file_system_of_a_folder_is_the_innermost_mount(tmp_path, folder, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/a / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n")
    assert filesystem_type(Path(folder), mounts) == kind
