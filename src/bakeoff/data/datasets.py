"""The data of a study: what its name stands for, how it is split, and what is known of it.

A study names a registered data set, files of its own (`npz:PATH`, `folder:PATH`, ...), or its own
function `package.module:function` that returns arrays or torch data sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bakeoff.data.arrays import hold_out_part
from bakeoff.data.data_forms import FORMS, find_form, guess_form, load_form, load_function
from bakeoff.data.dataset_table import DATASETS, Dataset, load_registered
from bakeoff.data.inputs import InputKind
from bakeoff.data.splits import Indices, long_tail, stratified_order
from bakeoff.data.targets import losses_of_the_mean, measure_targets
from bakeoff.errors import DataError, UsageError, describe_unknown
from bakeoff.records import DataConfig, Loss, Task
from bakeoff.registry import is_reference
from bakeoff.seeding import derive_seed

__all__ = [
    "DATASETS",
    "FORMS",
    "Dataset",
    "DatasetSummary",
    "allowed_keys",
    "check_batch_size",
    "check_dataset_name",
    "choose_task",
    "describe_dataset",
    "known_inputs",
    "load_dataset",
    "split_indices",
]


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


def check_dataset_name(name: str) -> None:
    """Make sure that this is the name of a data set, without reading or importing anything.

    Raises:
        UsageError: It is not; the message lists what is allowed.
    """
    if name in DATASETS or find_form(name) is not None:
        return
    meant = guess_form(name)
    if meant is not None:
        raise UsageError(f"unknown dataset {name!r}; did you mean {meant!r}?")
    if not is_reference(name):
        forms = ", ".join(f"{form.name}:PATH" for form in FORMS)
        raise UsageError(
            f"{describe_unknown('dataset', name, DATASETS.names)}, or {forms}, "
            "or a function as package.module:function"
        )


def choose_task(name: str, asked: Task | None) -> Task:
    """The task of a data set, without reading it.

    Registered data sets have theirs, as has a text; your own have the one that the study file asks
    for.

    Raises:
        UsageError: The data set is for another task than the one asked for.
    """
    allowed: tuple[Task, ...] = ("classification", "regression", "language")
    form = find_form(name)
    if form is not None:
        allowed = form.tasks
    elif name in DATASETS:
        allowed = (DATASETS[name].task,)
    if asked not in (None, *allowed):
        raise UsageError(
            f"{asked!r} does not go with {name!r}, which is for {' or '.join(allowed)}"
        )
    return asked or allowed[0]


def known_inputs(name: str, task: Task) -> InputKind | None:
    """What samples of a data set look like; None where only reading it tells."""
    form = find_form(name)
    if form is not None and form.inputs is not None:
        return form.inputs
    if name in DATASETS:
        return DATASETS[name].inputs
    return "tokens" if task == "language" else None


def allowed_keys(name: str) -> tuple[str, ...]:
    """Keys of `[data]` that not every data set has, but this one does."""
    form = find_form(name)
    if form is not None:
        return form.keys
    return DATASETS[name].keys if name in DATASETS else ()


def load_dataset(config: DataConfig) -> Dataset:
    """The data set that `config` names; its arrays are decoded once and then mapped.

    Raises:
        DataError: The data is missing or unusable; the message says how to get or mend it.
        UsageError: The name is unknown, or the function it refers to cannot be imported.
    """
    name = config.dataset
    check_dataset_name(name)
    if name in DATASETS:
        return load_registered(DATASETS[name], config)
    form = find_form(name)
    return load_function(config) if form is None else load_form(form, config)


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


def check_batch_size(
    dataset: str, num_train: int, batch_size: int, accumulation_steps: int = 1
) -> None:
    """Make sure that a batch, and an optimizer step's worth of batches, can be filled.

    Raises:
        DataError: There are fewer training samples than that.
    """
    if num_train < batch_size * accumulation_steps:
        group = f" with accumulation_steps = {accumulation_steps}" if accumulation_steps > 1 else ""
        raise DataError(
            f"{dataset}: {num_train} training samples are fewer than"
            f" batch_size = {batch_size}{group}"
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
