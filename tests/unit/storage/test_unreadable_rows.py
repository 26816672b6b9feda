"""A row that does not hold what bakeoff stores is one line that names it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bakeoff.commands.cli import main
from bakeoff.errors import StorageError
from bakeoff.records import Losses, TrialPlan
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from driven_study import drive
from study_examples import SimulatedEngine, study_document

CONFIG = resolve_study(
    study_document(search={"trials_per_arm": 2, "pruner": "none"}, confirm={"seeds": 1})
)
ODD = (
    "x", "-1", "true", '"x"', "[[]]", "[" * 50_000, "9" * 5_000, '{"history": [{"epoch": 1}]}',
    b"\xff\xfe",
)  # fmt: skip
"""No JSON, or JSON of another shape."""
EARLIER_RELEASE = (
    "DELETE FROM trial_system_attributes WHERE key LIKE 'bakeoff:check%'",
    "DELETE FROM study_system_attributes WHERE key = 'bakeoff:state'",
    """UPDATE study_system_attributes SET value_json =
    json_remove(json_set(value_json, '$.format', 1), '$.check') WHERE key = 'bakeoff:study'""",
)
"""Makes the file that a release without checksums would have written."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study with one run that has not ended."""
    folder = tmp_path_factory.mktemp("finished")
    url = f"sqlite:///{folder / 'studies.db'}"
    drive(CONFIG, SimulatedEngine(), url, folder)
    storage = Storage(url, create=True)
    plan = TrialPlan(
        arm="sgd", params={"optimizer": "sgd", "scheduler": "constant"}, seed=1, phase="default"
    )
    _, running = storage.begin(CONFIG, plan)
    storage.count_attempt(running, 2, Losses(1, 0))
    storage.exempt(running, 1)
    storage.note("toy", "a note")
    storage.optuna_storage.engine.dispose()
    with closing(sqlite3.connect(folder / "studies.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "studies.db"


@pytest.fixture
def file(finished, tmp_path):
    """A copy without checksums, which would find most changes before anything is read."""
    file = Path(shutil.copy(finished, tmp_path / "studies.db"))
    with closing(sqlite3.connect(file)) as connection:
        for statement in EARLIER_RELEASE:
            connection.execute(statement)
        connection.commit()
    return file


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("study_system_attributes", "bakeoff:study"),
        ("study_user_attributes", "notes"),
        ("trial_user_attributes", "arm"),
        ("trial_user_attributes", "seed"),
        ("trial_user_attributes", "attempts"),
        ("trial_system_attributes", "bakeoff:plan"),
        ("trial_system_attributes", "bakeoff:result"),
        ("trial_system_attributes", "bakeoff:losses"),
        ("trial_system_attributes", "bakeoff:exempt"),
    ],
)
def test_a_row_of_another_shape_is_refused_in_one_line_that_names_the_study(file, table, key):
    url = f"sqlite:///{file}"
    whole = Storage(url).load_record("toy")
    refused = 0
    select = f"SELECT rowid, value_json FROM {table} WHERE key = ?"  # noqa: S608
    update = f"UPDATE {table} SET value_json = ? WHERE rowid = ?"  # noqa: S608
    with closing(sqlite3.connect(file)) as connection:
        before = connection.execute(select, (key,)).fetchall()
        for odd in ODD:
            connection.executemany(update, [(odd, row) for row, _ in before])
            connection.commit()
            try:
                record = Storage(url).load_record("toy")
            except StorageError as error:
                refused += 1
                assert str(error).startswith("study 'toy'")
                assert "\n" not in str(error)
            else:  # a shape that bakeoff stores too, or a row that it does not read
                assert len(record.trials) == len(whole.trials)
            connection.executemany(update, [(text, row) for row, text in before])
            connection.commit()
    assert repr(Storage(url).load_record("toy")) == repr(whole)  # NaN does not equal itself
    assert refused >= len(ODD) / 2


@pytest.mark.parametrize("verb", ["status", "report"])
def test_a_command_names_study_run_and_attribute(file, verb, capsys):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = 'x\x1b' WHERE key = 'arm' AND trial_id ="
            " (SELECT trial_id FROM trials WHERE study_id = 2 AND number = 1)"
        )
        connection.commit()
    with pytest.raises(SystemExit) as caught:
        main([verb, "toy", "--output", str(file.parent)])
    assert caught.value.code == 5
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("study: study 'toy', search run 1: 'arm' is not what bakeoff stores")


def test_a_row_of_another_program_that_is_no_json_disturbs_nobody(file, capsys):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO studies (study_name) VALUES ('theirs')")
        connection.execute(
            "INSERT INTO study_system_attributes (study_id, key, value_json)"
            " SELECT study_id, 'their:key', 'x' FROM studies"
        )
        connection.commit()
    with pytest.raises(SystemExit) as caught:
        main(["list", "--output", str(file.parent)])
    assert caught.value.code == 0
    assert "studies of other programs: theirs" in capsys.readouterr().out
