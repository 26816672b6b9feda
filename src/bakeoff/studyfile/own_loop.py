"""Checks what a study with a training loop of the user's own may leave out, and cannot have."""

import json
from math import isfinite

from bakeoff.components.losses import LOSSES
from bakeoff.components.metrics import worst_score
from bakeoff.components.objectives import COSTS
from bakeoff.components.remedies import REMEDIES
from bakeoff.errors import StudyFileError
from bakeoff.records import OwnMetric, StudyConfig
from bakeoff.registry import is_reference
from bakeoff.studyfile.schema import StudyFile, TrainingSection

BUILT_IN = ("clip_grad_norm", "clip_grad_value", "accumulation_steps", "metrics", *REMEDIES.names)
"""Keys of `[training]` that only the built-in loop follows."""
NOT_METRICS = ("train_loss", *COSTS.names)
"""Names that mean something else in what a loop yields."""


def check_loop(file: StudyFile) -> None:
    """A study has data and a model, or a loop of the user's own, with which some keys do not go.

    Raises:
        StudyFileError: A part is missing, or a key would have no effect.
    """
    if file.training.loop is None:
        _check_complete(file)
        return
    where = f"training.loop = {json.dumps(file.training.loop)}"
    if not is_reference(file.training.loop):
        raise StudyFileError(f"{where}: must be your own loop as package.module:name")
    for name in BUILT_IN:
        if getattr(file.training, name) != TrainingSection.model_fields[name].default:
            raise StudyFileError(
                f"training.{name}: is part of the built-in loop, and training.loop is"
                f" {file.training.loop!r}; remove it, or do it in your loop"
            )
    if "finetune" in file.model_fields_set or file.model.parameter_groups is not None:
        key = "model.parameter_groups" if file.model.parameter_groups else "finetune"
        raise StudyFileError(f"{key}: goes only with the built-in loop, not with {where}")
    if file.training.loss not in (None, *(losses[0] for losses in LOSSES.values())):
        raise StudyFileError(f"training.loss: goes only with the built-in loop, not with {where}")
    if file.training.precision not in ("auto", "fp32"):
        raise StudyFileError(
            f"training.precision = {json.dumps(file.training.precision)}: your own loop decides its"
            " precision; remove the key"
        )
    if file.model.model and not file.data.dataset:
        raise StudyFileError(
            f"model.model = {json.dumps(file.model.model)}: is built for the samples of [data],"
            " which the study does not have; build the model in your loop"
        )
    _check_confirm(file, where)


def _check_confirm(file: StudyFile, where: str) -> None:
    for section in ("search", "confirm"):
        if getattr(file, section).arithmetic == "stacked":
            raise StudyFileError(
                f'{section}.arithmetic = "stacked": goes only with the built-in loop, not with'
                f" {where}"
            )
    if file.confirm.resplit and not file.data.dataset:
        raise StudyFileError("confirm.resplit = true: there is no [data] to split anew")


def _check_complete(file: StudyFile) -> None:
    for section, key in (("data", "dataset"), ("model", "model")):
        if section not in file.model_fields_set:
            raise StudyFileError(f"{section}: is missing")
        if not getattr(getattr(file, section), key):
            raise StudyFileError(f"{section}.{key}: is missing")


def resolve_yielded(file: StudyFile) -> dict[str, OwnMetric]:
    """What the study file says about the metrics that a loop of the user's own yields.

    Raises:
        StudyFileError: A name is taken, a metric has no direction, or the limits leave no value.
    """
    for name, table in file.metrics.items():
        if table.direction is None:
            raise StudyFileError(f"metrics.{name}.direction: is missing")
        if name in NOT_METRICS:
            raise StudyFileError(f"metrics.{name}: this name is taken; choose another one")
        limits = [one for one in (table.low, table.untrained, table.high) if one is not None]
        if limits != sorted(limits):
            raise StudyFileError(f"metrics.{name}: must be low <= untrained <= high")
    return {name: OwnMetric(**table.model_dump()) for name, table in file.metrics.items()}


def check_objectives(config: StudyConfig) -> None:
    """A run that diverges needs a score, and what a loop must yield is named in the study file.

    Raises:
        StudyFileError: The file gives no score of an untrained model for an objective whose values
            have no limit, or does not describe a further objective of a loop of the user's own.
    """
    for name in config.further_objectives if config.training.loop else ():
        if name not in config.metrics and name not in COSTS:
            raise StudyFileError(
                f"study.objective: describe {name!r} in [metrics.{name}], so that your loop must"
                " yield it"
            )
    name = config.objective
    is_known = config.data.is_given and name not in config.metrics
    if not is_known and not isfinite(worst_score(name, config)):
        raise StudyFileError(
            f"metrics.{name}.untrained: is missing; it is the score of an untrained model, which"
            " runs that diverge get"
        )
