"""The documentation matches the program."""

import csv
import importlib.util
import re
import shlex
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from bakeoff.commands.cli import load_verb, verb_files
from bakeoff.components.models import MODELS
from bakeoff.data.dataset_table import DATASETS
from bakeoff.handbook.links import heading_slug
from bakeoff.records import TIMED
from bakeoff.studyfile import load_study_file, resolve_study
from bakeoff.studyfile.schema import StudyFile
from bakeoff.studyfile.suite_file import load_suite

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAP = ROOT / "src" / "bakeoff" / "README.md"
DOCUMENTS = sorted(
    {
        *ROOT.glob("*.md"),
        *ROOT.glob("studies/*.md"),
        *ROOT.glob(".github/*.md"),
        *ROOT.glob("src/**/*.md"),
    }
)
DOCS = MAP.parent / "docs"
DECISIONS = sorted(MAP.parent.glob("docs/decisions/[!R]*.md"))
SUITES = [
    file for file in (ROOT / "studies").glob("**/*.toml") if "\n[suite]\n" in file.read_text()
]
STUDIES = sorted({*(ROOT / "studies").glob("**/*.toml")} - {*SUITES})
VERBS = sorted(verb_files())


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


@pytest.mark.parametrize("file", regenerate.PARTS, ids=lambda file: file.stem)
def test_the_generated_parts_of_a_document_are_up_to_date(file):
    assert file.read_text() == regenerate.documents()[file]


def test_every_key_of_a_study_file_is_described():
    keys = regenerate.generated_parts()["keys"]
    for section in StudyFile.model_fields:
        assert f"## [{section}]" in keys
    assert "| `trials_per_arm` | an integer from 1 up to 1,000,000 |" in keys
    assert "| `dropout` |" not in keys  # of a model, not of the file


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself_with_an_example(name):
    assert f"Example: study {name}" in (load_verb(name).help or "")


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_that_is_shipped_is_valid(file, monkeypatch):
    monkeypatch.chdir(file.parent)  # where a loop of its own is
    assert load_study_file(file).name == file.stem


@pytest.mark.parametrize("file", SUITES, ids=lambda file: file.stem)
def test_every_suite_that_is_shipped_is_valid(file):
    suite = load_suite(file)
    assert suite.name == file.stem
    timed = {name for rule in suite.rules if rule.measure in TIMED for name in rule.workloads}
    assert {one.name for one in suite.workloads} == {one.name for one in suite.studied} | timed


SHIPPED = [one.name for one in DATASETS if not one.is_downloaded]


@pytest.mark.parametrize("name", [*SHIPPED, *MODELS.names])
def test_every_data_set_and_model_is_used_by_a_study_that_is_shipped(name):
    assert any(f'"{name}"' in file.read_text() for file in STUDIES)


def test_the_study_file_in_the_guide_is_valid():
    guide = (DOCS / "guides" / "study-files.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert resolve_study(tomllib.loads(block)).name == "digits"


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 220


def test_the_readme_has_exactly_two_set_up_commands():
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("study run studies/digits.toml")
    assert "pytest" in commands[1]


def commands_in(document: Path):
    """Each line of a block of code that calls the command, without its remark."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    for block in (code for language, code in blocks if not language):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (re.sub(r"\s+#.*", "", one) for one in lines if one.startswith("study "))


def test_the_readme_shows_commands():
    assert len(list(commands_in(ROOT / "README.md"))) >= 5


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_command_in_a_document_exists_with_its_options(file):
    for line in commands_in(file):
        _, verb, *words = shlex.split(line)
        if verb.startswith("-"):
            continue
        known = {option for one in load_verb(verb).params for option in one.opts}
        if verb == "cluster":  # it passes on what `study run` knows
            known |= {option for one in load_verb("run").params for option in one.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_workflow_of_the_gate_calls_commands_that_exist():
    guide = (MAP.parent / "docs" / "guides" / "gate.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    steps = yaml.safe_load(block)["jobs"]["gate"]["steps"]
    called = [step["run"] for step in steps if step.get("run", "").startswith("study ")]
    shown = re.findall(r"^study .*?(?=  #)", guide, re.MULTILINE)
    assert len(called) == len(shown) == 2
    known = {option for one in load_verb("gate").params for option in one.opts}
    for line in (*called, *shown):
        assert "|" not in line  # a pipe would lose the exit code
        _, verb, *words = shlex.split(line)
        assert verb == "gate"
        assert {word for word in words if word.startswith("--")} <= known


def test_the_gates_that_were_measured_are_those_that_the_documents_name():
    with (ROOT / "results" / "published" / "gate.csv").open(newline="") as file:
        gates = list(csv.DictReader(file))
    worse = Counter(
        (row["change"], float(row["accepted_loss"]) > 1e-3)
        for row in gates
        if row["decision"] == "worse"
    )
    caught, flagged = worse["regression", True], worse["harmless", True]
    assert sum(row["change"] == "regression" for row in gates) == 80  # 40 at each accepted loss
    assert caught >= 36
    assert flagged <= 2
    assert worse["harmless", False] == 0
    documents = MAP.parent / "docs"
    for name in ("guides/gate.md", "decisions/statistics.md"):
        text = " ".join((documents / name).read_text().split())
        assert f"worse in {caught} of 40 gates" in text
        assert f"in {flagged} of 40" in text


@pytest.mark.parametrize("name", ["digits", "fashion-cnn"])
def test_a_published_report_belongs_to_the_study_file_that_is_shipped(name):
    """It was made with the settings that the study file has today."""
    published = ROOT / "results" / "published" / name / "study.toml"
    assert load_study_file(published) == load_study_file(ROOT / "studies" / f"{name}.toml")


def test_each_file_is_listed_once_in_the_map_of_the_files():
    _, body = MAP.read_text().split("## The files")
    rows = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
    names = re.findall(r"`([^`]+)`", " ".join(rows))
    known = {p.name + "/" * p.is_dir() for p in MAP.parent.iterdir() if p.name[:2] != "__"}
    assert sorted(names) == sorted(known - {"README.md", "py.typed"})


def test_the_map_is_short():
    assert len(MAP.read_text().splitlines()) < 150


def test_a_decision_has_a_name_of_its_own_and_a_text():
    headings = [
        name
        for file in DECISIONS
        for name in re.findall(r"^## ([a-z0-9-]+)\n\S", file.read_text(), re.MULTILINE)
    ]
    assert len(headings) == sum(file.read_text().count("\n## ") for file in DECISIONS) > 50
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(file):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", file.read_text()):
        path, _, heading = link.partition("#")
        target = file.parent / path if path else file
        assert target.exists(), link
        if heading and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in map(heading_slug, headings), link


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(file):
    named = re.findall(r"`((?:src|tests|studies)/[\w./-]+)`", file.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]
