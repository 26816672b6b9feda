"""The data sets: samples with a label each, and a locked test set.

A study names a registered data set, `npz:PATH`, or its own function `package.module:function`
that returns a mapping of the same arrays as an .npz file.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.components.array_cache import data_folder, fingerprint, load_cached
from bakeoff.components.arrays import Arrays, Inputs, check_arrays, hold_out_part
from bakeoff.components.inputs import InputKind
from bakeoff.components.readers import check_file, digits_file, read_digits, read_idx, read_npz
from bakeoff.components.splits import Indices, long_tail, stratified_order
from bakeoff.components.targets import losses_of_the_mean, measure_targets
from bakeoff.errors import DataError, UsageError, describe_unknown
from bakeoff.records import DataConfig, Loss, Task
from bakeoff.registry import Registry, is_reference, resolve
from bakeoff.seeding import derive_seed

NPZ_PREFIX = "npz:"
FASHION_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
DEBIAN_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set in memory, or mapped into it.

    The arrays are as `bakeoff.components.arrays` describes them.
    """

    name: str
    task: Task
    train_inputs: Inputs
    train_labels: Inputs
    test_inputs: Inputs
    test_labels: Inputs
    class_names: tuple[str, ...]
    """Of a language model the tokens; empty in regression."""
    source: str
    licence: str
    fingerprint: str
    """Depends on every value of every array."""

    @property
    def num_outputs(self) -> int:
        """Numbers a model gives: classes, tokens of the vocabulary, or 1 in regression."""
        return len(self.class_names) or 1


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """What a study needs to know of its data without reading it."""

    num_train: int
    num_validation: int
    num_test: int
    task: Task
    num_outputs: int
    """Classes, tokens of the vocabulary, or 1 in regression."""
    input_shape: tuple[int, ...]
    """Of one sample: (F,), (T, F), (C, H, W), or (L,) tokens."""
    fingerprint: str
    class_names: tuple[str, ...]
    target_deviation: float = 1.0
    """Of the training targets, in regression."""
    mean_losses: Mapping[Loss, float] = field(default_factory=dict)
    """Losses on validation of predicting the training mean, in regression."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """One registered data set."""

    name: str
    description: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    find: Callable[[], tuple[Path, ...]]
    """Finds, or fetches, the files it is decoded from."""
    decode: Callable[[tuple[Path, ...]], Mapping[str, NDArray[Any]]]
    """Files -> arrays as `check_arrays` takes them."""
    inputs: InputKind
    task: Task = "classification"


def choose_task(name: str, asked: Task | None) -> Task:
    """The task of a data set, without reading it.

    Registered data sets have theirs, your own have the one that the study file asks for.

    Raises:
        UsageError: The data set is for another task than the one asked for.
    """
    own = DATASETS[name].task if name in DATASETS else None
    if own is not None and asked not in (None, own):
        raise UsageError(f"{asked!r} does not go with {name!r}, which is for {own}")
    return own or asked or "classification"


def known_inputs(name: str, task: Task) -> InputKind | None:
    """What samples of a data set look like; None where only reading it tells."""
    if name in DATASETS:
        return DATASETS[name].inputs
    return "tokens" if task == "language" else None


def load_dataset(config: DataConfig) -> Dataset:
    """The data set that `config` names; its arrays are decoded once and then mapped.

    Raises:
        DataError: The data is missing or unusable; the message says how to get or mend it.
        UsageError: The name is unknown, or the function it refers to cannot be imported.
    """
    name = config.dataset
    if name.startswith(NPZ_PREFIX):
        return _load_npz(Path(name.removeprefix(NPZ_PREFIX)).expanduser(), config)
    if name in DATASETS:
        return _load_registered(DATASETS[name])
    if is_reference(name):
        return _load_function(config)
    raise UsageError(
        f"{describe_unknown('dataset', name, DATASETS.names)}, or npz:PATH, "
        "or a function as package.module:function"
    )


def split_indices(dataset: Dataset, config: DataConfig, split_seed: int) -> tuple[Indices, Indices]:
    """Rows of the training arrays to train on and rows to validate on, each sorted.

    Both are stratified by class; of text, the last part is validated on. `imbalance` then makes the
    rows to train on long-tailed, and `train_samples` keeps that many of them, a larger number
    always containing a smaller one; the validation rows depend on neither.

    Raises:
        DataError: Too few samples for such a split.
    """
    if not 0 < config.validation_fraction < 1:
        raise DataError(
            f"{dataset.name}: validation_fraction = {config.validation_fraction:g} "
            "must lie between 0 and 1"
        )
    try:
        train, validation = hold_out_part(
            np.asarray(dataset.train_labels),
            dataset.task,
            config.validation_fraction,
            derive_seed(split_seed, "validation"),
        )
    except ValueError as error:
        raise DataError(f"{dataset.name}: {error} for validation") from None
    if config.imbalance is not None:
        train = _make_long_tailed(dataset, train, config.imbalance, split_seed)
    if config.train_samples is not None:
        train = _keep_some(dataset, train, config.train_samples, split_seed)
    return train, validation


def describe_dataset(config: DataConfig, split_seed: int) -> DatasetSummary:
    """Sizes, shape, classes and fingerprint of a study's data.

    Raises:
        DataError: As `load_dataset` and `split_indices`.
        UsageError: As `load_dataset`.
    """
    dataset = load_dataset(config)
    train, validation = split_indices(dataset, config, split_seed)
    summary = DatasetSummary(
        num_train=len(train),
        num_validation=len(validation),
        num_test=len(dataset.test_labels),
        task=dataset.task,
        num_outputs=dataset.num_outputs,
        input_shape=tuple(dataset.train_inputs.shape[1:]),
        fingerprint=dataset.fingerprint,
        class_names=dataset.class_names,
    )
    if dataset.task != "regression":
        return summary
    targets = np.asarray(dataset.train_labels)
    scale = measure_targets(targets[train])
    return replace(
        summary,
        target_deviation=scale.deviation,
        mean_losses=losses_of_the_mean(targets[validation], scale),
    )


def check_batch_size(dataset: str, num_train: int, batch_size: int) -> None:
    """Make sure that a batch can be filled.

    Raises:
        DataError: There are fewer training samples than `batch_size`.
    """
    if num_train < batch_size:
        raise DataError(
            f"{dataset}: {num_train} training samples are fewer than batch_size = {batch_size}"
        )


def _make_long_tailed(
    dataset: Dataset, train: Indices, imbalance: float, split_seed: int
) -> Indices:
    labels = np.asarray(dataset.train_labels)[train]
    try:
        kept = long_tail(labels, imbalance, derive_seed(split_seed, "imbalance"))
    except ValueError as error:
        raise DataError(f"{dataset.name}: imbalance = {imbalance:g}: {error}") from None
    return train[kept]


def _keep_some(dataset: Dataset, train: Indices, count: int, split_seed: int) -> Indices:
    has_classes = dataset.task == "classification"
    least = dataset.num_outputs if has_classes else 1
    if not least <= count <= len(train):
        raise DataError(
            f"{dataset.name}: train_samples = {count} must lie between {least}"
            f"{', one of each class,' if has_classes else ''} and the {len(train)} there are"
        )
    seed = derive_seed(split_seed, "train_samples")
    if not has_classes:
        return np.sort(np.random.default_rng(seed).permutation(train)[:count])
    order = stratified_order(np.asarray(dataset.train_labels)[train], seed)
    return np.sort(train[order[:count]])


def _load_registered(spec: DatasetSpec) -> Dataset:
    files = spec.find()
    for file in files:
        check_file(file)
    arrays, digest = load_cached(
        spec.name, files, lambda: check_arrays(spec.decode(files), spec.name, spec.task)
    )
    return _name_arrays(
        arrays,
        name=spec.name,
        task=spec.task,
        digest=digest,
        class_names=spec.class_names,
        source=spec.source,
        licence=spec.licence,
    )


def _load_npz(path: Path, config: DataConfig) -> Dataset:
    check_file(path)
    entry = "npz" if config.task == "classification" else f"npz-{config.task}"
    arrays, digest = load_cached(
        entry, (path,), lambda: check_arrays(read_npz(path), str(path), config.task)
    )
    return _name_arrays(
        arrays, name=config.dataset, task=config.task, digest=digest, source=str(path)
    )


def _load_function(config: DataConfig) -> Dataset:
    name, build = config.dataset, resolve(config.dataset)
    if not callable(build):
        raise UsageError(f"dataset {name!r} is not a function")
    try:
        with redirect_stdout(sys.stderr):
            raw = build()
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        raise DataError(f"{name}: {type(error).__name__}: {error}") from error
    if not isinstance(raw, Mapping):
        raise DataError(f"{name} returned {type(raw).__name__}, not a mapping of arrays")
    named = {str(key): np.asarray(value) for key, value in raw.items()}
    arrays = check_arrays(named, name, config.task)
    return _name_arrays(
        arrays, name=name, task=config.task, digest=fingerprint(arrays), source=name
    )


def _name_arrays(
    arrays: Arrays,
    *,
    name: str,
    task: Task,
    digest: str,
    source: str,
    class_names: tuple[str, ...] = (),
    licence: str = "your own",
) -> Dataset:
    return Dataset(
        name=name,
        task=task,
        train_inputs=arrays.train_inputs,
        train_labels=arrays.train_labels,
        test_inputs=arrays.test_inputs,
        test_labels=arrays.test_labels,
        class_names=class_names or _number_classes(arrays, task),
        source=source,
        licence=licence,
        fingerprint=digest,
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
            decode=lambda files: read_digits(files[0]),
        ),
        DatasetSpec(
            name="fashion-mnist",
            description="70,000 pictures of clothes of 28x28 pixels, in ten classes",
            source="https://github.com/zalandoresearch/fashion-mnist (Xiao et al. 2017)",
            licence="MIT",
            class_names=(
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
            ),
            inputs="image",
            find=_find_fashion_files,
            decode=_decode_fashion,
        ),
    ),
)
