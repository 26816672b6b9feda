"""A database that is refused is left as it was, its journal mode and its folder included."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import tomli_w

from bakeoff.commands.cli import main
from study_examples import study_document


def of_another_program(file: Path, journal: str = "delete") -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("INSERT INTO notes VALUES ('mine')")
        connection.commit()


def in_wal_mode(file: Path) -> None:
    of_another_program(file, "wal")


def with_a_table_named_like_one_of_optuna(file: Path) -> None:
    of_another_program(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE version_info (version TEXT)")


def of_a_newer_optuna(file: Path) -> None:
    optuna.create_study(study_name="theirs", storage=f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
        connection.commit()


def of_an_older_optuna(file: Path) -> None:
    script = Path(__file__).parents[1] / "foreign" / "optuna_3_0.sql"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script.read_text())


def with_a_study_of_the_same_name(file: Path) -> None:
    optuna.create_study(study_name="toy", storage=f"sqlite:///{file}")


def of_a_newer_release(file: Path) -> None:
    script = Path(__file__).parents[2] / "golden" / "stored_studies_format_2.sql"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script.read_text())
    with closing(sqlite3.connect(file)) as connection:
        text = "SELECT value_json FROM study_system_attributes WHERE key = 'bakeoff:study'"
        content = json.loads(connection.execute(text).fetchall()[0][0])
        connection.execute(
            "UPDATE study_system_attributes SET value_json = ? WHERE key = 'bakeoff:study'",
            (json.dumps({**content, "format": 99}),),
        )
        connection.commit()


def traces(folder: Path) -> dict[str, str]:
    """The hash of every file by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_another_program, "belongs to another program"),
        (in_wal_mode, "belongs to another program"),
        (with_a_table_named_like_one_of_optuna, "belongs to another program"),
        (of_a_newer_optuna, "no longer compatible"),
        (of_an_older_optuna, "no longer compatible"),
        (with_a_study_of_the_same_name, "was not made by bakeoff"),
        (of_a_newer_release, "has format 99"),
    ],
)
def test_a_refused_run_leaves_no_trace_in_the_other_database(tmp_path, capsys, make, message):
    folder, output = tmp_path / "theirs", tmp_path / "results"
    folder.mkdir()
    make(folder / "app.db")
    before = traces(folder)
    study = tmp_path / "toy.toml"
    study.write_text(tomli_w.dumps(study_document()))
    url = f"sqlite:///{folder / 'app.db'}"
    with pytest.raises(SystemExit) as ended:
        main(["run", str(study), "--storage", url, "--output", str(output)])
    assert ended.value.code == 5
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert traces(folder) == before
    assert not output.exists()
