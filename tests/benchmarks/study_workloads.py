"""The workloads of the study benchmark: their data, ranges and study files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split

from bakeoff.data.dataset_table import find_fashion_files
from bakeoff.data.readers import read_idx

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "sgd": {"learning_rate": (1e-3, 1.0), "weight_decay": (1e-6, 1e-2)},
    "adam": {"learning_rate": (1e-4, 1e-1), "weight_decay": (1e-6, 1e-2)},
    "adamw": {"learning_rate": (1e-4, 1e-1), "weight_decay": (1e-4, 1.0)},
    "rmsprop": {"learning_rate": (1e-5, 1e-2), "weight_decay": (1e-6, 1e-2)},
}
"""Searched in the logarithm. Everything else of an optimizer has its usual value."""
DROPOUT = (0.0, 0.5)
SPLIT_SEED = 0
Split = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One study."""

    name: str
    title: str
    read: Callable[[], Split]
    model: str
    """Name of a class in `peers/networks.py`."""
    epochs: int
    batch_size: int
    trials_per_optimizer: int

    @property
    def num_trials(self) -> int:
        """Trials of the whole study."""
        return self.trials_per_optimizer * len(OPTIMIZERS)

    def task(self, data: Path) -> dict[str, Any]:
        """What the peers' scripts read."""
        return {
            "data": str(data),
            "model": self.model,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "trials": self.num_trials,
            "ranges": RANGES,
            "dropout": DROPOUT,
        }

    def study_file(self, data: Path, seed: int) -> str:
        """The same as a study file: no confirmation and no library defaults, which peers lack."""
        spaces = "\n".join(_space(name) for name in OPTIMIZERS)
        return (
            STUDY.format(
                seed=seed,
                data=data,
                model=self.model,
                dropout=_range(DROPOUT, is_log=False),
                epochs=self.epochs,
                batch_size=self.batch_size,
                optimizers=list(OPTIMIZERS),
                trials=self.trials_per_optimizer,
            )
            + spaces
        )


STUDY = """\
[study]
name = "ours"
seed = {seed}

[data]
dataset = "npz:{data}"

[model]
model = "networks:{model}"
dropout = {dropout}

[training]
epochs = {epochs}
batch_size = {batch_size}

[search]
optimizers = {optimizers}
schedulers = ["cosine"]
trials_per_arm = {trials}
defaults = false

[confirm]
seeds = 0

[space.cosine]
warmup_fraction = 0.0

"""
FIXED = {"sgd": "momentum = 0.9\n", "rmsprop": "momentum = 0.0\n"}
FIXED |= dict.fromkeys(("adam", "adamw"), "beta1 = 0.9\n")


def _space(optimizer: str) -> str:
    ranges = RANGES[optimizer].items()
    lines = "".join(f"{key} = {_range(limits, is_log=True)}\n" for key, limits in ranges)
    return f"[space.{optimizer}]\n{lines}{FIXED[optimizer]}"


def _range(limits: tuple[float, float], *, is_log: bool) -> str:
    low, high = limits
    return f"{{ low = {low}, high = {high}{', log = true' if is_log else ''} }}"


def write_arrays(workload: Workload, path: Path) -> None:
    """Write the samples of a workload, which every contender then reads."""
    np.savez(path, **workload.read())


def read_fashion() -> Split:
    """8,000 training and 2,000 validation images, and all test images, as bytes [N, 1, 28, 28]."""
    files = find_fashion_files()
    if files is None:
        raise SystemExit("Fashion-MNIST is missing: apt-get install dataset-fashion-mnist")
    images, labels, test_images, test_labels = map(read_idx, files)
    chosen = np.random.default_rng(SPLIT_SEED).permutation(len(labels))[:10_000]
    train, val = chosen[:8000], chosen[8000:]
    shape = (-1, 1, 28, 28)
    return {
        "x_train": images[train].reshape(shape),
        "y_train": labels[train],
        "x_val": images[val].reshape(shape),
        "y_val": labels[val],
        "x_test": test_images.reshape(shape),
        "y_test": test_labels,
    }


def read_digits() -> Split:
    """1,797 images of 8x8 as 64 numbers."""
    return _split(*load_digits(return_X_y=True))


def read_table() -> Split:
    """6,000 rows of 30 numbers in 4 classes, 12 of which tell the class; every 20th is mislabelled."""
    return _split(
        *make_classification(
            6000,
            30,
            n_informative=12,
            n_redundant=6,
            n_classes=4,
            n_clusters_per_class=3,
            flip_y=0.05,
            random_state=SPLIT_SEED,
        )
    )


def _split(inputs: NDArray[Any], labels: NDArray[Any]) -> Split:
    """60 % to train, 20 % to validate, 20 % to test, each class alike."""
    x_rest, x_test, y_rest, y_test = train_test_split(
        inputs.astype(np.float32),
        labels,
        test_size=0.2,
        stratify=labels,
        random_state=SPLIT_SEED,
    )
    x_train, x_val, y_train, y_val = train_test_split(
        x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=SPLIT_SEED
    )
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_val": x_val,
        "y_val": y_val,
        "x_test": x_test,
        "y_test": y_test,
    }


WORKLOADS = {
    one.name: one
    for one in (
        Workload(
            name="cnn",
            title="A small CNN on 8,000 images of Fashion-MNIST",
            read=read_fashion,
            model="SmallCnn",
            epochs=4,
            batch_size=64,
            trials_per_optimizer=4,
        ),
        Workload(
            name="digits",
            title="A small MLP on the digits of scikit-learn",
            read=read_digits,
            model="Mlp",
            epochs=12,
            batch_size=32,
            trials_per_optimizer=8,
        ),
        Workload(
            name="tabular",
            title="A small MLP on a table made by scikit-learn",
            read=read_table,
            model="Mlp",
            epochs=15,
            batch_size=64,
            trials_per_optimizer=8,
        ),
    )
}
