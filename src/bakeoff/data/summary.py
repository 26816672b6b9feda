"""What a study needs to know of its data without reading it again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.datasets import Dataset, load_dataset, split_indices
from bakeoff.data.label_sets import absent_label_notes, count_labels
from bakeoff.data.masks import absent_class_notes, count_pixels
from bakeoff.data.splits import Indices
from bakeoff.data.targets import losses_of_the_mean, measure_targets
from bakeoff.errors import DataError
from bakeoff.records import DataConfig, Loss, Task


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """Sizes, shape and classes of a data set, and its fingerprint."""

    num_train: int
    num_validation: int
    num_test: int
    task: Task
    num_outputs: int
    """Classes, labels, tokens of the vocabulary, or targets in regression."""
    input_shape: tuple[int, ...]
    """Shape of one sample: (F,), (T, F), (C, H, W), or (L,) tokens."""
    fingerprint: str
    class_names: tuple[str, ...]
    target_deviation: float = 1.0
    """Standard deviation of the training target, in regression; 1 with several targets."""
    mean_losses: Mapping[Loss, float] = field(default_factory=dict)
    """Losses on validation of predicting the training mean, in regression."""
    label_shares: tuple[float, ...] = ()
    """Share of the validation samples that have each label, in a multi-label task, or of the
    validation pixels that have each class, in segmentation."""
    test_is_reserved: bool = False
    """Whether the test set was drawn from samples that came without one."""
    validation_is_given: bool = False
    """Whether the validation samples are a set of their own."""
    notes: tuple[str, ...] = ()
    """What reading the data left out, changed or guessed."""

    @property
    def num_targets(self) -> int:
        """Number of targets of a regression; 1 in other tasks."""
        return self.num_outputs if self.task == "regression" else 1


def describe_dataset(config: DataConfig, split_seed: int) -> DatasetSummary:
    """Return the sizes, shape, classes and fingerprint of a study's data.

    Raises:
        DataError: As `load_dataset` and `split_indices`.
        UsageError: As `load_dataset`.
    """
    dataset = load_dataset(config, looks_closely=True)
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
        test_is_reserved=dataset.test_is_reserved,
        validation_is_given=dataset.validation_labels is not None,
        notes=dataset.notes,
    )
    if dataset.task == "multilabel":
        return _with_labels(summary, dataset, train, validation)
    if dataset.task == "segmentation":
        return _with_classes(summary, dataset, train, validation)
    if dataset.task != "regression":
        return summary
    parts = _labels_by_part(dataset, train, validation)
    scale = measure_targets(parts["training"])
    return replace(
        summary,
        target_deviation=scale.error_unit,
        mean_losses=losses_of_the_mean(parts["validation"], scale),
    )


def _labels_by_part(
    dataset: Dataset, train: Indices, validation: Indices
) -> dict[str, NDArray[Any]]:
    """The labels to train, to validate and to test on; `validation` may be rows of another set."""
    labels = np.asarray(dataset.train_labels)
    given = labels if dataset.validation_labels is None else np.asarray(dataset.validation_labels)
    return {
        "training": labels[train],
        "validation": given[validation],
        "test": np.asarray(dataset.test_labels),
    }


def _with_labels(
    summary: DatasetSummary, dataset: Dataset, train: Indices, validation: Indices
) -> DatasetSummary:
    """The summary with how frequent labels are, and which ones a part has no samples of."""
    parts = _labels_by_part(dataset, train, validation)
    notes = [
        note
        for part, found in parts.items()
        for note in absent_label_notes(found, dataset.class_names, part)
    ]
    shares = count_labels(parts["validation"]) / len(validation)
    return replace(
        summary,
        label_shares=tuple(shares.tolist()),
        notes=(*summary.notes, *notes),
    )


def _with_classes(
    summary: DatasetSummary, dataset: Dataset, train: Indices, validation: Indices
) -> DatasetSummary:
    """The summary with how frequent the classes of pixels are, and which ones a part lacks.

    Raises:
        DataError: Every validation pixel is ignored.
    """
    parts = _labels_by_part(dataset, train, validation)
    counts = {part: count_pixels(found, summary.num_outputs) for part, found in parts.items()}
    for part, found in counts.items():
        if not found.any():
            raise DataError(f"{dataset.name}: every {part} pixel is ignored")
    notes = [note for part, found in counts.items() for note in absent_class_notes(found, part)]
    shares = counts["validation"] / counts["validation"].sum()
    return replace(summary, label_shares=tuple(shares.tolist()), notes=(*summary.notes, *notes))


def check_batch_size(
    dataset: str, num_train: int, batch_size: int, accumulation_steps: int = 1
) -> None:
    """Make sure that there are enough samples for an optimizer step's worth of batches.

    Raises:
        DataError: There are fewer training samples than that.
    """
    if num_train < batch_size * accumulation_steps:
        group = f" with accumulation_steps = {accumulation_steps}" if accumulation_steps > 1 else ""
        raise DataError(
            f"{dataset}: {num_train} training samples are fewer than"
            f" batch_size = {batch_size}{group}"
        )
