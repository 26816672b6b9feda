"""The registered data sets, and what any data set is: samples with labels, a locked test set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bakeoff.data.array_cache import FINGERPRINT_DIGITS, data_folder, load_cached
from bakeoff.data.arrays import Arrays, Inputs, check_arrays
from bakeoff.data.inputs import Feature, InputKind
from bakeoff.data.readers import check_file, digits_file, read_digits, read_idx
from bakeoff.data.sample_source import SampleInputs
from bakeoff.data.text_file import load_text
from bakeoff.errors import DataError
from bakeoff.records import DataConfig, Task
from bakeoff.registry import Registry

FASHION_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
DEBIAN_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts them."""
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN_JARGON_FILE = Path("/usr/share/doc/jargon-text/jargon.txt.gz")
"""Where the Debian package jargon-text puts it."""
SEQUENCE_LENGTH = 64
"""Tokens in a sample of text, unless the study file says otherwise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set in memory, mapped into it, or fetched sample by sample.

    The arrays are as `bakeoff.data.arrays` describes them.
    """

    name: str
    task: Task
    train_inputs: Inputs | SampleInputs
    train_labels: Inputs
    test_inputs: Inputs | SampleInputs
    test_labels: Inputs
    class_names: tuple[str, ...]
    """Of a language model the tokens; empty in regression."""
    source: str
    licence: str
    fingerprint: str
    """Depends on every value of every array; of samples that are fetched, on some only."""
    features: tuple[Feature, ...] = ()
    """Of a table, in the order of the inputs."""

    @property
    def num_outputs(self) -> int:
        """Numbers a model gives: classes, tokens of the vocabulary, or 1 in regression."""
        return len(self.class_names) or 1


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """One registered data set."""

    name: str
    description: str
    source: str
    licence: str
    find: Callable[[], tuple[Path, ...]]
    """Finds, or fetches, the files it is read from."""
    load: Callable[[tuple[Path, ...], DataConfig], tuple[Arrays, str]]
    """Files -> arrays and their fingerprint."""
    inputs: InputKind
    task: Task = "classification"
    class_names: tuple[str, ...] = ()
    """Empty where reading it tells."""
    keys: tuple[str, ...] = ()
    """Keys of `[data]` that only some data sets have."""


def load_registered(spec: DatasetSpec, config: DataConfig) -> Dataset:
    """A registered data set; its files are read once, and what they hold is then mapped.

    Raises:
        DataError: It is missing, and the message says how to get it; or damaged.
    """
    files = spec.find()
    for file in files:
        check_file(file)
    arrays, digest = spec.load(files, config)
    return name_arrays(
        replace(arrays, class_names=spec.class_names or arrays.class_names),
        name=spec.name,
        task=spec.task,
        digest=digest,
        source=spec.source,
        licence=spec.licence,
    )


def name_arrays(
    arrays: Arrays, *, name: str, task: Task, digest: str, source: str, licence: str = "your own"
) -> Dataset:
    """The data set made of `arrays`; classes and tokens without names are called by number."""
    return Dataset(
        name=name,
        task=task,
        train_inputs=arrays.train_inputs,
        train_labels=arrays.train_labels,
        test_inputs=arrays.test_inputs,
        test_labels=arrays.test_labels,
        class_names=arrays.class_names or _number_classes(arrays, task),
        source=source,
        licence=licence,
        fingerprint=digest,
        features=arrays.features,
    )


def _number_classes(arrays: Arrays, task: Task) -> tuple[str, ...]:
    """Names for classes or tokens that have none; regression has no classes."""
    if task == "regression":
        return ()
    labelled = [arrays.train_labels]
    if task == "language":
        labelled += [arrays.train_inputs, arrays.test_inputs, arrays.test_labels]
    highest = max(int(part.max()) for part in labelled)
    return tuple(str(label) for label in range(highest + 1))


# ---------------------------------------------------------------- digits


def _load_digits(files: tuple[Path, ...], _: DataConfig) -> tuple[Arrays, str]:
    return load_cached("digits", files, lambda: check_arrays(read_digits(files[0]), "digits"))


# ---------------------------------------------------------------- Fashion-MNIST


def has_fashion_files() -> bool:
    """Whether Fashion-MNIST is on this machine, so that nothing need be downloaded."""
    return _local_fashion_files() is not None


def _local_fashion_files() -> tuple[Path, ...] | None:
    own, fetched = data_folder() / "fashion-mnist", data_folder() / "FashionMNIST" / "raw"
    for folder in (own, DEBIAN_FASHION_FOLDER, fetched):
        files = tuple(folder / name for name in FASHION_FILES)
        if all(file.is_file() for file in files):
            return files
    return None


def _find_fashion_files() -> tuple[Path, ...]:
    return _local_fashion_files() or _fetch_fashion_files(data_folder() / "FashionMNIST" / "raw")


def _fetch_fashion_files(folder: Path) -> tuple[Path, ...]:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(root=str(folder.parent.parent), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"fashion-mnist: not found in {data_folder() / 'fashion-mnist'} or "
            f"{DEBIAN_FASHION_FOLDER}, and the download failed ({error}); "
            "get it with: apt-get install dataset-fashion-mnist"
        ) from None
    return tuple(folder / name for name in FASHION_FILES)


def _decode_fashion(files: tuple[Path, ...]) -> Mapping[str, NDArray[Any]]:
    names = ("x_train", "y_train", "x_test", "y_test")
    return {name: read_idx(file) for name, file in zip(names, files, strict=True)}


def _load_fashion(files: tuple[Path, ...], _: DataConfig) -> tuple[Arrays, str]:
    return load_cached(
        "fashion-mnist", files, lambda: check_arrays(_decode_fashion(files), "fashion-mnist")
    )


def _load_fashion_rows(files: tuple[Path, ...], config: DataConfig) -> tuple[Arrays, str]:
    """The same arrays on disk, seen as sequences [28, 28]."""
    arrays, digest = _load_fashion(files, config)
    rows = replace(
        arrays, train_inputs=arrays.train_inputs[:, 0], test_inputs=arrays.test_inputs[:, 0]
    )
    return rows, sha256(f"rows of {digest}".encode()).hexdigest()[:FINGERPRINT_DIGITS]


# ---------------------------------------------------------------- the Jargon File


def _find_jargon_file() -> tuple[Path, ...]:
    own = data_folder() / DEBIAN_JARGON_FILE.name
    for file in (own, DEBIAN_JARGON_FILE):
        if file.is_file():
            return (file,)
    raise DataError(
        f"jargon: not found as {own} or {DEBIAN_JARGON_FILE}; "
        "get it with: apt-get install jargon-text"
    )


def _load_jargon(files: tuple[Path, ...], config: DataConfig) -> tuple[Arrays, str]:
    return load_text(files[0], config.sequence_length or SEQUENCE_LENGTH)


DATASETS: Registry[DatasetSpec] = Registry(
    "dataset",
    (
        DatasetSpec(
            name="digits",
            description="1,797 handwritten digits of 8x8 pixels; ships with scikit-learn",
            source="https://archive.ics.uci.edu/dataset/80 (Alpaydin and Kaynak 1998)",
            licence="CC BY 4.0",
            class_names=tuple("0123456789"),
            inputs="image",
            find=lambda: (digits_file(),),
            load=_load_digits,
        ),
        DatasetSpec(
            name="fashion-mnist",
            description="70,000 pictures of clothes of 28x28 pixels, in ten classes",
            source="https://github.com/zalandoresearch/fashion-mnist (Xiao et al. 2017)",
            licence="MIT",
            class_names=FASHION_CLASSES,
            inputs="image",
            find=_find_fashion_files,
            load=_load_fashion,
        ),
        DatasetSpec(
            name="fashion-rows",
            description="The same pictures as sequences of 28 rows, for recurrent networks",
            source="https://github.com/zalandoresearch/fashion-mnist (Xiao et al. 2017)",
            licence="MIT",
            class_names=FASHION_CLASSES,
            inputs="rows",
            find=_find_fashion_files,
            load=_load_fashion_rows,
        ),
        DatasetSpec(
            name="jargon",
            description="The Jargon File 4.4.7: 1.6 million characters on hackers' slang",
            source="http://www.catb.org/~esr/jargon (ed. Raymond 2003)",
            licence="public domain",
            inputs="tokens",
            task="language",
            keys=("sequence_length",),
            find=_find_jargon_file,
            load=_load_jargon,
        ),
    ),
)
