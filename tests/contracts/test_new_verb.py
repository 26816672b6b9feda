"""A new verb needs one new file: everything else finds it there."""

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bakeoff.commands import cli, verbs

ROOT = Path(__file__).parents[2]
VERB = '''
from typing import Annotated

import typer

from bakeoff.commands import options


def say_hello(
    name: options.StudyName,
    loud: Annotated[bool, typer.Option("--loud", help="Use capitals.")] = False,
) -> None:
    """Greet a study by its name.

    Example: study say-hello digits
    """
    text = f"hello {name}"
    typer.echo(text.upper() if loud else text)
'''


@pytest.fixture(autouse=True)
def _new_verb(tmp_path, monkeypatch):
    (tmp_path / "say_hello.py").write_text(VERB)
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])


@pytest.fixture
def regenerate():
    file = ROOT / "tests" / "golden" / "regenerate.py"
    spec = importlib.util.spec_from_file_location("regenerate", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments):
    return CliRunner().invoke(cli.app, arguments)


def test_the_list_of_verbs_names_the_new_one_and_its_help():
    lines = [line.split() for line in run("--help").stdout.splitlines()]
    assert ["say-hello", "Greet", "a", "study", "by", "its", "name."] in lines


def test_its_own_help_shows_its_arguments_and_its_example():
    shown = run("say-hello", "--help").stdout
    assert "Example: study say-hello digits" in shown
    assert "Name of a stored study." in shown
    assert "--loud" in shown


def test_it_runs():
    assert run("say-hello", "digits", "--loud").stdout == "HELLO DIGITS\n"


def test_a_misspelling_is_answered_with_it():
    assert "Did you mean 'say-hello'?" in run("say-helo").stderr


def test_it_is_in_the_list_of_all_options_and_in_the_reference(regenerate):
    assert "say-hello: name --loud\n" in regenerate.command_options()
    parts = regenerate.generated_parts()
    row = "| [`study say-hello`](#study-say-hello) | Greet a study by its name. |"
    assert row in parts["verbs"]
    _, section = parts["commands"].split("## study say-hello\n")
    assert "study say-hello digits\n" in section
    assert "| `--loud` |" in section


BROKEN = [
    "def broken(:",
    'import no_such_module\n\n\ndef broken() -> None:\n    """Break."""\n',
]


@pytest.mark.parametrize("text", BROKEN, ids=["syntax", "import"])
def test_a_verb_that_cannot_be_loaded_stops_no_other_verb(tmp_path, capsys, text):
    (tmp_path / "broken.py").write_text(text)
    assert run("say-hello", "digits").stdout == "hello digits\n"
    with pytest.raises(SystemExit):
        cli.main(["broken"])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("study: verb 'broken' cannot be loaded from")


def test_a_file_without_a_function_of_its_name_is_not_a_verb(tmp_path):
    (tmp_path / "shared.py").write_text("LIMIT = 3\n")
    assert "shared" not in cli.verb_files()


def test_a_later_folder_does_not_replace_a_verb(tmp_path):
    (tmp_path / "run.py").write_text('def run() -> None:\n    """Replace."""\n')
    assert cli.verb_files()["run"].parent != tmp_path
