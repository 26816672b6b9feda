"""A validation set of the data's own is used as it is, and nothing is fitted on it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from bakeoff.data.datasets import check_splits, load_dataset, split_indices
from bakeoff.data.summary import describe_dataset
from bakeoff.errors import DataError, StudyFileError
from bakeoff.records import DataConfig
from bakeoff.session.descriptions import describe_protocol
from bakeoff.studyfile import format_study, resolve_study
from bakeoff.training.batches import load_splits
from study_examples import study_document

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def save_arrays(names: str, **more: NDArray[Any]) -> DataConfig:
    """40 training samples around 0 and 12 validation samples around 100, under these names."""
    draw = np.random.default_rng(0)
    arrays = {"x_train": draw.normal(size=(40, 3)), "y_train": np.arange(40) % 2, **more}
    x, y = names.split()
    np.savez("d.npz", **arrays, **{x: draw.normal(100, 1, (12, 3)), y: np.arange(12) % 2})
    return DataConfig(dataset="npz:d.npz")


def save_pictures() -> DataConfig:
    for part, count, grey in (("train", 20, 50), ("val", 6, 200)):
        for name in ("cat", "dog"):
            folder = Path("d", part, name)
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("L", (4, 4), grey + index).save(folder / f"{index}.png")
    return DataConfig(dataset="folder:d")


def save_tables(validation: str = "") -> DataConfig:
    """The second table has its columns in another order and a colour that is new."""
    rows = "".join(f"{n % 7}.5,{('red', 'blue')[n % 2]},{'uv'[n % 3 % 2]}\n" for n in range(40))
    Path("train.csv").write_text(f"size,colour,kind\n{rows}")
    held = "".join(f"{'uv'[n % 2]},{('red', 'green')[n % 2]},{100 + n}\n" for n in range(12))
    Path("val.csv").write_text(validation or f"kind,colour,size\n{held}")
    return DataConfig(dataset="csv:train.csv", validation="csv:val.csv")


def save_texts() -> DataConfig:
    Path("train.txt").write_text("abcdefgh" * 200)
    Path("val.txt").write_text("hgfedcbZ" * 40)
    return DataConfig(
        dataset="text:train.txt", validation="text:val.txt", task="language", sequence_length=8
    )


FORMS: dict[str, tuple[Callable[[], DataConfig], int, int, int, str]] = {
    "npz": (lambda: save_arrays("x_val y_val"), 32, 12, 8, "validation samples are x_val (12)"),
    "capitals": (
        lambda: save_arrays("X_valid Y_valid"), 32, 12, 8, "validation samples are x_val (12)",
    ),
    "folder": (save_pictures, 32, 12, 8, "validation samples are those of the folder val (12)"),
    "csv": (save_tables, 32, 12, 8, "validation samples are the rows of val.csv (12)"),
    "text": (save_texts, 142, 35, 35, "validation samples are those of val.txt (35)"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_all_other_samples_train_and_the_source_is_said(form: str) -> None:
    save, num_train, num_validation, num_test, note = FORMS[form]
    config = save()
    summary = describe_dataset(config, split_seed=3)
    assert (summary.num_train, summary.num_validation, summary.num_test) == (
        num_train, num_validation, num_test,
    )  # fmt: skip
    assert note in summary.notes
    study = resolve_study(study_document())
    assert f"{num_validation} validation (a set of their own)" in describe_protocol(study, summary)["split"]  # fmt: skip


@pytest.mark.parametrize("form", ["npz", "folder", "csv"])
def test_inputs_are_normalised_by_the_training_samples_alone(form: str) -> None:
    splits = load_splits(FORMS[form][0](), 0, CPU)
    train = torch.cat([inputs for inputs, _ in splits.train.batches(8)])
    held = torch.cat([inputs for inputs, _ in splits.validation.batches(8)])
    axes = [axis for axis in range(train.ndim) if axis != 1]
    assert torch.allclose(train.mean(axes), torch.zeros(train.shape[1]), atol=1e-4)
    assert float(held.mean(axes)[0]) > 5


def test_every_seed_validates_on_the_same_samples() -> None:
    config = save_arrays("x_val y_val")
    dataset = load_dataset(config)
    for seed in range(3):
        train, validation = split_indices(dataset, config, seed)
        assert (len(train), validation.tolist()) == (32, list(range(12)))
    few = DataConfig(dataset="npz:d.npz", train_samples=10)
    assert [len(rows) for rows in split_indices(dataset, few, 0)] == [10, 12]


def test_data_without_the_set_keeps_its_fingerprint() -> None:
    draw = np.random.default_rng(0)
    np.savez("plain.npz", x=draw.normal(size=(40, 3)).astype("f4"), y=np.arange(40) % 2)
    known = "88160d04d7a4af227a417d7366bb1fec"
    assert load_dataset(DataConfig(dataset="npz:plain.npz")).fingerprint == known


def test_columns_are_found_by_name_and_an_unknown_text_is_said() -> None:
    dataset = load_dataset(save_tables())
    assert dataset.validation_inputs is not None
    assert dataset.validation_labels is not None
    assert [feature.name for feature in dataset.features] == ["size", "colour=blue", "colour=red"]
    assert np.asarray(dataset.validation_inputs[:2]).tolist() == [[100, 0, 1], [101, 0, 0]]
    assert dataset.validation_labels[:2].tolist() == [0, 1]
    note = "6 rows of val.csv have a text in column 'colour' that no training row has"
    assert any(one.startswith(note) for one in dataset.notes)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ("size,kind\n1,u\n", "has no column 'colour', which train.csv has"),
        ("size,colour,kind\n1,red,w\n", "holds 'w' in row 1, which is no class of the training"),
        ("size,colour,kind\nbig,red,u\n", "holds 'big' in row 1; it must hold numbers"),
    ],
)
def test_table_that_does_not_fit_the_training_table_is_refused(
    validation: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(save_tables(validation))
    assert str(caught.value).startswith("val.csv: ")


def test_what_contradicts_a_validation_set_in_the_data_is_refused() -> None:
    config = save_arrays("x_val y_val")
    with pytest.raises(DataError, match=r"own, so validation_fraction = 0\.1 would have no effect"):
        describe_dataset(DataConfig(dataset=config.dataset, validation_fraction=0.1), 0)
    with pytest.raises(DataError, match=r"so confirm\.resplit = true has nothing to split"):
        check_splits(config, [(0, None)])


@pytest.mark.parametrize(
    ("data", "confirm", "message"),
    [
        ({"validation": "csv:a.csv"}, {}, "is the data to train on"),
        ({"validation": "npz:a.npz"}, {}, "must be csv:PATH, as data.dataset is"),
        ({"validation": "b.csv"}, {}, "must be csv:PATH"),
        ({"validation": "csv:b.csv", "validation_fraction": 0.2}, {}, "remove one of them"),
        ({"validation": "csv:b.csv"}, {"resplit": True}, "no split to draw anew"),
        ({"dataset": "digits", "validation": "csv:b.csv"}, {}, "goes only with csv:PATH and text"),
    ],
)
def test_study_file_that_contradicts_itself_is_refused(
    data: dict[str, Any], confirm: dict[str, Any], message: str
) -> None:
    document = study_document(confirm=confirm)
    document["data"] = {"dataset": "csv:a.csv", **data}
    with pytest.raises(StudyFileError, match=message):
        resolve_study(document)


def test_study_with_a_validation_table_loads_back_as_it_was_written() -> None:
    document = study_document()
    document["data"] = {"dataset": "csv:a.csv", "validation": "csv:b.csv"}
    study = resolve_study(document)
    assert study.data.validation == "csv:b.csv"
    assert resolve_study(tomllib.loads(format_study(study))) == study


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("x_val y_none", "x_val and y_val must come together"),
        ("x_val y_val", r"several arrays could be x_val \(it holds .*X_dev"),
    ],
)
def test_arrays_of_a_validation_set_must_be_clear(names: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(save_arrays(names, X_dev=np.zeros((3, 3)), y_dev=np.zeros(3, int)) if "y_val" in names else save_arrays(names))  # fmt: skip


class Numbers(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Samples that hold a number everywhere."""

    def __init__(self, count: int, value: float) -> None:
        self.count, self.value = count, value

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((3,), self.value + index), index % 2


def torch_parts() -> dict[str, Numbers]:
    """Data sets of torch to train and to validate on."""
    return {"train": Numbers(40, 0), "val": Numbers(12, 100)}


def test_data_sets_of_torch_may_have_one_to_validate_on() -> None:
    splits = load_splits(DataConfig(dataset=f"{__name__}:torch_parts"), 0, CPU)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (32, 12, 8)
    inputs, labels = next(iter(splits.validation.batches(12)))
    mean, scale = splits.train.normalisation.mean, splits.train.normalisation.scale  # type: ignore[union-attr]
    assert torch.allclose(inputs[:, 0] / scale[0] + mean[0], torch.arange(100.0, 112.0))
    assert labels.tolist() == [0, 1] * 6


@pytest.mark.parametrize("name", ["validation_inputs", "validation_labels"])
def test_damage_to_the_set_on_disk_is_found(name: str) -> None:
    config = save_arrays("x_val y_val")
    before = np.array(load_dataset(config).validation_inputs)
    (path,) = Path("cache/arrays").glob(f"*/{name}.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    path.write_bytes(content)
    dataset = load_dataset(config)
    assert np.array_equal(np.asarray(dataset.validation_inputs), before)
    assert dataset.validation_labels is not None
    assert dataset.validation_labels.tolist() == [0, 1] * 6
