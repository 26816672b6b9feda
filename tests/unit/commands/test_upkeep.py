import json
from pathlib import Path

import pytest

from bakeoff.commands.upkeep import check_machine, write_starter
from bakeoff.errors import UsageError
from bakeoff.studyfile import load_study_file


def test_the_starter_is_a_valid_study_and_never_replaces_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    write_starter(file)
    assert load_study_file(file).name == "my-study"
    file.write_text("# mine\n")
    with pytest.raises(UsageError, match=r"mine\.toml exists; choose another name"):
        write_starter(file)
    assert file.read_text() == "# mine\n"


def test_what_is_wrong_with_the_storage_is_an_answer_of_the_doctor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "studies.db").write_text("notes")
    check_machine(output=tmp_path, storage_url=None, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["storage"].endswith("studies.db is not a database of SQLite; give another file")
    assert facts["data: digits"] == "1,438 training, 359 test samples"
