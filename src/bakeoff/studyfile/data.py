"""Checks the section `[data]`: which data, for which task, with which keys."""

import json

from bakeoff.components.augmentations import AUGMENTATIONS
from bakeoff.data.dataset_table import SEQUENCE_LENGTH, choose_task, find_source
from bakeoff.data.hub_files import PREFIX
from bakeoff.errors import StudyFileError
from bakeoff.records import DataConfig, Task
from bakeoff.registry import is_reference
from bakeoff.studyfile.checks import check_known, check_once, named
from bakeoff.studyfile.schema import DataSection

OWN_TOKENS = "words"
"""The tokenizer of texts whose model has none."""
SOME_KEYS = {
    "image_size": "folder:PATH",
    "target": "csv:PATH",
    "validation": "csv:PATH and text:PATH",
    "sequence_length": "text:PATH, jargon and data.text",
    "categories": "csv:PATH",
    "text": "csv:PATH",
    "tokenizer": "csv:PATH",
}
"""Keys that only some data sets have, and those data sets."""


def resolve_data(section: DataSection, model: str) -> DataConfig:
    """The data that the section describes, with every default written out; nothing is read.

    The tokenizer of texts is by default that of the model, or else words.

    Raises:
        StudyFileError: The name is unknown, or a key or the task does not fit the data set.
    """
    name = section.dataset
    if not name:
        return _without_data(section)
    with named("data.dataset"):
        keys = find_source(name).keys
    with named("data.task"):
        task = choose_task(name, section.task)
    for key, owners in SOME_KEYS.items():
        value = getattr(section, key)
        is_length = key == "sequence_length" and section.text is not None
        if value is not None and key not in keys and not is_length:
            raise StudyFileError(
                f"data.{key} = {json.dumps(value)}: goes only with {owners}, not with {name!r}"
            )
    _check_validation(section)
    target = _resolve_target(section, task)
    _check_fit(section, task)
    for augmentation in section.augment:
        if not is_reference(augmentation):
            check_known("data.augment", AUGMENTATIONS.kind, augmentation, AUGMENTATIONS.names)
        elif task == "segmentation":
            raise StudyFileError(
                f"data.augment = {json.dumps(augmentation)}: would change images without their"
                f" masks; with task = {json.dumps(task)} allowed: {', '.join(AUGMENTATIONS.names)}"
            )
    check_once("data.augment", section.augment)
    values = section.model_dump() | {
        "task": task,
        "augment": tuple(section.augment),
        "target": target,
        "categories": None if section.categories == "one_hot" else section.categories,
    }
    is_text = section.text is not None
    if ("sequence_length" in keys or is_text) and section.sequence_length is None:
        values["sequence_length"] = SEQUENCE_LENGTH
    if is_text:
        values["tokenizer"] = _tokenizer(section, model)
    return DataConfig(**values)


def _check_fit(section: DataSection, task: Task) -> None:
    """Keys that need another key, exclude one, or need classes.

    Raises:
        StudyFileError: One is there that does not fit.
    """
    if section.tokenizer is not None and section.text is None:
        raise StudyFileError("data.tokenizer: goes only with data.text")
    if section.categories is not None and section.text is not None:
        raise StudyFileError(
            "data.categories: does not go with data.text, the only column of samples"
        )
    if section.imbalance is not None and task != "classification":
        raise StudyFileError(f"data.imbalance: is for classes, and this study's task is {task}")


def _resolve_target(section: DataSection, task: Task) -> str | tuple[str, ...] | None:
    """The column to predict, or several columns; None means the last column of a table.

    Raises:
        StudyFileError: The task has another number of targets, or one is listed twice.
    """
    given = section.target
    key = f"data.target = {json.dumps(given)}"
    if isinstance(given, list):
        check_once("data.target", given)
    if task == "multilabel":
        if "target" not in find_source(section.dataset).keys:
            return None
        if not isinstance(given, list) or len(given) < 2:  # noqa: PLR2004 - said in the message
            raise StudyFileError(
                f"{key}: task = {json.dumps(task)} takes a list of two or more columns of 0 and 1"
            )
    if not isinstance(given, list):
        return given
    if task not in ("multilabel", "regression") or not given:
        raise StudyFileError(f"{key}: task = {json.dumps(task)} takes one column")
    return tuple(given) if len(given) > 1 else given[0]


def _without_data(section: DataSection) -> DataConfig:
    """No data, which only a loop of the user's own can do without."""
    for key in section.model_fields_set - {"dataset"}:
        raise StudyFileError(f"data.{key}: goes only with data.dataset")
    return DataConfig(dataset="")


def _tokenizer(section: DataSection, model: str) -> str:
    """What turns the texts into tokens: of a model of the hub only its own kind does.

    Raises:
        StudyFileError: The model cannot know these tokens.
    """
    is_hub = model.startswith(PREFIX)
    found = section.tokenizer or (model if is_hub else OWN_TOKENS)
    key = f"data.tokenizer = {json.dumps(found)}"
    if is_hub and not found.startswith(PREFIX):
        raise StudyFileError(f"{key}: the model {model!r} knows the tokens of hf:NAME only")
    if found.startswith(PREFIX) and not (is_hub or is_reference(model)):
        raise StudyFileError(f"{key}: goes only with a model hf:NAME or one of your own")
    return found


def _check_validation(section: DataSection) -> None:
    """A validation set has the form of the data, is not the data, and leaves nothing to split.

    Raises:
        StudyFileError: It is not so.
    """
    if section.validation is None:
        return
    key = f"data.validation = {json.dumps(section.validation)}"
    form = section.dataset.partition(":")[0]
    prefix, _, path = section.validation.partition(":")
    if prefix != form or not path:
        raise StudyFileError(f"{key}: must be {form}:PATH, as data.dataset is")
    if section.validation == section.dataset:
        raise StudyFileError(f"{key}: is the data to train on")
    if "validation_fraction" in section.model_fields_set:
        raise StudyFileError(
            f"{key}: leaves nothing for data.validation_fraction to split off; remove one of them"
        )
