"""What `[data]` means: which data, for which task, with which keys."""

import json

from bakeoff.components.augmentations import AUGMENTATIONS
from bakeoff.data.dataset_table import SEQUENCE_LENGTH, choose_task, find_source
from bakeoff.errors import StudyFileError, UsageError, describe_unknown
from bakeoff.records import DataConfig
from bakeoff.studyfile.schema import DataSection

SOME_KEYS = {
    "image_size": "folder:PATH",
    "target": "csv:PATH",
    "sequence_length": "text:PATH and jargon",
}
"""Keys that not every data set has, and those that have them."""


def resolve_data(section: DataSection) -> DataConfig:
    """The data that the section describes, every default written out; nothing is read.

    Raises:
        StudyFileError: The name is unknown, or a key or the task does not go with it.
    """
    name = section.dataset
    try:
        keys = find_source(name).keys
    except UsageError as error:
        raise StudyFileError(f"data.dataset: {error}") from None
    try:
        task = choose_task(name, section.task)
    except UsageError as error:
        raise StudyFileError(f"data.task: {error}") from None
    for key, owners in SOME_KEYS.items():
        value = getattr(section, key)
        if value is not None and key not in keys:
            raise StudyFileError(
                f"data.{key} = {json.dumps(value)}: goes only with {owners}, not with {name!r}"
            )
    if section.imbalance is not None and task != "classification":
        raise StudyFileError(f"data.imbalance: is for classes, and this study's task is {task}")
    _check_augment(section.augment)
    takes_length = "sequence_length" in keys and section.sequence_length is None
    return DataConfig(
        dataset=name,
        task=task,
        validation_fraction=section.validation_fraction,
        train_samples=section.train_samples,
        imbalance=section.imbalance,
        image_size=section.image_size,
        target=section.target,
        sequence_length=SEQUENCE_LENGTH if takes_length else section.sequence_length,
        augment=tuple(section.augment),
    )


def _check_augment(names: list[str]) -> None:
    for name in names:
        if name not in AUGMENTATIONS:
            problem = describe_unknown("augmentation", name, AUGMENTATIONS.names)
            raise StudyFileError(f"data.augment: {problem}")
        if names.count(name) > 1:
            raise StudyFileError(f"data.augment: {name!r} is listed twice")
