"""Wrong input gives one clear line and the right exit code, and creates no files."""

import gzip
import io
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from bakeoff.commands.cli import main
from bakeoff.data import dataset_table
from study_examples import study_document

RNG = np.random.default_rng(0)
X = RNG.random((60, 8), dtype=np.float32)
Y = np.arange(60) % 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder; study files of a test are written elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def study(arguments, capsys):
    """Run one command; return its exit code and the lines on stderr."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return caught.value.code, captured.err.splitlines()


def write(path: Path, document) -> str:
    path.write_text(tomli_w.dumps(document))
    return str(path)


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_missing_package_is_exit_4_and_names_the_extra(
    tmp_path, folder, capsys, verb, monkeypatch
):
    monkeypatch.setattr("bakeoff.components.package_optimizers.find_spec", lambda _: None)
    document = study_document(
        search={"optimizers": ["schedule_free_sgd"], "schedulers": ["constant"]}
    )
    code, lines = study([verb, write(tmp_path / "study.toml", document)], capsys)
    assert code == 4
    assert [line for line in lines if "pip install 'bakeoff[optimizers]'" in line] == lines
    assert len(lines) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_an_optimizer_that_its_package_does_not_have_is_exit_2(tmp_path, folder, capsys, verb):
    document = study_document(search={"optimizers": ["pytorch_optimizer:Lio"]})
    code, lines = study([verb, write(tmp_path / "study.toml", document)], capsys)
    assert (code, len(lines)) == (2, 1)
    assert "did you mean 'Lion'" in lines[0]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("verb", ["run", "validate", "plan"])
def test_stacks_that_are_impossible_are_refused_before_anything_runs(
    tmp_path, folder, capsys, verb
):
    document = study_document(search={"arithmetic": "stacked", "optimizers": ["adam", "muon"]})
    code, lines = study([verb, write(tmp_path / "study.toml", document)], capsys)
    assert (code, len(lines)) == (2, 1)
    assert 'search.arithmetic = "stacked": needs optimizers' in lines[0]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("verb", ["run", "validate", "plan"])
@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("search", {"optimizers": ["adamm"]}, "did you mean 'adam'"),
        ("training", {"learning_rte": 0.1}, "unknown key 'learning_rte'"),
        ("training", {"epochs": "10"}, 'training.epochs = "10"'),
        ("model", {"dropout": {"low": 0.9, "high": 0.1}}, "low = 0.9 is above high = 0.1"),
        ("space", {"adam": {"momentum": 0.9}}, "unknown parameter 'momentum'"),
        ("study", {"name": "../../etc/x"}, "study.name"),
        ("study", {"direction": "down"}, "study.direction: unknown key 'direction'"),
        ("study", {"seed": 1.5}, "study.seed = 1.5: input should be a valid integer"),
        (
            "search",
            {"pruner": "medain"},
            "search.pruner: unknown pruner 'medain'; did you mean 'median'?",
        ),
        ("space", {"step": {"gamma": 0.5}}, "space.step: unknown optimizer or scheduler of this"),
        ("model", {"width": {"low": 8, "high": 10, "step": 5}}, "plus a multiple of step = 5"),
        ("model", {"width": {"low": 8, "high": 16, "step": -2}}, "step = -2 must be at least 1"),
        ("model", {"width": {"choices": [8, 8]}}, "choices [8, 8] holds a value twice"),
        (
            "model",
            {"width": {"choices": [date(2026, 1, 1)]}},
            'model.width.choices.0 = "2026-01-01"',
        ),
    ],
)
def test_a_wrong_study_file_is_exit_2_and_one_line(
    tmp_path, folder, capsys, verb, section, change, message
):
    file = write(tmp_path / "study.toml", study_document(**{section: change}))
    code, lines = study([verb, file], capsys)
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"study: {file}: ")
    assert message in lines[0]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "missing.toml"], 2, "missing.toml: no such file"),
        (["run", "."], 2, "is a folder"),
        (["run"], 2, "Missing argument 'FILE'"),
        (["run", "x.toml", "--workres", "2"], 2, "No such option: --workres"),
        (["fly"], 2, "No such command 'fly'"),
        (["report", "digits"], 5, "does not exist"),
        (["status", "digits"], 5, "does not exist"),
        (["list"], 5, "does not exist"),
        (["report", "digits", "--storage", "redis://localhost"], 2, "unknown scheme 'redis'"),
        (["status", "digits", "--storage", "sqlite://"], 2, "names no file"),
        (["delete", "digits", "--yes"], 5, "does not exist"),
        (["dashboard"], 5, "does not exist"),
        (
            ["report", "x", "--study", "y", "--arm", "z"],
            2,
            "--study and --arm name one of another program",
        ),
        (["report"], 2, "name a study"),
        (["list", "--storage", ""], 2, "storage: cannot understand ''"),
        (["list", "--storage", "sqlite:///:memory:"], 2, "names no file"),
        (["list", "--storage", "their.db"], 2, "did you mean 'sqlite:///their.db'?"),
        (["list", "--storage", "sqlite:/x.db"], 2, "did you mean 'sqlite:////x.db'?"),
        (["list", "--storage", "sqlite:///no/such/x.db"], 5, "no/such/x.db does not exist"),
        (["list", "--storage", "sqlite:///."], 5, "is a folder; choose a file"),
        (["list", "--storage", "sqlite:////etc/passwd"], 5, "is not a SQLite database"),
        (["init", "no/such/x.toml"], 2, "cannot be written"),
        (["train", "--set", "x"], 2, "Missing argument 'FILE'"),
    ],
)
def test_a_wrong_command_has_its_exit_code_and_says_what_is_wrong(
    folder, capsys, arguments, code, message
):
    found, lines = study(arguments, capsys)
    assert found == code
    assert message in lines[-1]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "0"], "--workers = 0"),
        (["--workers", "2000"], "--workers = 2000"),
        (["--device", "cuda:999"], "--device cuda"),
        (["--device", "cudda"], "did you mean cuda?"),
        (["--storage", "sqlit:///x.db"], "did you mean 'sqlite'"),
        (["--output", "/dev/null"], "is not a folder"),
        (["--output", "/dev/null/sub"], "is not a folder"),
        (["--output", "../link"], "link is a link to nothing"),
    ],
)
def test_a_wrong_flag_is_exit_2_and_creates_nothing(tmp_path, folder, capsys, flags, message):
    (tmp_path / "link").symlink_to("/no/such/folder")
    file = write(tmp_path / "study.toml", study_document())
    code, lines = study(["run", file, *flags], capsys)
    assert code == 2
    assert message in lines[-1]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"x", b"a text that is no database\n" * 50])
def test_a_storage_that_is_another_file_is_refused_and_not_changed(
    tmp_path, folder, capsys, content
):
    (tmp_path / "notes.txt").write_bytes(content)
    file = write(tmp_path / "study.toml", study_document())
    code, lines = study(["run", file, "--storage", f"sqlite:///{tmp_path}/notes.txt"], capsys)
    assert code == 5
    assert "notes.txt is not a SQLite database" in lines[-1]
    assert (tmp_path / "notes.txt").read_bytes() == content
    assert not (tmp_path / ".notes.txt.lock").exists()


def test_a_storage_that_cannot_be_created_is_exit_5(tmp_path, folder, capsys):
    file = write(tmp_path / "study.toml", study_document())
    code, lines = study(["run", file, "--storage", "sqlite:////proc/x.db"], capsys)
    assert code == 5
    assert "storage /proc/x.db cannot be locked" in lines[-1]


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
def test_an_unreachable_server_is_exit_5_and_its_password_is_not_shown(
    folder, capsys, host, monkeypatch
):
    monkeypatch.setenv("BAKEOFF_STORAGE", f"postgresql://me:canary{{x}}%@{host}/db")
    code, lines = study(["list"], capsys)
    assert code == 5
    assert len(lines) == 1
    assert "cannot be opened" in lines[0]
    assert "canary" not in lines[0]


@pytest.mark.parametrize(
    "url", ["postgresql://me:canary@host/db", "postgresql://host/db?user=me&password=canary"]
)
def test_a_password_on_the_command_line_is_refused_and_not_shown(folder, capsys, url):
    code, lines = study(["list", "--storage", url], capsys)
    assert code == 2
    assert "every user of this machine sees the password in `ps`" in lines[-1]
    assert "canary" not in "".join(lines)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def with_cell(value):
    changed = X.copy()
    changed[3, 4] = value
    return changed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (npz(x=X, y=Y)[:-200], ""),
        (gzip.compress(b"not an archive"), ""),
        (npz(x=X), "y"),
        (npz(x=X, y=Y[:-1]), "60"),
        (npz(x=with_cell(np.nan), y=Y), "1 NaN or infinite"),
        (npz(x=with_cell(np.inf), y=Y), "1 NaN or infinite"),
        (npz(x=X, y=Y - 1), "-1"),
        (npz(x=X, y=Y * 0), "class"),
        (npz(x=X, y=Y + 0.5), ""),
        (npz(x=np.array([{"a": 1}] * 60, dtype=object), y=Y), ""),
        (npz(x=np.array(["a"] * 60), y=Y), ""),
    ],
    ids=[
        "missing", "empty", "truncated", "no archive", "no labels", "lengths differ", "nan", "inf",
        "negative label", "one class", "label is not a whole number", "pickled", "text",
    ],
)  # fmt: skip
def test_bad_data_is_exit_4_and_one_line(tmp_path, folder, capsys, content, message):
    data = tmp_path / "data.npz"
    if content is not None:
        data.write_bytes(content)
    file = write(tmp_path / "study.toml", study_document(data={"dataset": f"npz:{data}"}))
    code, lines = study(["run", file], capsys)
    assert code == 4
    assert len(lines) == 1
    assert str(data) in lines[0]
    assert message in lines[0]
    assert list(folder.iterdir()) == []


TABLE = "size,colour,kind\n" + "".join(f"{n},red,{n % 3}\n" for n in range(60))


def png(folder: Path, name: str, content: bytes | None = None, size: tuple[int, int] = (8, 8)):
    """Write an image, or bytes that are not an image."""
    folder.mkdir(parents=True, exist_ok=True)
    if content is None:
        Image.fromarray(RNG.integers(0, 255, size).astype(np.uint8)).save(folder / name)
    else:
        (folder / name).write_bytes(content)


def image_folder(root: Path, **last: Any):
    for label in "abc":
        for number in range(10):
            png(root / label, f"{number}.png")
    png(root / "b", "last.png", **last)


OWN_DATA = """
import torch
from torch.utils.data import Dataset, IterableDataset


class Broken(Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        if index == 7:
            raise OSError("cannot read it")
        return torch.zeros(3), index % 3


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


class Unlike(Broken):
    def __getitem__(self, index):
        return torch.zeros(4 if index == 59 else 3), index % 3
"""


@pytest.mark.parametrize(
    ("form", "make", "message"),
    [
        ("folder:{}", lambda path: None, "no such folder"),
        ("folder:{}", Path.mkdir, "has 0 class folders"),
        ("folder:{}", lambda path: image_folder(path, content=b"text"), "last.png: damaged, or not an image"),
        ("folder:{}", lambda path: image_folder(path, size=(8, 9)), "last.png: is 9x8, others are 8x8"),
        ("csv:{}", lambda path: None, "No such file"),
        ("csv:{}", lambda path: path.write_text(TABLE.replace("7,red", "7,")), "column 'colour' has no value in row 8"),
        ("csv:{}", lambda path: path.write_text(TABLE.replace("9,red,", "9,red,9,")), "Expected 3 fields in line 11, saw 4"),
        ("csv:{}", lambda path: path.write_text(TABLE.replace("size", "colour")), "the header names 'colour' twice"),
        ("csv:{}", lambda path: path.write_text(TABLE.replace("8,red", "eight,red")), "column 'size' holds 'eight' in row 9"),
        ("text:{}", lambda path: None, "No such file"),
        ("text:{}", lambda path: path.write_text("short"), "sequence_length = 64 needs 3250 or more"),
        ("text:{}", lambda path: path.write_bytes(b"\xfa\x00"), "is not UTF-8 text (byte 0)"),
        ("own_bad_data:Broken", None, "train sample 7: OSError: cannot read it"),
        ("own_bad_data:Stream", None, "train: Stream has no length"),
        ("own_bad_data:Unlike", None, "train sample 59: is float32 [4], sample 0 is float32 [3]"),
    ],
    ids=[
        "no folder", "empty folder", "damaged image", "image size", "no table", "missing cell", "ragged row",
        "duplicate header", "text in a numeric column", "no text", "short text", "not UTF-8", "sample raises",
        "stream", "sample shape",
    ],
)  # fmt: skip
def test_bad_data_of_any_form_is_exit_4_and_one_line(
    tmp_path, folder, capsys, monkeypatch, form, make, message
):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_bad_data.py").write_text(OWN_DATA)
    data = tmp_path / "data"
    if make is not None:
        make(data)
    document = study_document(data={"dataset": form.format(data)})
    if form.startswith("text"):
        document["model"] = {"model": "gru"}
    code, lines = study(["run", write(tmp_path / "study.toml", document)], capsys)
    assert code == 4
    assert len(lines) == 1
    assert message in lines[0]
    assert list(folder.iterdir()) == []
    sys.modules.pop("own_bad_data", None)


def test_message_about_missing_data_says_how_to_get_it(tmp_path, folder, capsys, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(dataset_table, "DEBIAN_JARGON_FILE", tmp_path / "jargon.txt.gz")
    document = {**study_document(data={"dataset": "jargon"}), "model": {"model": "gru"}}
    code, lines = study(["run", write(tmp_path / "study.toml", document)], capsys)
    assert (code, len(lines)) == (4, 1)
    assert "get it with: apt-get install jargon-text" in lines[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"dataset": "folder:"}, "unknown dataset 'folder:'"),
        ({"dataset": "digits", "image_size": 32}, "data.image_size = 32: goes only with folder:PATH"),
        ({"dataset": "npz:x", "target": "y"}, 'data.target = "y": goes only with csv:PATH'),
        ({"dataset": "csv:x", "sequence_length": 9}, "data.sequence_length = 9: goes only with text:PATH"),
        ({"dataset": "folder:x", "task": "regression"}, "data.task: 'regression' does not go with 'folder:x', which is for classification"),
        ({"dataset": "text:x", "task": "classification"}, "which is for language"),
        ({"dataset": "csv:x", "task": "regression", "imbalance": 9}, "data.imbalance: is for classes"),
        ({"dataset": "digits", "imbalance": 0.5}, "data.imbalance = 0.5: input should be greater than or equal to 1"),
        ({"dataset": "folder:x", "image_size": 0}, "data.image_size = 0"),
        ({"dataset": "jargon"}, "model.model: model 'mlp' cannot take tokens"),
        ({"dataset": "csv:x"}, None),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_with_the_data_are_refused_without_reading_it(
    tmp_path, folder, capsys, data, message
):
    code, lines = study(
        ["validate", write(tmp_path / "study.toml", study_document(data=data))], capsys
    )
    assert code == (0 if message is None else 2)
    assert len(lines) == (0 if message is None else 1)
    assert all(message in line for line in lines)


def test_a_data_set_smaller_than_a_batch_is_refused(tmp_path, folder, capsys):
    data = tmp_path / "small.npz"
    data.write_bytes(npz(x=X, y=Y))
    file = write(
        tmp_path / "study.toml",
        study_document(data={"dataset": f"npz:{data}"}, training={"batch_size": 64}),
    )
    code, lines = study(["run", file], capsys)
    assert code == 4
    assert "fewer than batch_size = 64" in lines[-1]
    assert list(folder.iterdir()) == []


def test_validate_imports_nothing_the_file_refers_to(tmp_path, folder, capsys):
    source = "def build(input_shape, num_outputs): ...\nraise RuntimeError('imported')\n"
    (tmp_path / "unread_model.py").write_text(source)
    document = {**study_document(), "model": {"model": "unread_model:build"}}
    file = write(tmp_path / "study.toml", document)
    main_exit, lines = study(["validate", file], capsys)
    assert main_exit == 0
    assert lines == []
    assert "unread_model" not in sys.modules


def test_a_model_that_is_wrong_is_named_once(tmp_path, folder, capsys, monkeypatch):
    (folder / "lone_model.py").write_text("def build(input_shape, num_outputs):\n    return 3\n")
    monkeypatch.syspath_prepend(str(folder))
    document = study_document()
    document["model"] = {"model": "lone_model:build"}
    code, lines = study(["plan", write(tmp_path / "study.toml", document)], capsys)
    assert code == 2
    assert lines == ["study: model.model = 'lone_model:build' is int, not a torch.nn.Module"]
