"""Loads the data of a study and splits it.

A study names a registered data set, files of its own (`npz:PATH`, `folder:PATH`, ...), or its own
function `package.module:function` that returns arrays or torch data sets.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import fingerprint, load_labels
from bakeoff.data.arrays import Arrays, Inputs, check_arrays, check_classes, check_labels
from bakeoff.data.dataset_table import YOUR_OWN, find_source
from bakeoff.data.fetched import given_path
from bakeoff.data.inputs import Feature
from bakeoff.data.masks import (
    IGNORED,
    check_known_classes,
    check_mask_classes,
    check_mask_sizes,
    count_pixels,
    ignored_notes,
)
from bakeoff.data.reading_progress import showing_progress
from bakeoff.data.sample_source import (
    PART_NAMES,
    Part,
    SampleInputs,
    Samples,
    SampleSource,
    as_parts,
    call_function,
    fingerprint_samples,
    read_labels,
)
from bakeoff.data.splits import (
    TEST_FRACTION,
    Indices,
    hold_out,
    hold_out_test,
    long_tail,
    stratified_order,
)
from bakeoff.errors import DataError
from bakeoff.records import DataConfig, Task
from bakeoff.seeding import derive_seed


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set in memory, mapped into memory, or fetched sample by sample.

    `bakeoff.data.arrays` describes the arrays.
    """

    name: str
    task: Task
    train_inputs: Inputs | SampleInputs
    train_labels: Inputs
    test_inputs: Inputs | SampleInputs
    test_labels: Inputs
    validation_inputs: Inputs | SampleInputs | None = None
    """Samples to validate on; None if they are drawn from the training samples."""
    validation_labels: Inputs | None = None
    class_names: tuple[str, ...]
    """The labels of a multi-label task, several targets, or the tokens if this is text; empty with
    one target."""
    source: str
    licence: str = YOUR_OWN
    fingerprint: str
    """Depends on every value of every array; of samples that are fetched, only on some of them."""
    vocabulary: tuple[str, ...] = ()
    """The tokens in order of number, if they are the words or characters of texts with labels."""
    features: tuple[Feature, ...] = ()
    """Features of a table, in the order of the inputs."""
    test_is_reserved: bool = False
    """Whether the test set was drawn from samples that came without one."""
    notes: tuple[str, ...] = ()
    """What reading the data left out, changed or guessed."""

    @property
    def num_outputs(self) -> int:
        """Number of outputs of a model: classes, labels, tokens of the vocabulary, or targets."""
        return len(self.class_names) or 1


def load_dataset(config: DataConfig, *, looks_closely: bool = False) -> Dataset:
    """Load the data set that `config` names; its arrays are decoded once and then mapped.

    Args:
        config: The data.
        looks_closely: Whether to compare the samples of a function's arrays for notes. Those of
            files are compared when they are decoded.

    Raises:
        DataError: The data is missing or unusable; the message says how to get or repair it.
        UsageError: The name is unknown, or the function it refers to cannot be imported.
    """
    source = find_source(config.dataset)
    if source.load is None:
        return _load_function(config, looks_closely)
    arrays, digest = source.load(config)
    return _name_arrays(
        replace(arrays, class_names=source.class_names or arrays.class_names),
        name=config.dataset,
        task=config.task if config.task in source.tasks else source.tasks[0],
        fingerprint=digest,
        source=given_path(config.dataset) if source.source == YOUR_OWN else source.source,
        licence=source.licence,
    )


def redraw_test(dataset: Dataset, seed: int | None) -> Dataset:
    """The data set with another test set of the same size, drawn with `seed`; None draws none.

    A test set that came with the data stays, and so does that of text, which is its last part.
    Arrays are copied into memory.

    Raises:
        DataError: There are too few samples of some class.
    """
    if seed is None or not dataset.test_is_reserved or dataset.task == "language":
        return dataset
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    try:
        kept, held = hold_out(labels, dataset.task, TEST_FRACTION, seed, dataset.class_names)
    except ValueError as error:
        raise DataError(f"{dataset.name}: {error} as a test set") from None
    both = dataset.train_inputs, dataset.test_inputs
    return replace(
        dataset,
        train_inputs=_select_of_both(*both, kept),
        train_labels=labels[kept],
        test_inputs=_select_of_both(*both, held),
        test_labels=labels[held],
    )


def _select_of_both(
    train: Inputs | SampleInputs, test: Inputs | SampleInputs, rows: Indices
) -> Inputs | SampleInputs:
    """Some of the training and test inputs, whose rows are counted in this order."""
    if isinstance(train, SampleInputs) and isinstance(test, SampleInputs):
        return replace(
            train,
            rows=np.concatenate([train.rows, test.rows])[rows],
            labels=np.concatenate([train.labels, test.labels])[rows],
        )
    selected: Inputs = np.concatenate([np.asarray(train), np.asarray(test)])[rows]
    return selected


def split_indices(dataset: Dataset, config: DataConfig, split_seed: int) -> tuple[Indices, Indices]:
    """Return the rows of the training arrays to train on, and rows to validate on, each sorted.

    The latter are rows of the training arrays too, unless the data has a validation set: then they
    are all rows of that. Both parts are stratified by class; of text, the last part is for
    validation. `imbalance` makes the rows to train on long-tailed, and `train_samples` keeps that
    many of them, where a larger set contains every smaller one. The validation rows depend on
    neither.

    Raises:
        DataError: There are too few samples for such a split.
    """
    if not 0 < config.validation_fraction < 1:
        raise DataError(
            f"{dataset.name}: validation_fraction = {config.validation_fraction:g} "
            "must lie between 0 and 1"
        )
    labels = np.asarray(dataset.train_labels)
    train, validation = _hold_out_validation(dataset, config, split_seed)
    if config.imbalance is not None:
        seed = derive_seed(split_seed, "imbalance")
        try:
            train = train[long_tail(labels[train], config.imbalance, seed)]
        except ValueError as error:
            raise DataError(f"{dataset.name}: imbalance = {config.imbalance:g}: {error}") from None
    if config.train_samples is not None:
        train = _keep_some(dataset, train, config.train_samples, split_seed)
    return train, validation


def _hold_out_validation(
    dataset: Dataset, config: DataConfig, split_seed: int
) -> tuple[Indices, Indices]:
    """The rows of the training arrays that are left, and the rows to validate on."""
    if dataset.validation_labels is not None:
        if config.validation_fraction != DataConfig.validation_fraction:
            raise DataError(
                f"{dataset.name}: has a validation set of its own, so validation_fraction ="
                f" {config.validation_fraction:g} would have no effect; leave it out"
            )
        return np.arange(len(dataset.train_labels)), np.arange(len(dataset.validation_labels))
    labels = np.asarray(dataset.train_labels)
    seed = derive_seed(split_seed, "validation")
    fraction = config.validation_fraction
    try:
        return hold_out(labels, dataset.task, fraction, seed, dataset.class_names)
    except ValueError as error:
        raise DataError(f"{dataset.name}: {error} for validation") from None


def check_splits(config: DataConfig, seeds: Iterable[tuple[int, int | None]]) -> None:
    """Make sure that the data can be split with each pair of a split seed and a test seed.

    Raises:
        DataError: A split leaves too few samples of some class, or the data has a validation set of
            its own, so that it is not split.
        UsageError: As `load_dataset`.
    """
    dataset = load_dataset(config)
    if dataset.validation_labels is not None:
        raise DataError(
            f"{dataset.name}: has a validation set of its own, so confirm.resplit = true has"
            " nothing to split; leave it out"
        )
    for test_seed, pairs in groupby(seeds, key=lambda pair: pair[1]):
        drawn = redraw_test(dataset, test_seed)
        for split_seed, _ in pairs:
            split_indices(drawn, config, split_seed)


def _keep_some(dataset: Dataset, train: Indices, count: int, split_seed: int) -> Indices:
    has_classes = dataset.task == "classification"
    least = dataset.num_outputs if has_classes else 1
    if not least <= count <= len(train):
        raise DataError(
            f"{dataset.name}: train_samples = {count} must lie between {least}"
            f"{', one of each class,' if has_classes else ''} and the {len(train)} available"
        )
    seed = derive_seed(split_seed, "train_samples")
    if has_classes:
        order = stratified_order(np.asarray(dataset.train_labels)[train], seed)
        return np.sort(train[order[:count]])
    return np.sort(np.random.default_rng(seed).permutation(train)[:count])


def _name_arrays(arrays: Arrays, *, task: Task, **named: Any) -> Dataset:
    """Make a data set of arrays; what has no names is called by its number."""
    if not arrays.class_names and (task != "regression" or arrays.train_labels.ndim > 1):
        arrays = replace(arrays, class_names=_numbered(_highest_number(arrays, task)))
    return Dataset(task=task, **vars(arrays), **named)


def _highest_number(arrays: Arrays, task: Task) -> int:
    """The greatest number of a class, a label, a target or a token."""
    if task in ("multilabel", "regression"):
        return int(arrays.train_labels.shape[1]) - 1
    if task == "segmentation":
        # The split may have moved every pixel of a class to the test set.
        both = (arrays.train_labels, arrays.test_labels)
        counts = np.sum([count_pixels(one, IGNORED) for one in both], axis=0)
        return int(np.flatnonzero(counts)[-1])
    labelled: list[Inputs | None] = [arrays.train_labels]
    if task == "language":
        labelled += [arrays.train_inputs, arrays.test_inputs, arrays.test_labels]
        labelled += [arrays.validation_inputs, arrays.validation_labels]
    return max(int(part.max()) for part in labelled if part is not None)


def _numbered(highest: int) -> tuple[str, ...]:
    return tuple(map(str, range(highest + 1)))


def _load_function(config: DataConfig, looks_closely: bool) -> Dataset:
    """Load what the user's function returns: arrays by name, or torch data sets."""
    name, raw = config.dataset, call_function(config.dataset)
    is_pair = isinstance(raw, (tuple, list)) and len(raw) == 2  # noqa: PLR2004 - a pair
    if is_pair and all(hasattr(part, "__array__") for part in raw):
        # Inputs and labels, as scikit-learn returns them with `return_X_y`. Tensors and the frames
        # of pandas are arrays too.
        raw = {"x": raw[0], "y": raw[1]}
    if isinstance(raw, Mapping) and not (raw and set(raw) <= PART_NAMES.keys()):
        named = {str(key): np.asarray(value) for key, value in raw.items()}
        arrays = check_arrays(named, name, config.task, looks_closely=looks_closely)
        return _name_arrays(
            arrays, name=name, task=config.task, fingerprint=fingerprint(arrays), source=name
        )
    if isinstance(raw, (Mapping, tuple, list)) or hasattr(raw, "__getitem__"):
        return _load_samples(as_parts(raw, name), config)
    raise DataError(
        f"{name} returned {type(raw).__name__}; allowed are a mapping of arrays, or a torch "
        "Dataset, a pair of them, or a mapping with the keys train, val and test"
    )


def _load_samples(parts: Mapping[Part, Samples], config: DataConfig) -> Dataset:
    """Make a data set whose samples are fetched when needed; its labels are read once."""
    name, task = config.dataset, config.task
    if task == "language":
        raise DataError(f'{name}: task = "language" takes arrays, not torch data sets')
    source = SampleSource(reference=name, parts=parts)
    digest = fingerprint_samples(source)
    labels = {part: _read_labels(source, part, digest, task) for part in parts}
    train = labels["train"]
    validation = labels.get("validation")
    class_names = _name_classes(parts["train"], labels, config)
    if "test" in parts:
        kept, held = np.arange(len(train)), np.arange(len(labels["test"]))
    else:
        kept, held = hold_out_test(train, task, name)
    test: Part = "test" if "test" in parts else "train"
    train_inputs = SampleInputs.of(source, "train", kept, train[kept])
    if task == "segmentation":
        check_mask_sizes(train_inputs.sample_shape, train, name)
    whole = hashlib.sha256(digest.encode())
    for part in sorted(labels):
        whole.update(labels[part].tobytes())
    return Dataset(
        name=name,
        task=task,
        train_inputs=train_inputs,
        train_labels=train[kept],
        test_inputs=SampleInputs.of(source, test, held, labels[test][held]),
        test_labels=labels[test][held],
        validation_inputs=(
            None
            if validation is None
            else SampleInputs.of(source, "validation", np.arange(len(validation)), validation)
        ),
        validation_labels=validation,
        class_names=class_names,
        source=name,
        fingerprint=whole.hexdigest()[: len(digest)],
        test_is_reserved="test" not in parts,
        notes=_own_notes(validation, train if task == "segmentation" else None),
    )


def _own_notes(validation: Inputs | None, masks: Inputs | None) -> tuple[str, ...]:
    """Says where validation samples come from, and how many pixels of masks are ignored."""
    notes: list[str] = []
    if validation is not None:
        notes.append(f"validation samples are those of the data set's own ({len(validation):,})")
    if masks is not None:
        notes += ignored_notes(masks, "training")
    return tuple(notes)


def _name_classes(
    samples: Samples, labels: Mapping[Part, NDArray[Any]], config: DataConfig
) -> tuple[str, ...]:
    """Names of the classes, labels or targets of the training samples, which all parts must have.

    Raises:
        DataError: A class is missing, or another part has other ones.
    """
    name, task, train = config.dataset, config.task, labels["train"]
    class_names: tuple[str, ...] = ()
    if task == "classification":
        check_classes(train, f"{name}: train")
        class_names = _numbered(int(train.max()))
        own_names = getattr(samples, "classes", None)  # as data sets of torchvision have it
        if isinstance(own_names, (list, tuple)) and len(own_names) == len(class_names):
            class_names = tuple(map(str, own_names))
    elif task == "segmentation":
        class_names = _numbered(check_mask_classes(train, f"{name}: train") - 1)
    elif train.ndim > 1:
        class_names = _numbered(train.shape[1] - 1)
    for part, found in labels.items():
        if found.shape[1:] != train.shape[1:]:
            raise DataError(
                f"{name}: {part} has labels of shape {list(found.shape[1:])}, train of"
                f" {list(train.shape[1:])}"
            )
        if task == "segmentation":
            check_known_classes(found, len(class_names), f"{name}: {part}")
        if task == "classification" and found.max() > train.max():
            raise DataError(
                f"{name}: {part} has the label {found.max()}, train only 0..{train.max()}"
            )
    return class_names


def _read_labels(source: SampleSource, part: Part, digest: str, task: Task) -> NDArray[Any]:
    where = f"{source.reference}: {part}"

    def read() -> NDArray[Any]:
        with showing_progress(f"reading labels of {where}") as advance:
            return read_labels(source.parts[part], where, advance)

    return check_labels(load_labels(f"{digest}-{part}", read), f"{where} labels", task)
