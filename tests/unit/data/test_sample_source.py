import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from bakeoff.data.datasets import load_dataset, redraw_test, split_indices
from bakeoff.data.sample_source import SampleInputs, open_source, read_labels
from bakeoff.errors import DataError
from bakeoff.records import DataConfig, Task

FIRST = torch.arange(60, dtype=torch.float32).reshape(20, 3)


class Noisy(Dataset[Any]):
    """Samples with random numbers of every global generator; it cannot be pickled."""

    def __init__(self, size: int = 60, classes: int = 3) -> None:
        self.size = size
        self.classes_ = classes
        self.transform = lambda value: value  # such lambdas make many data sets unpicklable

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        noise = torch.rand(2, 4, 4) + random.random() + np.random.rand()
        return self.transform(index + noise), index % self.classes_


class Counted(Noisy):
    """Counts how often a sample was fetched."""

    fetched = 0

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        type(self).fetched += 1
        return super().__getitem__(index)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter([(torch.zeros(3), 0)])


class Returned(Dataset[Any]):
    """Forty equal samples, except the one at index 7."""

    def __init__(self, sample: Any, seventh: Any = None) -> None:
        self.sample, self.seventh = sample, seventh

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> Any:
        if index == 7 and self.seventh is not None:
            return self.seventh
        if isinstance(self.sample, Exception):
            raise self.sample
        inputs, label = self.sample if isinstance(self.sample, tuple) else (None, None)
        return (
            (inputs, index % 2 if label is None else label) if inputs is not None else self.sample
        )


built: Any = None


def build() -> Any:
    return built


def load(value: Any, task: Task = "classification") -> Any:
    global built  # noqa: PLW0603 - stands for a module of the user's
    built = value
    return load_dataset(DataConfig(dataset=f"{__name__}:build", task=task))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))


# ---------------------------------------------------------------- accepted values


@pytest.mark.parametrize(
    "value",
    [
        (Noisy(60), Noisy(12)),
        [Noisy(60), Noisy(12)],
        {"train": Noisy(60), "test": Noisy(12)},
    ],
    ids=["pair", "list", "mapping"],
)
def test_pair_of_data_sets_gives_the_training_and_the_test_set(value: Any) -> None:
    dataset = load(value)
    assert (dataset.train_inputs.shape, dataset.test_inputs.shape) == ((60, 2, 4, 4), (12, 2, 4, 4))
    assert dataset.train_labels.tolist() == [0, 1, 2] * 20
    assert dataset.class_names == ("0", "1", "2")


def test_a_stratified_fifth_of_one_data_set_is_reserved_for_testing() -> None:
    dataset = load(Noisy(60))
    assert isinstance(dataset.test_inputs, SampleInputs)
    rows = [*dataset.train_inputs.rows, *dataset.test_inputs.rows]
    assert sorted(rows) == list(range(60))
    assert np.bincount(dataset.test_labels).tolist() == [4, 4, 4]
    assert all(
        row % 3 == label
        for row, label in zip(rows, [*dataset.train_labels, *dataset.test_labels], strict=True)
    )


def test_a_reserved_test_set_of_samples_is_drawn_anew_without_fetching_any() -> None:
    dataset = load(Counted(60))
    before = Counted.fetched
    drawn = redraw_test(dataset, 5)
    assert Counted.fetched == before
    assert isinstance(drawn.test_inputs, SampleInputs)
    rows = [*drawn.train_inputs.rows, *drawn.test_inputs.rows]
    assert sorted(rows) == list(range(60))
    assert sorted(drawn.test_inputs.rows) != sorted(dataset.test_inputs.rows)
    labels = [*drawn.train_labels, *drawn.test_labels]
    assert all(row % 3 == label for row, label in zip(rows, labels, strict=True))
    assert drawn.test_inputs.labels.tolist() == drawn.test_labels.tolist()
    assert redraw_test(load((Noisy(60), Noisy(12))), 5).test_inputs.part == "test"


def test_torch_data_set_is_split_like_any_other_data() -> None:
    dataset = load(Noisy(60))
    train, validation = split_indices(dataset, DataConfig(dataset="x", imbalance=4), 0)
    assert sorted(np.bincount(dataset.train_labels[validation])) == [3, 3, 4]
    assert np.bincount(dataset.train_labels[train])[[0, 2]].tolist() == [12, 3]


def test_numbers_become_targets_of_regression() -> None:
    targets = torch.linspace(0, 1, 20)
    dataset = load(TensorDataset(FIRST, targets), task="regression")
    assert dataset.class_names == ()
    assert dataset.train_labels.dtype == np.float32
    assert sorted([*dataset.train_labels, *dataset.test_labels]) == pytest.approx(targets.tolist())


def test_classes_have_the_names_that_the_data_set_gives_them() -> None:
    named = Noisy()
    named.classes = ["boot", "coat", "shirt"]  # type: ignore[attr-defined]
    assert load(named).class_names == ("boot", "coat", "shirt")


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (torch.zeros(5, dtype=torch.float64), ((5,), "float32")),
        (np.zeros((4, 5), dtype=np.uint8), ((1, 4, 5), "uint8")),
        (torch.zeros(4, 5), ((4, 5), "float32")),
        (torch.zeros(3, 4, 5, dtype=torch.bool), ((3, 4, 5), "uint8")),
        (np.zeros(5, dtype=np.int16), ((5,), "float32")),
    ],
    ids=["double", "grey", "rows", "bool", "int"],
)
def test_samples_become_uint8_or_float32_like_arrays(sample: Any, expected: Any) -> None:
    inputs = load(Returned((sample, None))).train_inputs
    assert (inputs.sample_shape, str(inputs.dtype)) == expected
    assert inputs[np.array([0, 3])].shape == (2, *expected[0])


def test_a_pair_of_arrays_is_read_as_inputs_and_labels() -> None:
    labels = torch.arange(20) % 2
    frames = (pd.DataFrame(FIRST.numpy()), pd.Series(labels.numpy()))
    for value in ((FIRST, labels), frames):
        dataset = load(value)
        assert isinstance(dataset.train_inputs, np.ndarray)
        assert (dataset.train_inputs.shape, dataset.test_inputs.shape) == ((16, 3), (4, 3))


# ---------------------------------------------------------------- labels


def test_labels_that_the_data_set_knows_are_not_fetched() -> None:
    counted = Counted(600)
    counted.targets = [index % 3 for index in range(600)]  # type: ignore[attr-defined]
    Counted.fetched = 0
    assert load(counted).train_labels.shape == (480,)
    assert Counted.fetched < 100


def test_labels_that_the_data_set_does_not_know_are_fetched_once_and_cached() -> None:
    Counted.fetched = 0
    first = load(Counted(600))
    assert 600 <= Counted.fetched < 700
    Counted.fetched = 0
    assert load(Counted(600)).fingerprint == first.fingerprint
    assert Counted.fetched < 100


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (TensorDataset(FIRST, torch.arange(20) % 4), [0, 1, 2, 3] * 5),
        (Subset(TensorDataset(FIRST, torch.arange(20) % 4), [1, 2, 7]), [1, 2, 3]),
        (Subset(Noisy(9), [8, 7]), [2, 1]),
    ],
    ids=["tensors", "subset", "subset without labels"],
)
def test_labels_are_found_where_torch_keeps_them(samples: Any, expected: list[int]) -> None:
    assert read_labels(samples, "data").tolist() == expected


# ---------------------------------------------------------------- random numbers


def test_sample_depends_on_its_seed_and_index_alone() -> None:
    load(Noisy())
    source = open_source(f"{__name__}:build")
    torch.manual_seed(1)
    together = source.fetch("train", [3, 5, 8], 7)[0]
    torch.manual_seed(2)
    alone = source.fetch("train", [5], 7)[0]
    assert np.array_equal(alone[0], together[1])
    assert not np.array_equal(source.fetch("train", [5], 8)[0], alone)
    assert together[0].mean() != pytest.approx(together[1].mean() - 2, abs=1e-6)


def test_generators_are_left_as_they_were() -> None:
    load(Noisy())
    source = open_source(f"{__name__}:build")
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = (torch.rand(1).item(), random.random(), np.random.rand())
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    source.fetch("train", [3, 5, 8], 7)
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected


def test_source_is_pickled_as_its_reference() -> None:
    load(Noisy())
    copy = pickle.loads(pickle.dumps(open_source(f"{__name__}:build")))  # noqa: S301 - our own
    assert copy.fetch("train", [3], 7)[1] == [0]


def build_telling() -> Any:
    print("Files already downloaded and verified")
    return Noisy()


def test_output_of_the_users_function_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    open_source(f"{__name__}:build_telling")
    assert capsys.readouterr() == ("", "Files already downloaded and verified\n")


def test_fingerprint_changes_with_labels_and_with_samples() -> None:
    shifted = [(index + 1) % 4 for index in range(20)]
    digests = {
        load(TensorDataset(inputs, labels)).fingerprint
        for inputs in (FIRST, FIRST + 1)
        for labels in (torch.arange(20) % 4, torch.tensor(shifted))
    }
    assert len(digests) == 4


# ---------------------------------------------------------------- errors


GOOD = (torch.zeros(3), None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Stream(), "train: Stream has no length; a data set must give its samples by index"),
        (Noisy(0), "train: has no samples"),
        ((Noisy(), Noisy(), Noisy()), "returned 3 data sets; allowed are one, a pair to train"),
        ({"test": Noisy()}, "returned no data set to train on"),
        (7, "returned int; allowed are a mapping of arrays, or a torch Dataset"),
        (Returned(torch.zeros(3)), "train sample 0: is Tensor, not a pair of input and label"),
        (Returned((Image.new("L", (4, 4)), None)), r"its input is Image, not a tensor .*PILToTensor"),
        (Returned((torch.zeros(2, 2, 2, 2), None)), r"has shape \[2, 2, 2, 2\]; allowed"),
        (Returned((np.zeros((8, 9, 3), np.uint8), None)), r"looks like \[H, W, C\]; channels come first"),
        (Returned((torch.zeros(3, dtype=torch.complex64), None)), "dtype complex64; it must hold"),
        (Returned(KeyError("no such file")), "train sample 0: KeyError: 'no such file'"),
        (Returned(GOOD, (torch.zeros(4), 1)), r"sample 7: is float32 \[4\], sample 0 is float32 \[3\]"),
        (Returned(GOOD, (torch.full((3,), np.nan), 1)), "sample 7: has NaN or infinite values"),
        (Returned(GOOD, (torch.zeros(3), "boot")), "labels must be numbers"),
        (Returned((torch.zeros(3), [[1, 2], [3]])), "labels must be numbers, one for each sample"),
        (Returned((torch.zeros(3), [1, 2]), (torch.zeros(3), [1])), r"found rows of \[2\] and \[1\]"),
        (Returned(GOOD, (torch.zeros(3), 1.5)), "labels must be integers"),
        (Returned(GOOD, (torch.zeros(3), -1)), "has the label -1"),
        (Returned(GOOD, (torch.zeros(3), 5)), "no sample of class 2"),
        (Returned((torch.zeros(3), 0)), "one class only"),
        ((Noisy(60), Noisy(60, classes=5)), r"test has the label 4, train only 0\.\.2"),
    ],
    ids=[
        "stream", "empty", "three", "no train", "number", "no pair", "picture", "shape", "channels last", "complex", "raises",
        "other shape", "nan", "text label", "unequal lists", "rows of labels", "fraction", "negative", "gap", "one class", "test label",
    ],
)  # fmt: skip
def test_data_set_that_cannot_be_used_is_refused(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(value)
    assert str(caught.value).startswith(f"{__name__}:build")
    assert "\n" not in str(caught.value)


def test_language_task_refuses_torch_data_sets() -> None:
    with pytest.raises(DataError, match='task = "language" takes arrays'):
        load(Noisy(), task="language")
