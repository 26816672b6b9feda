"""What a release says of itself: version, addresses, examples."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bakeoff.version import REPOSITORY, __version__

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["repository-code"] == REPOSITORY


def test_the_changes_begin_with_this_version():
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first[1] in {__version__, "Unreleased"}


def test_the_addresses_are_those_of_the_repository():
    assert PYPROJECT["project"]["urls"]["Source"] == REPOSITORY
    assert all(url.startswith(REPOSITORY) for url in PYPROJECT["project"]["urls"].values())


def test_the_readme_of_the_package_has_absolute_links_alone():
    text = README
    hook = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    owner = REPOSITORY.removeprefix("https://github.com/")
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    raw = f"https://raw.githubusercontent.com/{owner}/v$HFPR_VERSION/results/published/"
    assert images
    assert all(image.startswith(raw) for image in images)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all(link.startswith("https://") for link in links)
    inside = [link.partition("/v$HFPR_VERSION/")[2].partition("#")[0] for link in links]
    assert all((ROOT / path).exists() for path in inside)


@pytest.mark.parametrize("extra", [name for name in EXTRAS if name != "test"])
def test_every_extra_is_explained(extra):
    page = (ROOT / "src" / "bakeoff" / "docs" / "reference" / "installation.md").read_text()
    assert f"| `{extra}` |" in page


def test_the_forms_for_issues_ask_for_what_is_needed():
    forms = [
        yaml.safe_load(file.read_text())
        for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")
        if file.name != "config.yml"
    ]
    assert {form["name"] for form in forms} == {"Something is wrong", "Something is missing"}
    for form in forms:
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert all(field["attributes"]["label"] for field in fields)
        assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_container_installs_the_release_and_not_as_root():
    lines = (ROOT / ".github" / "Dockerfile").read_text().splitlines()
    assert "USER study" in lines
    assert 'ENTRYPOINT ["study"]' in lines
    assert any("https://download.pytorch.org/whl/cpu" in line for line in lines)


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs mkdocs-material")
def test_the_site_is_built_without_a_warning(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet",
         "--config-file", ROOT / ".github" / "mkdocs.yml", "--site-dir", tmp_path / "site"],
        check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert "study verify-resume" in (tmp_path / "site/reference/commands/index.html").read_text()
