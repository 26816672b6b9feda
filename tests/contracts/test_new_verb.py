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


def test_the_list_of_verbs_ends_with_the_new_one_and_its_help():
    assert run("--help").stdout.splitlines()[-1].split("  ")[1:] == [
        "say-hello",
        *[""] * 2,
        "Greet a study by its name.",
    ]


def test_its_own_help_shows_its_arguments_and_its_example():
    shown = run("say-hello", "--help").stdout
    assert "Example: study say-hello digits" in shown
    assert "Name of a stored study." in shown
    assert "--loud" in shown


def test_it_runs():
    assert run("say-hello", "digits", "--loud").stdout == "HELLO DIGITS\n"


def test_a_misspelling_is_answered_with_it():
    assert "Did you mean 'say-hello'?" in run("say-helo").stderr


def test_it_is_in_the_list_of_all_options_and_in_the_table_of_the_readme(regenerate):
    assert "say-hello: name --loud\n" in regenerate.command_options()
    assert (
        "| `study say-hello` | Greet a study by its name. |"
        in regenerate.generated_parts()["verbs"]
    )
