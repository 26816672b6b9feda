"""The source of a reference is found and read without importing anything."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from bakeoff.errors import StudyFileError, UsageError
from bakeoff.own_source import check_reference, find_own, find_source, folders_of, look_in
from bakeoff.registry import resolve
from bakeoff.studyfile import load_study_file
from study_examples import study_document

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


STATEMENTS = """
with open(__file__) as opened: ...
for looped in range(2): ...
if (walrus := 3): ...
match walrus:
    case 3:
        matched = [hidden for hidden in range(3)]
first, (second, *rest) = 1, (2, 3)
annotated: int = 4
"""


def test_every_statement_that_defines_a_name_counts(beside: Path) -> None:
    (beside / "beside_a_study.py").write_text(STATEMENTS)
    names = ("opened", "looped", "walrus", "matched", "first", "second", "rest", "annotated")
    for name in names:
        check_reference("training.loss", f"beside_a_study:{name}", [])
    with pytest.raises(UsageError, match=f"'hidden'; allowed: {', '.join(sorted(names))}$"):
        check_reference("training.loss", "beside_a_study:hidden", [])


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


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a study file, `studies`, in the current folder."""
    folder = tmp_path / "studies"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    look_in(str(folder))
    yield folder
    look_in("")
    for name in (
        "beside_a_study",
        "studies_data",
        "others_data",
        "tomli_w_like",
        "dotted_beside",
        "dotted_beside.inner",
    ):
        sys.modules.pop(name, None)


def test_module_is_taken_from_the_study_files_folder_before_the_current_one(beside: Path) -> None:
    (beside / "beside_a_study.py").write_text("value = 'beside the study'\n")
    assert find_own("beside_a_study") == beside / "beside_a_study.py"
    assert resolve("beside_a_study:value") == "beside the study"


def test_module_of_the_users_is_taken_before_an_installed_one(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = beside.parent / "site"
    installed.mkdir()
    monkeypatch.syspath_prepend(str(installed))
    for folder in (installed, beside):
        (folder / "tomli_w_like.py").write_text(f"value = {folder.name!r}\n")
    assert resolve("tomli_w_like:value") == "studies"


def test_module_in_a_folder_without_init_is_imported(beside: Path) -> None:
    (beside / "dotted_beside").mkdir()
    (beside / "dotted_beside" / "inner.py").write_text("class Lion: pass\n")
    assert resolve("dotted_beside.inner:Lion").__name__ == "Lion"  # type: ignore[attr-defined]


def test_two_different_files_of_a_name_are_refused_with_both_paths(beside: Path) -> None:
    first, second = beside / "beside_a_study.py", beside.parent / "beside_a_study.py"
    first.write_text("value = 1\n")
    second.write_text("value = 1\n")
    assert find_own("beside_a_study") == first
    second.write_text("value = 2\n")
    with pytest.raises(UsageError, match=f"is both {first} and {second}, which differ"):
        check_reference("training.loss", "beside_a_study:value", [])


def test_module_of_another_studys_folder_is_not_taken_for_this_studys(beside: Path) -> None:
    (beside / "beside_a_study.py").write_text("value = 1\n")
    assert resolve("beside_a_study:value") == 1
    other = beside.parent / "others"
    other.mkdir()
    (other / "beside_a_study.py").write_text("value = 2\n")
    look_in(str(other))
    with pytest.raises(UsageError, match=r"was imported from .*studies.*, and the study has .*oth"):
        resolve("beside_a_study:value")


def second_study(beside: Path, helper: str) -> Path:
    """Resolve what a study's module imports, then look at another study with such modules."""
    for name, text in (("studies", "value = 1\n"), ("others", helper)):
        folder = beside.parent / name
        folder.mkdir(exist_ok=True)
        (folder / f"{name}_data.py").write_text("from beside_a_study import value\n")
        (folder / "beside_a_study.py").write_text(text)
    assert resolve("studies_data:value") == 1
    look_in(str(folder))
    return folder


def test_what_a_studys_module_imports_is_not_taken_for_another_studys(beside: Path) -> None:
    second_study(beside, "value = 2\n")
    with pytest.raises(UsageError, match=r"'beside_a_study' was imported from .*studies.*others"):
        resolve("others_data:value")


def test_modules_of_another_study_may_have_the_same_content(beside: Path) -> None:
    second_study(beside, "value = 1\n")
    assert resolve("others_data:value") == 1


def test_the_folder_of_an_earlier_study_is_not_on_the_path(beside: Path) -> None:
    other = second_study(beside, "value = 2\n")
    assert str(beside) not in sys.path  # which workers of the other study get
    del sys.modules["beside_a_study"]
    assert resolve("others_data:value") == 2
    assert str(other) in sys.path
    look_in(str(beside))
    assert str(other) not in sys.path


def test_file_of_the_users_does_not_take_the_place_of_torch(beside: Path) -> None:
    (beside / "torch").mkdir()
    (beside / "torch" / "__init__.py").touch()
    (beside / "torch" / "optim.py").write_text("class SGD: pass\n")
    assert find_own("torch.optim") is None
    assert resolve("torch.optim:SGD").__module__ == "torch.optim.sgd"


def test_missing_module_is_refused_with_the_nearest_file(beside: Path) -> None:
    (beside / "my_losses.py").write_text("def focal(outputs, targets): ...\n")
    with pytest.raises(UsageError, match=r"no module 'my_loses' in .*; did you mean 'my_losses'"):
        check_reference("training.loss", "my_loses:focal", [])


@pytest.mark.parametrize(
    ("section", "key", "reference"),
    [
        ("training", "loss", "nowhere:loss"),
        ("model", "model", "nowhere:build"),
        ("data", "dataset", "nowhere:load"),
    ],
)
def test_study_file_names_the_key_whose_module_is_missing(
    beside: Path, section: str, key: str, reference: str
) -> None:
    document = study_document(**{section: {key: reference}})
    if section == "model":
        document["model"] = {"model": reference}
    file = beside / "toy.toml"
    file.write_text(tomli_w.dumps(document))
    with pytest.raises(StudyFileError, match=f"{section}.{key} = '{reference}': no module"):
        load_study_file(file)


def test_folders_of_stored_files_are_those_that_modules_are_imported_from() -> None:
    files = ["studies/my_opt.py", "/src/pkg/deep/losses.py", "here/pkg/__init__.py", "other.py"]
    assert folders_of(["my_opt", "pkg.deep.losses", "pkg"], files) == ("studies", "/src", "here")
