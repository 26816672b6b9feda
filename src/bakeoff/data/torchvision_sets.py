"""Well-known sets of images that torchvision downloads when a study first asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import data_folder, load_cached
from bakeoff.data.arrays import Arrays, check_arrays
from bakeoff.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Download:
    """A set of images that torchvision can fetch."""

    name: str
    class_name: str
    """The class in `torchvision.datasets`."""
    files: tuple[str, ...]
    """The files that it reads, below the data folder."""
    url: str
    """Where people find the files if the download fails."""
    train: Mapping[str, object] = field(default_factory=lambda: {"train": True})
    """Arguments of the class for the training set, and below for the test set."""
    test: Mapping[str, object] = field(default_factory=lambda: {"train": False})
    is_transposed: bool = False
    """Whether rows and columns of the images are exchanged in the files."""

    def is_here(self) -> bool:
        """Whether its files are on this machine."""
        return all(path.is_file() for path in self._paths())

    def load(self) -> tuple[Arrays, str]:
        """Return the arrays and their fingerprint; fetch the files if they are not there.

        Raises:
            DataError: The files are not there and cannot be downloaded, or are damaged.
        """
        if not self.is_here():
            self._open(self.train, download=True)
            self._open(self.test, download=True)
        return load_cached(self.name, self._paths(), self._decode)

    def _paths(self) -> list[Path]:
        return [data_folder() / name for name in self.files]

    def _decode(self) -> Arrays:
        train, test = self._open(self.train), self._open(self.test)
        found: dict[str, NDArray[Any]] = {
            "x_train": self._images(train.data),
            "y_train": _labels(train),
            "x_test": self._images(test.data),
            "y_test": _labels(test),
        }
        return check_arrays(found, self.name)

    def _open(self, which: Mapping[str, object], *, download: bool = False) -> Any:
        from torchvision import datasets

        try:
            return getattr(datasets, self.class_name)(
                root=str(data_folder()), download=download, **which
            )
        except (OSError, RuntimeError, ValueError) as error:
            missing = ", ".join(self.files)
            raise DataError(
                f"{self.name}: not found in {data_folder()}, and the download failed"
                f" ({' '.join(str(error).split())[:200]}); get {self.url} and put {missing} there"
                if download
                else f"{self.name}: {data_folder() / self.files[0]} is damaged ({error})"
            ) from None

    def _images(self, data: Any) -> NDArray[np.uint8]:
        """The images as bytes: grey ones [N, H, W], others [N, 3, H, W]."""
        images = np.asarray(data)
        if self.is_transposed:
            images = images.swapaxes(1, 2)
        has_channels_last = images.ndim == len("NHWC") and images.shape[-1] == len("RGB")
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if has_channels_last else images)


def _labels(part: Any) -> NDArray[np.int64]:
    labels: Sequence[int] = part.targets if hasattr(part, "targets") else part.labels
    return np.asarray(labels, dtype=np.int64)


def _idx_files(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(
        f"{folder}/{name}-{part}" for name in names for part in ("images-idx3", "labels-idx1")
    )


CIFAR10 = Download(
    name="cifar10",
    class_name="CIFAR10",
    files=tuple(
        f"cifar-10-batches-py/{name}"
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
    ),
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)
CIFAR100 = Download(
    name="cifar100",
    class_name="CIFAR100",
    files=("cifar-100-python/train", "cifar-100-python/test"),
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
)
MNIST = Download(
    name="mnist",
    class_name="MNIST",
    files=tuple(f"{name}-ubyte" for name in _idx_files("MNIST/raw", "train", "t10k")),
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
)
SVHN = Download(
    name="svhn",
    class_name="SVHN",
    files=("train_32x32.mat", "test_32x32.mat"),
    url="http://ufldl.stanford.edu/housenumbers/",
    train={"split": "train"},
    test={"split": "test"},
)
EMNIST = Download(
    name="emnist",
    class_name="EMNIST",
    files=tuple(
        f"{name}-ubyte"
        for name in _idx_files("EMNIST/raw", "emnist-balanced-train", "emnist-balanced-test")
    ),
    url="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
    train={"split": "balanced", "train": True},
    test={"split": "balanced", "train": False},
    is_transposed=True,
)
