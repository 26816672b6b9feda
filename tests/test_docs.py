"""The documentation matches the program."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from bakeoff.commands.cli import app, load_verb
from bakeoff.components.models import MODELS
from bakeoff.data.datasets import DATASETS
from bakeoff.studyfile import load_study_file, resolve_study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DECISIONS = ROOT / "src" / "bakeoff" / "README.md"
STUDIES = sorted((ROOT / "studies").glob("*.toml"))
COMMANDS = typer.main.get_command(app).commands


def _load_regenerate():
    spec = importlib.util.spec_from_file_location(
        "regenerate", ROOT / "tests" / "golden" / "regenerate.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


regenerate = _load_regenerate()


def test_the_command_line_has_exactly_the_options_of_the_golden_list():
    assert regenerate.OPTIONS_FILE.read_text() == regenerate.command_options()


def test_the_generated_parts_of_the_readme_are_up_to_date():
    assert regenerate.with_parts(README) == README


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_verb_explains_itself_with_an_example(name):
    assert f"Example: study {name}" in COMMANDS[name].help


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_that_is_shipped_is_valid(file):
    assert load_study_file(file).name == file.stem


@pytest.mark.parametrize("name", [*DATASETS.names, *MODELS.names])
def test_every_data_set_and_model_is_used_by_a_study_that_is_shipped(name):
    assert any(f'"{name}"' in file.read_text() for file in STUDIES)


def test_the_study_file_in_the_readme_is_valid():
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert resolve_study(tomllib.loads(block)).name == "digits"


def test_the_readme_has_exactly_two_set_up_commands():
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("study run studies/digits.toml")
    assert "pytest" in commands[1]


def test_every_command_in_the_readme_exists_with_its_options():
    lines = re.findall(r"^study (.*?)(?:  #.*)?$", README, re.MULTILINE)
    assert lines
    for line in lines:
        verb, *words = shlex.split(line)
        known = {option for one in load_verb(verb).params for option in one.opts}
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", ["README.md", "src/bakeoff/README.md", ".github/CONTRIBUTING.md"])
def test_every_relative_link_and_file_named_exists(name):
    text = (ROOT / name).read_text()
    folder = (ROOT / name).parent
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert all((folder / link).exists() for link in links), links


def test_the_architecture_map_names_every_module():
    text = (ROOT / "src/bakeoff/README.md").read_text()
    modules = [
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "src" / "bakeoff").iterdir()
        if (path.is_dir() or path.suffix == ".py") and not path.name.startswith("__")
    ]
    assert not [name for name in modules if f"`{name}`" not in text]


@pytest.mark.parametrize("name", ["digits", "fashion-cnn"])
def test_a_published_report_belongs_to_the_study_file_that_is_shipped(name):
    """It was made with the settings that the study file has today."""
    published = ROOT / "results" / "published" / name / "study.toml"
    assert load_study_file(published) == load_study_file(ROOT / "studies" / f"{name}.toml")


def test_decisions_are_numbered_without_gaps_and_each_occurs_once():
    found = re.findall(r"^(\d+)\. \*\*(.*?)\*\*", DECISIONS.read_text(), re.DOTALL | re.MULTILINE)
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1))
    assert len({title for _, title in found}) == len(found) > 50


def test_each_file_is_listed_once_in_the_map_of_the_files():
    _, body = DECISIONS.read_text().split("## The files")
    rows = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
    names = re.findall(r"`([^`]+)`", " ".join(rows))
    known = {p.name + "/" * p.is_dir() for p in DECISIONS.parent.iterdir() if p.name[:2] != "__"}
    assert sorted(names) == sorted(known - {"README.md", "py.typed"})


def test_a_decision_that_is_named_by_number_is_the_one_that_is_meant():
    """A reference in another file does not change when the list is renumbered."""
    meant = {
        15: "The sampler is told an order, not values.",
        59: "A Parzen estimator of our own.",
    }
    titles = dict(re.findall(r"^(\d+)\. \*\*(.*?)\*\*", DECISIONS.read_text(), re.MULTILINE))
    named = {int(number) for number in re.findall(r"\bdecision (\d+)", README)}
    assert {number: titles[str(number)] for number in named} == meant
