import gzip
import multiprocessing
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.data import dataset_table, datasets, readers
from bakeoff.data.array_cache import NAMES
from bakeoff.data.dataset_table import FASHION_FILES, choose_task
from bakeoff.data.datasets import Dataset, check_splits, redraw_test, split_indices
from bakeoff.data.summary import check_batch_size, describe_dataset
from bakeoff.errors import DataError, UsageError
from bakeoff.records import DataConfig, Task

X = np.arange(40 * 3, dtype=np.float32).reshape(40, 3)
Y = np.arange(40) % 4


def load_dataset(name: str, task: Task = "classification") -> Dataset:
    return datasets.load_dataset(DataConfig(dataset=name, task=task))


def save(folder: Path, **arrays: Any) -> str:
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


def with_value(array: Any, index: Any, value: Any) -> Any:
    changed = array.copy()
    changed[index] = value
    return changed


def write_idx(path: Path, array: Any) -> None:
    header = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def write_fashion(folder: Path) -> Path:
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    labels = (np.arange(60) % 10).astype(np.uint8)
    arrays = (images[:40], labels[:40], images[40:], labels[40:])
    for name, array in zip(FASHION_FILES, arrays, strict=True):
        write_idx(folder / name, array)
    return folder


# ---------------------------------------------------------------- what is read


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    dataset, reference = load_dataset("digits"), load_digits()
    images = np.concatenate([dataset.train_inputs, dataset.test_inputs]).reshape(-1, 64)
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    ours, theirs = (
        np.column_stack([images, labels]),
        np.column_stack([reference.data, reference.target]),
    )
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs.astype(int)))


def test_a_stratified_fifth_of_the_digits_is_reserved_for_testing() -> None:
    dataset = load_dataset("digits")
    assert len(dataset.test_labels) == 359
    assert np.ptp(np.bincount(dataset.test_labels)) <= 2


def test_description_counts_the_samples_of_the_splits() -> None:
    summary = describe_dataset(DataConfig(dataset="digits", validation_fraction=0.25), 0)
    assert (summary.num_train, summary.num_validation, summary.num_test) == (1078, 360, 359)
    assert (summary.num_outputs, summary.input_shape) == (10, (1, 8, 8))
    assert summary.class_names == tuple("0123456789")


def test_arrays_of_the_user_are_read_unchanged(tmp_path: Path) -> None:
    dataset = load_dataset(save(tmp_path, x_train=X, y_train=Y, x_test=X[:8], y_test=Y[:8]))
    assert np.array_equal(dataset.train_inputs, X)
    assert np.array_equal(dataset.test_labels, Y[:8])
    assert dataset.class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("given_array", "expected"),
    [
        (X.astype(np.float64), ((40, 3), np.float32)),
        (X.astype(np.int16), ((40, 3), np.float32)),
        (X.astype(np.uint8), ((40, 3), np.uint8)),
        (X > 5, ((40, 3), np.uint8)),
        (X.reshape(40, 1, 3), ((40, 1, 3), np.float32)),
        (X.astype(np.uint8).reshape(40, 1, 3), ((40, 1, 1, 3), np.uint8)),
        ((X > 5).reshape(40, 1, 3), ((40, 1, 1, 3), np.uint8)),
        (X.reshape(40, 3, 1, 1), ((40, 3, 1, 1), np.float32)),
        (np.asfortranarray(X), ((40, 3), np.float32)),
    ],
)
def test_inputs_become_uint8_or_float32_and_bytes_of_three_axes_become_grey_images(
    tmp_path: Path, given_array: Any, expected: tuple[tuple[int, ...], type]
) -> None:
    inputs = load_dataset(
        save(tmp_path, x_train=given_array, y_train=Y, x_test=given_array, y_test=Y)
    ).train_inputs
    assert (inputs.shape, inputs.dtype) == (expected[0], np.dtype(expected[1]))
    assert inputs.flags.c_contiguous


def test_function_of_the_user_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(
        "import numpy as np\n"
        "def build():\n    return {'x': np.zeros((20, 3)) + np.arange(3), 'y': np.arange(20) % 2}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    dataset = load_dataset("own_data:build")
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (16, 4)
    sys.modules.pop("own_data")


def test_fashion_mnist_is_read_from_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    write_fashion(tmp_path / "fashion-mnist")
    dataset = load_dataset("fashion-mnist")
    assert dataset.train_inputs.shape == (40, 1, 28, 28)
    assert dataset.test_labels.tolist() == [i % 10 for i in range(20)]
    assert dataset.class_names[9] == "Ankle boot"


def test_fashion_rows_are_the_same_pixels_as_sequences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    write_fashion(tmp_path / "fashion-mnist")
    rows, images = load_dataset("fashion-rows"), load_dataset("fashion-mnist")
    assert rows.train_inputs.shape == (40, 28, 28)
    assert np.array_equal(rows.test_inputs, images.test_inputs[:, 0])
    assert rows.fingerprint != images.fingerprint
    assert len(list((tmp_path / "arrays").iterdir())) == 1  # they share the file


def test_the_jargon_file_is_cut_into_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    text = "foo: the first metasyntactic variable. " * 50
    (tmp_path / "jargon.txt.gz").write_bytes(gzip.compress(text.encode()))
    config = DataConfig(dataset="jargon", task="language", sequence_length=12)
    dataset = datasets.load_dataset(config)
    assert dataset.train_inputs.shape == (120, 12)
    assert dataset.train_inputs.dtype == np.uint8
    first = "".join(dataset.class_names[token] for token in dataset.train_inputs[0])
    assert first == text[:12]
    assert "".join(dataset.class_names[token] for token in dataset.train_labels[0]) == text[1:13]


def test_validation_windows_come_after_the_training_windows(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some text of mine, over and over. " * 50)
    config = DataConfig(dataset=f"text:{tmp_path / 'text'}", task="language", sequence_length=9)
    train, validation = split_indices(datasets.load_dataset(config), config, 0)
    assert (train.min(), train.max() + 1) == (0, validation.min())
    assert len(validation) == 27


def test_a_table_has_the_classes_of_its_target_and_a_fifth_is_reserved_for_testing(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{n},{('rose', 'tulip')[n % 2]},{n / 3}\n" for n in range(50))
    (tmp_path / "table.csv").write_text("size,kind,weight\n" + rows)
    by_kind, by_weight = (
        datasets.load_dataset(
            DataConfig(dataset=f"csv:{tmp_path / 'table.csv'}", task=task, target=target)
        )
        for task, target in (("classification", "kind"), ("regression", None))
    )
    assert by_kind.class_names == ("rose", "tulip")
    assert (by_kind.train_inputs.shape, by_kind.test_inputs.shape) == ((40, 2), (10, 2))
    assert by_weight.class_names == ()
    assert by_weight.train_inputs.shape == (40, 3)
    assert max(by_weight.train_labels.max(), by_weight.test_labels.max()) == pytest.approx(49 / 3)


def test_names_of_classes_are_kept_with_the_arrays(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n" + "1,x\n2,y\n" * 10)
    config = DataConfig(dataset=f"csv:{tmp_path / 'table.csv'}")
    assert [datasets.load_dataset(config).class_names for _ in range(2)] == [("x", "y")] * 2


@pytest.mark.parametrize(
    ("name", "asked", "task"),
    [
        ("digits", None, "classification"),
        ("jargon", None, "language"),
        ("text:x", None, "language"),
        ("csv:x", None, "classification"),
        ("csv:x", "regression", "regression"),
        ("npz:x", "language", "language"),
        ("mine.data:build", "regression", "regression"),
    ],
)
def test_task_is_known_without_reading_the_data(name: str, asked: Any, task: str) -> None:
    assert choose_task(name, asked) == task


# ---------------------------------------------------------------- caching


def test_arrays_are_mapped_into_memory() -> None:
    dataset = load_dataset("digits")
    assert isinstance(dataset.train_inputs, np.memmap)
    assert isinstance(dataset.test_inputs, np.memmap)


def test_data_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    name = save(tmp_path, x=X, y=Y)
    load_dataset(name)
    [entry] = (tmp_path / "cache" / "arrays").iterdir()
    before = {file.name: file.stat().st_mtime_ns for file in entry.iterdir()}
    load_dataset(name)
    assert {file.name: file.stat().st_mtime_ns for file in entry.iterdir()} == before
    assert sorted(before) == sorted(["manifest.json", *(f"{part}.npy" for part in NAMES)])


def test_changed_file_is_decoded_again_and_has_another_fingerprint(tmp_path: Path) -> None:
    before = load_dataset(save(tmp_path, x=X, y=Y)).fingerprint
    after = load_dataset(save(tmp_path, x=with_value(X, (0, 0), 7), y=Y)).fingerprint
    assert before != after


def test_equal_arrays_have_equal_fingerprints(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = load_dataset(save(tmp_path, x=X, y=Y)).fingerprint
    assert load_dataset(save(tmp_path / "other", x=X, y=Y)).fingerprint == first


@pytest.mark.parametrize("damage", ["manifest.json", "train_inputs.npy"])
@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_damaged_cache_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, content: bytes | None
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    name = save(tmp_path, x=X, y=Y)
    expected = load_dataset(name).fingerprint
    [entry] = (tmp_path / "cache" / "arrays").iterdir()
    (entry / damage).unlink()
    if content is not None:
        (entry / damage).write_bytes(content)
    assert load_dataset(name).fingerprint == expected
    assert [path.name for path in (tmp_path / "cache" / "arrays").iterdir()] == [entry.name]


def test_many_processes_may_decode_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    name = save(tmp_path, x=X, y=Y)
    with multiprocessing.get_context("forkserver").Pool(4) as pool:
        loaded = pool.map(datasets.load_dataset, [DataConfig(dataset=name)] * 8, chunksize=1)
    assert {dataset.fingerprint for dataset in loaded} == {load_dataset(name).fingerprint}
    assert len(list((tmp_path / "cache" / "arrays").iterdir())) == 1


def test_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="set BAKEOFF_DATA"):
        load_dataset(save(tmp_path, x=X, y=Y))


# ---------------------------------------------------------------- errors


BAD_ARRAYS = {
    "missing_key": ({"x": X}, r"y_train missing \(it holds x\)"),
    "other_keys": (
        {"images": X, "labels": Y},
        r"x_train and y_train missing \(it holds images, labels\)",
    ),
    "half_a_test_set": ({"x": X, "y": Y, "x_test": X}, "must come together"),
    "lengths": ({"x": X, "y": Y[:-1]}, "differ in length: 40 and 39"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "is empty"),
    "one_dimension": ({"x": X[:, 0], "y": Y}, r"shape \[40\]; allowed"),
    "nan": ({"x": with_value(X, (7, 1), np.nan), "y": Y}, "1 NaN or infinite .* sample 7"),
    "infinite": ({"x": with_value(X, (3, 0), np.inf), "y": Y}, "1 NaN or infinite .* sample 3"),
    "too_large": (
        {"x": with_value(X.astype(float), (9, 0), 1e300), "y": Y},
        "infinite .* sample 9",
    ),
    "channels_last": (
        {"x": np.zeros((40, 8, 9, 3), np.uint8), "y": Y},
        r"\[8, 9, 3\], which looks like \[H, W, C\]; channels come first",
    ),
    "text": ({"x": X.astype(str), "y": Y}, "x_train has dtype <U.*; it must hold numbers"),
    "complex": ({"x": X.astype(complex), "y": Y}, "it must hold numbers"),
    "negative_label": ({"x": X, "y": with_value(Y, 2, -1)}, "has the label -1"),
    "float_labels": ({"x": X, "y": Y + 0.5}, "dtype float64; labels must be integers"),
    "one_hot_labels": (
        {"x": X, "y": np.eye(4, dtype=int)[Y]},
        r"shape \[40, 4\]; it must be \[N\]",
    ),
    "one_class": ({"x": X, "y": Y * 0}, r"one class only \(label 0\)"),
    "label_gap": ({"x": X, "y": np.where(Y == 2, 9, Y)}, "up to 9 but no sample of class 2"),
    "scarce_class": ({"x": X, "y": with_value(Y % 2, 0, 2)}, r"class 2 has too few samples \(1\)"),
    "test_label": ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "y_test has the label 4"),
    "test_shape": (
        {"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y},
        r"shape \[3\], of x_test \[2\]",
    ),
    "test_dtype": (
        {"x": X, "y": Y, "x_test": X.astype(np.uint8), "y_test": Y},
        "x_train is float32, x_test is uint8",
    ),
    "pickled": (
        {"x": np.array([{}] * 40, dtype=object), "y": Y},
        "holds an array of Python objects, which is never unpickled",
    ),
}


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_unusable_arrays_are_refused_naming_file_and_fault(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    name = save(tmp_path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(name)
    assert str(tmp_path / "mine.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.exists, "No such file"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"\x93NUMPY and so on"), "not an .npz file"),
        (lambda path: path.write_bytes(b"\x80\x04K\x01."), "not an .npz file"),
    ],
    ids=["missing", "folder", "empty", "npy", "pickle"],
)
def test_file_that_is_not_an_npz_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "bad.npz")
    with pytest.raises(DataError, match=message):
        load_dataset(f"npz:{tmp_path / 'bad.npz'}")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated_npz_is_refused(tmp_path: Path, kept: float) -> None:
    save(tmp_path, x=X, y=Y)
    data = (tmp_path / "mine.npz").read_bytes()
    (tmp_path / "mine.npz").write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DataError, match=r"mine\.npz"):
        load_dataset(f"npz:{tmp_path / 'mine.npz'}")


def test_npz_that_unpacks_to_more_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = save(tmp_path, x=X, y=Y)
    monkeypatch.setattr(os, "sysconf", lambda _: 16)
    with pytest.raises(DataError, match=r"mine\.npz: unpacks to 0\.0 GB, more than the 0\.0 GB of"):
        load_dataset(name)


@pytest.mark.parametrize("position", range(60, 300, 40))
def test_npz_with_a_flipped_bit_in_its_numbers_is_refused(tmp_path: Path, position: int) -> None:
    save(tmp_path, x=X, y=Y)
    with zipfile.ZipFile(tmp_path / "mine.npz") as archive:
        start = archive.getinfo("x.npy").header_offset
    data = bytearray((tmp_path / "mine.npz").read_bytes())
    data[start + 128 + position] ^= 1
    (tmp_path / "mine.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"mine\.npz"):
        load_dataset(f"npz:{tmp_path / 'mine.npz'}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"plain", "not an IDX file"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x09" + bytes(9))[:-12], "cannot be read"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\x01" + bytes(4)), "not an IDX file"),
        (gzip.compress(b"\0\0"), "not an IDX file"),
        (gzip.compress(b"\0\0\x08\x03\0\0"), "does not fit its shape"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x09" + bytes(8)), "does not fit its shape"),
    ],
    ids=["empty", "plain", "truncated", "type", "header", "sizes", "short"],
)
def test_damaged_idx_file_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "images.gz").write_bytes(data)
    with pytest.raises(DataError, match=message):
        readers.read_idx(tmp_path / "images.gz")


def test_missing_fashion_mnist_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import FashionMNIST

    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    monkeypatch.setattr(dataset_table, "DEBIAN_FASHION_FOLDER", tmp_path / "absent")
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        load_dataset("fashion-mnist")


def test_damaged_fashion_mnist_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    folder = write_fashion(tmp_path / "fashion-mnist")
    os.truncate(folder / FASHION_FILES[0], 100)
    with pytest.raises(DataError, match=FASHION_FILES[0]):
        load_dataset("fashion-mnist")


@pytest.mark.parametrize("name", ["digit", "npx", "fashion mnist"])
def test_message_about_an_unknown_data_set_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"allowed: digits, .*emnist, or npz:"):
        load_dataset(name)


# ---------------------------------------------------------------- splits


def test_training_and_validation_rows_are_disjoint_and_complete() -> None:
    dataset = load_dataset("digits")
    train, validation = split_indices(dataset, DataConfig(dataset="digits"), 0)
    assert sorted([*train, *validation]) == list(range(1438))


def test_split_depends_on_its_seed_only() -> None:
    dataset, config = load_dataset("digits"), DataConfig(dataset="digits")
    first, again, other = (split_indices(dataset, config, seed)[1] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_smaller_training_set_is_part_of_a_larger_one_and_validation_is_unchanged() -> None:
    dataset = load_dataset("digits")
    few, many = (
        split_indices(dataset, DataConfig(dataset="digits", train_samples=count), 0)
        for count in (100, 300)
    )
    assert (len(few[0]), len(many[0])) == (100, 300)
    assert set(few[0]) < set(many[0])
    assert few[1].tolist() == many[1].tolist()


def test_imbalance_removes_training_rows_only() -> None:
    dataset = load_dataset("digits")
    plain, tailed = (
        split_indices(dataset, DataConfig(dataset="digits", imbalance=imbalance), 0)
        for imbalance in (None, 20)
    )
    counts = np.bincount(dataset.train_labels[tailed[0]])
    assert (counts.max(), counts.min()) == (counts[0], counts[-1])
    assert counts[0] / counts[-1] == pytest.approx(20, rel=0.1)
    assert set(tailed[0]) < set(plain[0])
    assert tailed[1].tolist() == plain[1].tolist()


def test_training_samples_are_counted_after_imbalance() -> None:
    dataset = load_dataset("digits")
    tailed, fewer = (
        split_indices(dataset, DataConfig(dataset="digits", imbalance=20, train_samples=count), 0)
        for count in (None, 100)
    )
    assert len(fewer[0]) == 100
    assert set(fewer[0]) < set(tailed[0])
    shares = [np.bincount(dataset.train_labels[rows]) / len(rows) for rows, _ in (tailed, fewer)]
    assert np.abs(shares[0] - shares[1]).max() < 0.02


def test_imbalance_that_empties_a_class_is_refused() -> None:
    with pytest.raises(DataError, match="digits: imbalance = 500: no sample of class 9 would be"):
        describe_dataset(DataConfig(dataset="digits", imbalance=500), 0)


@pytest.mark.parametrize("count", [9, 1151])
def test_impossible_number_of_training_samples_is_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"train_samples = {count} must lie between 10"):
        describe_dataset(DataConfig(dataset="digits", train_samples=count), 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_validation_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        describe_dataset(DataConfig(dataset="digits", validation_fraction=fraction), 0)


def test_fewer_samples_than_a_batch_are_refused() -> None:
    with pytest.raises(DataError, match="digits: 100 training samples are fewer than batch_size"):
        check_batch_size("digits", 100, 128)


def test_class_too_small_to_validate_on_is_refused(tmp_path: Path) -> None:
    labels = with_value(Y % 2, 0, 2)
    name = save(tmp_path, x=X, y=labels, x_test=X, y_test=Y % 2)
    with pytest.raises(DataError, match=r"class 2 has too few samples \(1\) .* for validation"):
        describe_dataset(DataConfig(dataset=name), 0)
    shutil.rmtree(tmp_path)


def rows_of(inputs: Any) -> set[bytes]:
    return {row.tobytes() for row in np.asarray(inputs)}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_reserved_test_set_is_drawn_anew_from_all_samples(tmp_path: Path, task: Task) -> None:
    inputs = np.arange(300, dtype=np.float32).reshape(100, 3)
    labels = np.arange(100) % 4 if task == "classification" else inputs[:, 0]
    dataset = load_dataset(save(tmp_path, x=inputs, y=labels), task)
    assert dataset.test_is_reserved
    drawn = {seed: redraw_test(dataset, seed) for seed in (1, 2)}
    assert redraw_test(dataset, None) is dataset
    for one in drawn.values():
        assert len(one.test_labels) == len(dataset.test_labels) == 20
        assert rows_of(one.train_inputs) | rows_of(one.test_inputs) == rows_of(inputs)
        assert not rows_of(one.train_inputs) & rows_of(one.test_inputs)
        of_row = dict(zip(map(bytes, inputs), labels, strict=True))
        for row, label in zip(one.test_inputs, one.test_labels, strict=True):
            assert of_row[bytes(row)] == label
        assert one.fingerprint == dataset.fingerprint
    assert rows_of(drawn[1].test_inputs) != rows_of(drawn[2].test_inputs)


def test_a_test_set_that_came_with_the_data_stays(tmp_path: Path) -> None:
    inputs = np.arange(120, dtype=np.float32).reshape(40, 3)
    labels = np.arange(40) % 2
    dataset = load_dataset(
        save(tmp_path, x_train=inputs, y_train=labels, x_test=inputs[:9], y_test=labels[:9])
    )
    assert not dataset.test_is_reserved
    assert redraw_test(dataset, 7) is dataset


def test_splits_that_cannot_be_drawn_are_found_before_anything_runs(tmp_path: Path) -> None:
    inputs = np.arange(60, dtype=np.float32).reshape(20, 3)
    path = save(tmp_path, x=inputs, y=np.repeat([0, 1], [17, 3]))
    config = DataConfig(dataset=path, validation_fraction=0.2)
    check_splits(config, [(1, None), (2, 3)])
    with pytest.raises(DataError, match="class 1 has too few samples"):
        check_splits(replace(config, validation_fraction=0.9), [(1, None)])


# ---------------------------------------------------------------- digits that float32 would lose


def test_targets_keep_their_digits_only_where_float32_would_lose_them(tmp_path: Path) -> None:
    large = 1.7e9 + np.arange(40) / 8
    kept = load_dataset(save(tmp_path, x=X, y=large), "regression")
    both = np.concatenate([kept.train_labels, kept.test_labels])
    assert sorted(both.tolist()) == large.tolist()
    usual = load_dataset(save(tmp_path, x=X, y=large - 1.7e9), "regression")
    assert usual.train_labels.dtype == np.float32


def test_features_whose_digits_float32_would_lose_are_refused(tmp_path: Path) -> None:
    seconds = np.column_stack([np.arange(40.0), 1.7e9 + np.arange(40)])
    with pytest.raises(DataError, match=r"too few digits of column 1 \(for example 1700000000"):
        load_dataset(save(tmp_path, x=seconds, y=Y))


def test_a_scarce_class_is_called_by_its_name(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'Lion' if n == 7 else 'CatDog'[n % 2 * 3 :][:3]}\n" for n in range(60))
    (tmp_path / "d.csv").write_text(f"x,kind\n{rows}")
    with pytest.raises(DataError, match="class 'Lion' has too few samples"):
        load_dataset(f"csv:{tmp_path / 'd.csv'}")


def test_what_reading_changed_is_said_again_from_the_cache(tmp_path: Path) -> None:
    rows = "".join(f"{1_700_000_000 + n},{n % 2}\n" for n in range(60))
    (tmp_path / "d.csv").write_text(f"t,y\n{rows}")
    config = DataConfig(dataset=f"csv:{tmp_path / 'd.csv'}", task="classification")
    for _ in range(2):
        note, counts = describe_dataset(config, 0).notes
        assert counts == "column 't' counts the rows and is used as a feature"
        assert note.startswith("1700000030 is subtracted from column 't'")
