"""Turns a parsed study file into a `StudyConfig`: checks names and ranges, fills in defaults."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from bakeoff.components.compatibility import (
    allowed_schedulers,
    find_conflict,
    find_model_conflict,
    find_output_conflict,
)
from bakeoff.components.losses import LOSSES, check_loss, find_loss_clash
from bakeoff.components.models import model_parameters
from bakeoff.components.optimizers import OptimizerSpec, find_optimizer
from bakeoff.components.own_schedules import find_scheduler
from bakeoff.components.package_models import check_fresh, find_package
from bakeoff.components.parameters import ParameterSpec
from bakeoff.components.remedies import REMEDIES, find_clash, find_task_conflict, is_used
from bakeoff.components.samplers import SAMPLERS
from bakeoff.components.schedulers import SchedulerSpec
from bakeoff.components.signatures import sources_are_read
from bakeoff.data.dataset_table import known_inputs
from bakeoff.errors import StudyFileError
from bakeoff.ranges import Choice, FloatRange, ParamValue
from bakeoff.records import (
    MIN_DEVICE_SAMPLES,
    DataConfig,
    NamedArm,
    StudyConfig,
    Task,
    TrackingConfig,
    TrainingConfig,
)
from bakeoff.studyfile.arm_parameters import Setting, arm_names, names_of
from bakeoff.studyfile.checks import check_known, check_once, named
from bakeoff.studyfile.confirm import check_repeats, check_resplit, resolve_confirm
from bakeoff.studyfile.data import resolve_data
from bakeoff.studyfile.finetune import resolve_finetune, resolve_normalize
from bakeoff.studyfile.objective_choice import check_search, resolve_metrics, resolve_objectives
from bakeoff.studyfile.own_loop import check_loop, check_objectives
from bakeoff.studyfile.repeatable import fix_training
from bakeoff.studyfile.schema import ModelSection, RangeTable, StudyFile, TrainingSection
from bakeoff.studyfile.search import fit_to_grid, resolve_search
from bakeoff.studyfile.value_or_range import extremes, read_setting

STUDY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
RESERVED_NAMES = ("published", "studies.db")
"""Beginnings of the names of other files in the results folder."""
_REAL = ParameterSpec(range=FloatRange(low=0.0, high=1.0), default=0.0, source="no default range")
TRAINING_RANGES: Mapping[str, ParameterSpec | None] = {
    "batch_size": None,
    "clip_grad_norm": _REAL,
    "clip_grad_value": _REAL,
    "accumulation_steps": None,
    "label_smoothing": _REAL,
    "focal_gamma": _REAL,
    "mixup_alpha": _REAL,
    "cutmix_alpha": _REAL,
    "ema_decay": _REAL,
}
"""Keys of `[training]` that may be ranges; with a specification, whole bounds are real numbers."""
SCHEDULER = "scheduler"
"""Key under `[space.<optimizer>]`: the schedules of its arm, if they are fewer than the study's."""


def resolve(file: StudyFile, named_arms: Mapping[str, NamedArm]) -> StudyConfig:
    """The study that a parsed file describes.

    Args:
        file: The parsed file.
        named_arms: The arms of its section `[arms]`; empty as long as they are not known.

    Raises:
        StudyFileError: A name is unknown, or a range or value is not allowed.
    """
    check_loop(file)
    _check_names(file)
    data = resolve_normalize(file, resolve_data(file.data, file.model.model))
    if data.is_given and file.model.model:
        _check_model_takes(file.model.model, data)
    own_metrics = resolve_metrics(file)
    objective, *further = resolve_objectives(file, data.task, own_metrics)
    check_search(file.search, (objective, *further))
    compare = () if file.arms else tuple(dict.fromkeys(file.study.compare))
    arms = tuple(file.arms) or arm_names(
        compare, tuple(file.search.optimizers), tuple(file.search.schedulers)
    )
    if file.study.reference is not None:
        check_known("study.reference", "arm", file.study.reference, arms)
    _check_remedies(file, data.task, (objective, *further))
    model_values, model_ranges = _resolve_model(file.model)
    finetune, finetune_ranges = resolve_finetune(file)
    section = fix_training(file, (objective, *further))
    training, training_ranges = _resolve_training(section, data.task)
    config = StudyConfig(
        name=file.study.name,
        question=file.study.question,
        seed=file.study.seed,
        objective=objective,
        further_objectives=tuple(further),
        finetune=finetune,
        score_rule=file.study.score,
        compare=compare,
        delta=file.study.delta,
        reference=file.study.reference,
        data=data,
        model=file.model.model,
        model_params=model_values,
        training=training,
        search=resolve_search(file.search, file.training.epochs, prunes=not further),
        space={**_resolve_space(file), **model_ranges, **finetune_ranges, **training_ranges},
        confirm=resolve_confirm(file.confirm, len(arms)),
        tracking=TrackingConfig(**file.tracking.model_dump()),
        metrics=own_metrics,
        arms=named_arms,
    )
    check_objectives(config)
    if not config.question:
        config = replace(config, question=_question(config))
    if file.search.sampler == "grid" and len(named_arms) == len(file.arms):
        is_budget_given = "trials_per_arm" in file.search.model_fields_set
        config = fit_to_grid(config, arms, is_budget_given=is_budget_given)
    check_repeats(config)
    check_resplit(config)
    return config


def _question(config: StudyConfig) -> str:
    return f"Which {' and '.join(config.compare) or 'arm'} suits {config.subject}?"


def _check_model_takes(model: str, data: DataConfig) -> None:
    kind = "text" if data.text else known_inputs(data.dataset, data.task)
    kind = "codes" if data.categories else kind
    conflict = find_output_conflict(model, data.task) or find_model_conflict(model, kind)
    if conflict is not None:
        raise StudyFileError(f"model.model: {conflict} (data.dataset = {json.dumps(data.dataset)})")


def _check_names(file: StudyFile) -> None:
    name = json.dumps(file.study.name)[:80]
    if not STUDY_NAME.fullmatch(file.study.name):
        raise StudyFileError(
            f"study.name = {name}: allowed are 1 to 100 letters, digits and . _ -, starting with a"
            " letter or digit and not ending with a dot"
        )
    if file.study.name.lower().startswith(RESERVED_NAMES):
        raise StudyFileError(
            f"study.name = {name}: names that begin with {' or '.join(RESERVED_NAMES)} are taken by"
            " other files of the results folder"
        )
    if file.arms and "compare" in file.study.model_fields_set:
        raise StudyFileError("study.compare: the arms are those of [arms]; remove one of them")
    if not file.study.compare:
        raise StudyFileError('study.compare = []: allowed are "optimizer" and "scheduler"')
    for scheduler in file.search.schedulers:
        with named("search.schedulers"):
            find_scheduler(scheduler)
    check_known("search.sampler", SAMPLERS.kind, file.search.sampler, SAMPLERS.names)
    check_once("search.schedulers", file.search.schedulers)
    check_once("search.optimizers", file.search.optimizers)
    for optimizer in file.search.optimizers:
        _check_optimizer(optimizer, file)
    with named("model.model"):
        model_parameters(file.model.model)


def _check_optimizer(name: str, file: StudyFile) -> None:
    """An optimizer must exist and be able to train with every schedule that its arm may use."""
    with named("search.optimizers"):
        find_optimizer(name)
    own = _own_schedulers(name, file)
    key = "search.schedulers" if own is None else f"space.{name}.{SCHEDULER}"
    for scheduler in own or file.search.schedulers:
        conflict = find_conflict(name, scheduler)
        if conflict is not None and own is None and {*file.study.compare} == {"optimizer"}:
            allowed = allowed_schedulers(name)[0]
            conflict += f"; set {SCHEDULER} = {allowed!r} under [space.{name}] to keep it"
        if conflict is not None:
            raise StudyFileError(f"{key}: {conflict}")


def _own_schedulers(optimizer: str, file: StudyFile) -> tuple[str, ...] | None:
    """The schedules from which this optimizer's arm chooses; None means those of the study."""
    given = file.space.get(optimizer, {}).get(SCHEDULER)
    if given is None:
        return None
    key = f"space.{optimizer}.{SCHEDULER}"
    if {*file.study.compare} != {"optimizer"}:
        raise StudyFileError(f'{key}: goes only with study.compare = ["optimizer"]')
    setting = read_setting(key, given, None)
    for name in setting.choices if isinstance(setting, Choice) else (setting,):
        check_known(key, "scheduler of this study", name, file.search.schedulers)
    return names_of(setting)


def _resolve_model(section: ModelSection) -> tuple[dict[str, ParamValue], dict[str, Setting]]:
    """Values and ranges of the model's parameters, with its defaults."""
    declared, given = model_parameters(section.model), section.__pydantic_extra__ or {}
    if find_package(section.model) is not None:
        check_fresh(section.model, given)
    known = declared or {}
    values: dict[str, ParamValue] = {name: spec.default for name, spec in known.items()}
    ranges: dict[str, Setting] = {}
    for name, setting in given.items():
        key = f"model.{name}"
        if declared is not None:
            check_known(key, "key", name, ("model", *known))
        read = read_setting(key, setting, known.get(name))
        if isinstance(setting, RangeTable):
            ranges[key] = read
            values.pop(name, None)
        else:
            values[name] = read  # type: ignore[assignment]
    return values, ranges


def _resolve_training(
    section: TrainingSection, task: Task
) -> tuple[TrainingConfig, dict[str, Setting]]:
    """The settings of every run, and the ranges of those that are searched."""
    given: dict[str, Any] = {name: getattr(section, name) for name in TrainingSection.model_fields}
    given["loss"] = section.loss or LOSSES[task][0]
    given["metrics"] = tuple(section.metrics)
    with named(f"training.loss = {json.dumps(given['loss'])}"):
        check_loss(given["loss"], task)
    ranges: dict[str, Setting] = {}
    for name, spec in TRAINING_RANGES.items():
        if isinstance(given[name], RangeTable):
            key = f"training.{name}"
            ranges[key] = read_setting(key, given.pop(name), spec)
            _check_training_range(key, ranges[key])
    _check_parts(section.devices_per_trial, ranges.get("training.batch_size", section.batch_size))
    if section.loop is not None:
        given["precision"] = "fp32"  # nothing is measured, because the loop decides it
    return TrainingConfig(**given), ranges


def _check_parts(num_devices: int, batch_size: Any) -> None:
    """Each device needs two samples of every batch."""
    smallest = min(int(one) for one in extremes(batch_size))
    if num_devices > 1 and smallest < MIN_DEVICE_SAMPLES * num_devices:
        raise StudyFileError(
            f"training.devices_per_trial = {num_devices}: each device needs {MIN_DEVICE_SAMPLES}"
            f" samples of a batch, and training.batch_size = {smallest}"
        )


def _check_remedies(file: StudyFile, task: Task, objectives: Sequence[str]) -> None:
    """Every remedy in use must fit the task, the optimizers, the loss and the other remedies."""
    used = [name for name in REMEDIES.names if is_used(name, getattr(file.training, name))]
    for name in used:
        conflict = find_task_conflict(name, task)
        if conflict is not None:
            raise StudyFileError(f"{_shown(file.training, name)} {conflict}")
    found = find_loss_clash(file.training.loss or "", used, objectives, task)
    if found is not None:
        raise StudyFileError(f"{found[0]}: {found[1]}")
    clash = find_clash(used, file.search.optimizers)
    if clash is not None:
        name, reason = clash
        raise StudyFileError(f"{_shown(file.training, name)}: {reason}")


def _shown(section: TrainingSection, name: str) -> str:
    """`training.name = value`, or the name alone if the value is a range."""
    value = getattr(section, name)
    is_range = isinstance(value, RangeTable)
    return f"training.{name}" if is_range else f"training.{name} = {json.dumps(value)}"


def _check_training_range(key: str, setting: Setting) -> None:
    """Every value of the range must be one that the key itself accepts."""
    name = key.partition(".")[2]
    for value in extremes(setting):
        try:
            TrainingSection.model_validate({"epochs": 1, name: value})
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise StudyFileError(f"{key}: {value!r} in the range: {reason}") from None


def _resolve_space(file: StudyFile) -> dict[str, Setting]:
    """Range or value of every searched parameter of the optimizers and schedules.

    A stored study lists all parameters of the user's own code, so none are added to it.
    """
    owners: dict[str, OptimizerSpec | SchedulerSpec] = {
        **{name: find_optimizer(name) for name in file.search.optimizers},
        **{name: find_scheduler(name) for name in file.search.schedulers},
    }
    space: dict[str, Setting] = {
        f"{owner}.{name}": spec.range
        for owner, one in owners.items()
        for name, spec in one.parameters.items()
        if spec.searched and (one.own is None or sources_are_read())
    }
    for owner, settings in file.space.items():
        check_known(f"space.{owner}", "optimizer or scheduler of this study", owner, owners)
        for name, given in settings.items():
            key = f"{owner}.{name}"
            if name != SCHEDULER or owner not in file.search.optimizers:
                _check_parameter(f"space.{key}", name, owners[owner])
            spec = owners[owner].parameters.get(name)
            space[key] = read_setting(f"space.{key}", given, spec)
    return space


def _check_parameter(key: str, name: str, owner: OptimizerSpec | SchedulerSpec) -> None:
    """The user's own code may take more than its source tells; then every name is allowed."""
    known = tuple(owner.parameters) if owner.own is None else owner.own.known
    if known is not None:
        check_known(key, "parameter", name, known)
