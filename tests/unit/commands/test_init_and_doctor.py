import json
from pathlib import Path

import pytest

from bakeoff.commands.verbs.doctor import doctor
from bakeoff.commands.verbs.init import init
from bakeoff.errors import UsageError
from bakeoff.studyfile import load_study_file, study_schema


def test_the_starter_is_a_valid_study_and_never_replaces_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    init(file)
    assert load_study_file(file).name == "my-study"
    file.write_text("# mine\n")
    with pytest.raises(UsageError, match=r"mine\.toml exists; choose another name"):
        init(file)
    assert file.read_text() == "# mine\n"


def test_the_schema_that_the_starter_names_is_next_to_it_and_is_kept_up_to_date(
    tmp_path: Path,
) -> None:
    init(tmp_path / "one.toml")
    first_line = (tmp_path / "one.toml").read_text().splitlines()[0]
    schema = tmp_path / first_line.removeprefix("#:schema ")
    assert json.loads(schema.read_text()) == json.loads(study_schema())
    schema.write_text('{"$id": "urn:bakeoff:study-file"}')
    init(tmp_path / "two.toml")
    assert json.loads(schema.read_text()) == json.loads(study_schema())


def test_another_file_with_the_name_of_the_schema_is_never_replaced(tmp_path: Path) -> None:
    schema = tmp_path / "study.schema.json"
    schema.write_text("{}")
    with pytest.raises(UsageError, match="exists and is not a schema of bakeoff"):
        init(tmp_path / "study.toml")
    assert (schema.read_text(), list(tmp_path.iterdir())) == ("{}", [schema])


def test_a_folder_is_not_a_file_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="exists; choose another name"):
        init(Path())


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"study\.toml cannot be written \(No such file"):
        init(tmp_path / "missing" / "study.toml")


def test_the_doctor_reports_a_storage_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "studies.db").write_text("notes")
    doctor(output=tmp_path, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["storage"].endswith("studies.db is not a SQLite database; choose another file")
    assert facts["data: digits"] == "1,438 training, 359 test samples"
