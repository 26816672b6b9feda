"""Sets that torchvision downloads, from files of their formats that the tests write."""

import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from numpy.typing import NDArray

from bakeoff.data.datasets import load_dataset
from bakeoff.errors import DataError
from bakeoff.records import DataConfig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    return tmp_path


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def write_mnist(folder: Path, prefixes: tuple[str, str], classes: int) -> NDArray[np.uint8]:
    images = np.random.default_rng(0).integers(0, 256, (2 * classes, 28, 28), dtype=np.uint8)
    for prefix in prefixes:
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        labels = np.arange(2 * classes, dtype=np.uint8) % classes
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return images


def test_mnist_is_read_from_the_files_of_torchvision(folder: Path) -> None:
    images = write_mnist(folder / "MNIST" / "raw", ("train", "t10k"), 10)

    found = load_dataset(DataConfig(dataset="mnist"))

    assert np.array_equal(found.train_inputs[:, 0], images)  # type: ignore[index]
    assert found.train_labels.tolist() == [*range(10), *range(10)]
    assert found.class_names == tuple("0123456789")
    assert load_dataset(DataConfig(dataset="mnist")).fingerprint == found.fingerprint


def test_letters_of_emnist_stand_upright(folder: Path) -> None:
    names = ("emnist-balanced-train", "emnist-balanced-test")
    images = write_mnist(folder / "EMNIST" / "raw", names, 47)

    found = load_dataset(DataConfig(dataset="emnist"))

    assert np.array_equal(found.test_inputs[3, 0], images[3].T)  # type: ignore[index]
    assert found.class_names[36] == "a"
    assert len(found.class_names) == 47


def write_batch(path: Path, labels: str, classes: int) -> tuple[str, str]:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(1).integers(0, 256, (2 * classes, 3072), dtype=np.uint8)
    batch = {"data": pixels, labels: [*range(classes)] * 2}
    path.write_bytes(pickle.dumps(batch))
    return path.name, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_colours_of_cifar_are_the_channels_of_its_images(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = folder / "cifar-10-batches-py"
    batches = [write_batch(inner / f"data_batch_{number}", "labels", 10) for number in range(1, 6)]
    tests = [write_batch(inner / "test_batch", "labels", 10)]
    names: dict[str, Any] = {"label_names": list("abcdefghij")}
    (inner / "batches.meta").write_bytes(pickle.dumps(names))
    digest = hashlib.md5((inner / "batches.meta").read_bytes(), usedforsecurity=False).hexdigest()
    cifar = torchvision.datasets.CIFAR10
    monkeypatch.setattr(cifar, "train_list", batches)
    monkeypatch.setattr(cifar, "test_list", tests)
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": digest})

    found = load_dataset(DataConfig(dataset="cifar10"))

    raw = pickle.loads((inner / "data_batch_1").read_bytes())["data"]  # noqa: S301 - ours
    assert found.train_inputs.shape == (100, 3, 32, 32)
    assert np.array_equal(found.train_inputs[4], raw[4].reshape(3, 32, 32))  # type: ignore[index]
    assert found.class_names[0] == "airplane"


def test_a_download_that_fails_says_which_files_to_get(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("<urlopen error no network>")

    monkeypatch.setattr(torchvision.datasets, "SVHN", refuse)

    with pytest.raises(DataError, match=r"no network.*housenumbers.*train_32x32\.mat") as raised:
        load_dataset(DataConfig(dataset="svhn"))

    assert str(folder) in str(raised.value)
