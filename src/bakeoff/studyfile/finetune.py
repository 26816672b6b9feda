"""Checks the section `[finetune]`, `model.parameter_groups` and how inputs are normalised."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from bakeoff.components.package_models import PACKAGES, find_package, is_weights_file
from bakeoff.components.parameters import Limits, ParameterSpec
from bakeoff.data.dataset_table import known_inputs
from bakeoff.errors import StudyFileError
from bakeoff.ranges import FloatRange
from bakeoff.records import DataConfig, FinetuneConfig
from bakeoff.registry import is_reference
from bakeoff.studyfile.arm_parameters import Setting
from bakeoff.studyfile.schema import FinetuneSection, RangeTable, StudyFile
from bakeoff.studyfile.value_or_range import read_setting

FACTORS: Mapping[str, ParameterSpec] = {
    "layer_decay": ParameterSpec(
        range=FloatRange(low=0.5, high=1.0),
        default=1.0,
        source="Clark et al. 2020, arXiv:2003.10555, and Bao et al. 2021, arXiv:2106.08254: 0.65"
        " to 0.9; 1 is off",
        limits=Limits(low=0.0, high=1.0, includes_low=False),
    ),
    "head_factor": ParameterSpec(
        range=FloatRange(low=1.0, high=100.0, log=True),
        default=1.0,
        source="Howard and Ruder 2018, arXiv:1801.06146: lower rates for what is pretrained; ten"
        " times for a new head is usual",
        limits=Limits(low=0.0, high=math.inf, includes_low=False),
    ),
}
"""Keys of `[finetune]` that may be ranges."""
DEFAULTS = FinetuneConfig()


def resolve_finetune(file: StudyFile) -> tuple[FinetuneConfig, dict[str, Setting]]:
    """What the section says of every run, and the ranges of what is searched; nothing is read.

    Raises:
        StudyFileError: A key does not go with the model or with another key.
    """
    section = file.finetune
    _check_pretrained(section, file.model.model)
    _check_freezing(file)
    _check_parameter_groups(file)
    values: dict[str, Any] = {name: getattr(section, name) for name in FinetuneSection.model_fields}
    ranges: dict[str, Setting] = {}
    for name, spec in FACTORS.items():
        setting = read_setting(f"finetune.{name}", values[name], spec)
        if isinstance(values[name], RangeTable):
            ranges[f"finetune.{name}"] = setting
            del values[name]
        else:
            values[name] = setting
    return FinetuneConfig(**values, parameter_groups=file.model.parameter_groups), ranges


def _check_pretrained(section: FinetuneSection, model: str) -> None:
    """Only packages have weights by name; a file goes with any model."""
    given = section.pretrained
    if isinstance(given, str) and is_weights_file(given):
        return
    if isinstance(given, str) and find_package(model) == "hf":
        raise StudyFileError(
            f"finetune.pretrained = {json.dumps(given)}: a model of the hub has one set of weights;"
            " set true, or name a file"
        )
    if given and find_package(model) is None:
        packages = ", ".join(f"{package}:NAME" for package in PACKAGES)
        raise StudyFileError(
            f"finetune.pretrained = {json.dumps(given)}: only {packages} have published weights;"
            f" for the model {model!r} name a file that ends with .safetensors, .pt or .pth"
        )


def _check_freezing(file: StudyFile) -> None:
    """What is frozen or slowed must be trained already, by this section or by the user's model."""
    section, model = file.finetune, file.model.model
    used = [name for name in ("freeze", *FACTORS) if getattr(section, name) != _default(name)]
    is_own = is_reference(model) and find_package(model) is None
    if used and not section.pretrained and not is_own:
        raise StudyFileError(
            f"finetune.{used[0]}: the weights of {model!r} are untrained; set"
            " finetune.pretrained = true, or a file of weights"
        )
    epoch = section.unfreeze_epoch
    if section.freeze == "backbone" and epoch is None and "layer_decay" in used:
        raise StudyFileError(
            "finetune.layer_decay: has no effect, because everything but the head is frozen for the"
            " whole run"
        )
    if epoch is None:
        return
    if section.freeze == "none" and file.model.parameter_groups is None:
        raise StudyFileError(f"finetune.unfreeze_epoch = {epoch}: nothing is frozen; set freeze")
    if epoch > file.training.epochs:
        raise StudyFileError(
            f"finetune.unfreeze_epoch = {epoch}: a run has {file.training.epochs} epochs only"
        )


def _check_parameter_groups(file: StudyFile) -> None:
    """A function says everything about the weights, so nothing else may say it as well."""
    given = file.model.parameter_groups
    if given is None:
        return
    key = f"model.parameter_groups = {json.dumps(given)}"
    if not is_reference(given):
        raise StudyFileError(f"{key}: must be a function as package.module:function")
    for name in ("freeze", *FACTORS):
        if getattr(file.finetune, name) != _default(name):
            raise StudyFileError(f"{key}: does not go with finetune.{name}; the function says it")


def _default(name: str) -> object:
    return getattr(DEFAULTS, name)


def resolve_normalize(file: StudyFile, data: DataConfig) -> DataConfig:
    """The data with how its inputs are normalised; None where the training samples decide.

    Raises:
        StudyFileError: The data cannot be normalised so.
    """
    if not data.is_given:
        return data
    given, is_pretrained = data.normalize, bool(file.finetune.pretrained)
    key = f"data.normalize = {json.dumps(given)}"
    kind = known_inputs(data.dataset, data.task)
    is_text = data.task == "language" or data.text is not None
    if given is not None and is_text:
        raise StudyFileError(f"{key}: tokens are not normalised")
    if given == "imagenet" and kind not in (None, "image"):
        raise StudyFileError(f"{key}: is for images, and {data.dataset!r} has none")
    if given == "weights" and not is_pretrained:
        raise StudyFileError(f"{key}: goes only with finetune.pretrained")
    if given is None and is_pretrained and not is_text:
        return replace(data, normalize="weights")
    return replace(data, normalize=None) if given == "data" and not is_pretrained else data


def changed_keys(config: FinetuneConfig) -> dict[str, Any]:
    """The keys of `[finetune]` that differ from their defaults."""
    return {
        one.name: getattr(config, one.name)
        for one in fields(config)
        if one.name in FinetuneSection.model_fields
        and getattr(config, one.name) != _default(one.name)
    }
