"""The source of a reference is found and read without importing anything."""

import sys
from pathlib import Path

import pytest

from bakeoff.errors import UsageError
from bakeoff.own_source import check_reference, find_source

CODE = """
import os
from math import *
if os:
    def loss(outputs, targets): ...
else:
    other = 1
raise RuntimeError("imported")
"""


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    inner = tmp_path / "pkg" / "deep"
    inner.mkdir(parents=True)
    for file in (tmp_path / "pkg" / "__init__.py", inner / "__init__.py"):
        file.write_text("raise RuntimeError('imported')\n")
    (inner / "losses.py").write_text(CODE.replace("from math import *\n", ""))
    (tmp_path / "star_losses.py").write_text(CODE)
    (tmp_path / "broken_losses.py").write_text("def loss(:\n")
    return [str(tmp_path)]


def test_module_of_a_package_is_found_and_nothing_is_imported(folders: list[str]) -> None:
    before = set(sys.modules)
    assert find_source("pkg.deep.losses", folders) == Path(folders[0], "pkg", "deep", "losses.py")
    check_reference("training.loss", "pkg.deep.losses:loss", folders)
    check_reference("training.loss", "pkg.deep.losses:loss.inner", folders)
    check_reference("training.loss", "star_losses:anything", folders)
    check_reference("training.loss", "itertools:chain", folders)
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("pkg.deep.losses:los", r"unknown name in .*losses\.py 'los'; did you mean 'loss'"),
        ("pkg.losses:loss", "no module 'pkg.losses' in .* or among the packages"),
        ("broken_losses:loss", r"broken_losses\.py cannot be read as Python \(invalid syntax"),
    ],
)
def test_reference_that_leads_nowhere_is_refused(
    folders: list[str], reference: str, message: str
) -> None:
    with pytest.raises(UsageError, match=f"training.loss = '{reference}': .*{message}"):
        check_reference("training.loss", reference, folders)
