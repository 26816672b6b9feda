"""What a study file means: names looked up, ranges checked, every default written out."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bakeoff.components.compatibility import allowed_schedulers, find_conflict, find_model_conflict
from bakeoff.components.models import find_model
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import check_fresh, find_package
from bakeoff.components.parameters import ParameterSpec
from bakeoff.components.remedies import REMEDIES, find_clash, find_task_conflict, is_used
from bakeoff.components.samplers import SAMPLERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.data.dataset_table import known_inputs
from bakeoff.errors import StudyFileError, UsageError, describe_unknown
from bakeoff.ranges import Choice, FloatRange, ParamValue
from bakeoff.records import (
    ConfirmConfig,
    DataConfig,
    Loss,
    StudyConfig,
    Task,
    TrackingConfig,
    TrainingConfig,
)
from bakeoff.registry import Registry
from bakeoff.significance import min_confirmation_seeds
from bakeoff.studyfile.arm_parameters import Setting
from bakeoff.studyfile.data import resolve_data
from bakeoff.studyfile.objective_choice import check_search, resolve_objectives
from bakeoff.studyfile.repeatable import fix_training
from bakeoff.studyfile.schema import (
    ModelSection,
    RangeTable,
    StudyFile,
    TrainingSection,
)
from bakeoff.studyfile.search import fit_to_grid, resolve_search
from bakeoff.studyfile.value_or_range import extremes, read_setting

STUDY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
RESERVED_NAMES = ("published", "studies.db")
"""Names in the results folder that are taken."""
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
LOSSES: Mapping[Task, tuple[Loss, ...]] = {
    "classification": ("cross_entropy",),
    "regression": ("mse", "l1", "huber"),
    "language": ("cross_entropy",),
}
"""That a task can train with, its default first."""
SCHEDULER = "scheduler"
"""Under `[space.<optimizer>]`: the schedules of its arm, where they are fewer than the study's."""


def arm_names(
    compare: tuple[str, ...], optimizers: tuple[str, ...], schedulers: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of the arms, in the order of the study file: `adamw`, `cosine` or `adamw+cosine`."""
    if "scheduler" not in compare:
        return optimizers
    if "optimizer" not in compare:
        return schedulers
    return tuple(f"{optimizer}+{scheduler}" for optimizer in optimizers for scheduler in schedulers)


def resolve(file: StudyFile) -> StudyConfig:
    """The study that a parsed file describes.

    Raises:
        StudyFileError: A name is unknown, or a range or value is not allowed.
    """
    _check_names(file)
    data = resolve_data(file.data)
    task = data.task
    _check_fit(file, data)
    objective, *further = resolve_objectives(file.study.objective, task)
    check_search(file.search, (objective, *further))
    optimizers, schedulers = tuple(file.search.optimizers), tuple(file.search.schedulers)
    compare = tuple(dict.fromkeys(file.study.compare))
    arms = arm_names(compare, optimizers, schedulers)
    if file.study.reference is not None and file.study.reference not in arms:
        problem = describe_unknown("arm", file.study.reference, arms)
        raise StudyFileError(f"study.reference: {problem}")
    _check_remedies(file, task)
    model_values, model_ranges = _resolve_model(file.model)
    fixed = fix_training(file, (objective, *further))
    training, training_ranges = _resolve_training(fixed, task)
    config = StudyConfig(
        name=file.study.name,
        question=file.study.question or _default_question(compare, file),
        seed=file.study.seed,
        objective=objective,
        further_objectives=tuple(further),
        score_rule=file.study.score,
        compare=compare,
        delta=file.study.delta,
        reference=file.study.reference,
        data=data,
        model=file.model.model,
        model_params=model_values,
        training=training,
        search=resolve_search(file.search, file.training.epochs, prunes=not further),
        space={**_resolve_space(file), **model_ranges, **training_ranges},
        confirm=ConfirmConfig(
            seeds=(
                min_confirmation_seeds(len(arms))
                if file.confirm.seeds == "auto"
                else file.confirm.seeds
            ),
            shortlist=file.confirm.shortlist,
            shortlist_seeds=file.confirm.shortlist_seeds,
        ),
        tracking=TrackingConfig(tensorboard=file.tracking.tensorboard, wandb=file.tracking.wandb),
    )
    if file.search.sampler == "grid":
        return fit_to_grid(
            config, arms, is_budget_given="trials_per_arm" in file.search.model_fields_set
        )
    return config


def _default_question(compare: tuple[str, ...], file: StudyFile) -> str:
    return f"Which {' and '.join(compare)} suits {file.model.model} on {file.data.dataset}?"


def _check_names(file: StudyFile) -> None:
    if not STUDY_NAME.fullmatch(file.study.name):
        raise StudyFileError(
            f"study.name = {json.dumps(file.study.name)[:80]}: allowed are 1 to 100 letters, digits"
            " and . _ -, starting with a letter or digit and not ending with a dot"
        )
    if file.study.name.lower().startswith(RESERVED_NAMES):
        raise StudyFileError(
            f"study.name = {json.dumps(file.study.name)}: names that begin with"
            f" {' or '.join(RESERVED_NAMES)} are taken by other files of the results folder"
        )
    if not file.study.compare:
        raise StudyFileError('study.compare = []: allowed are "optimizer" and "scheduler"')
    _check_known("search.schedulers", file.search.schedulers, SCHEDULERS)
    _check_known("search.sampler", [file.search.sampler], SAMPLERS)
    _check_optimizers(file)
    try:
        find_model(file.model.model)
    except UsageError as error:
        raise StudyFileError(f"model.model: {error}") from None


def _check_fit(file: StudyFile, data: DataConfig) -> None:
    """The model must be for the data."""
    conflict = find_model_conflict(file.model.model, known_inputs(data.dataset, data.task))
    if conflict is not None:
        raise StudyFileError(f"model.model: {conflict} (data.dataset = {json.dumps(data.dataset)})")


def _check_known(key: str, names: list[str], registry: Registry[Any]) -> None:
    for name in names:
        if name not in registry:
            problem = describe_unknown(registry.kind, name, registry.names)
            raise StudyFileError(f"{key}: {problem}")
        _check_once(key, name, names)


def _check_once(key: str, name: str, names: list[str]) -> None:
    if names.count(name) > 1:
        raise StudyFileError(f"{key}: {name!r} is listed twice")


def _check_optimizers(file: StudyFile) -> None:
    """Every optimizer must exist, and be able to train with every schedule it may be given."""
    search = file.search
    for name in search.optimizers:
        _check_once("search.optimizers", name, search.optimizers)
        try:
            find_optimizer(name)
        except UsageError as error:
            raise StudyFileError(f"search.optimizers: {error}") from None
        own = _own_schedulers(name, file)
        key = "search.schedulers" if own is None else f"space.{name}.{SCHEDULER}"
        for scheduler in own or search.schedulers:
            conflict = find_conflict(name, scheduler)
            if conflict is not None:
                raise StudyFileError(f"{key}: {conflict}{_way_out(name, file)}")


def _way_out(optimizer: str, file: StudyFile) -> str:
    """How the study could keep the optimizer, if it could."""
    if {*file.study.compare} != {"optimizer"} or SCHEDULER in file.space.get(optimizer, {}):
        return ""
    return (
        f"; {SCHEDULER} = {allowed_schedulers(optimizer)[0]!r} under [space.{optimizer}] sees to it"
    )


def _own_schedulers(optimizer: str, file: StudyFile) -> tuple[str, ...] | None:
    """The schedules that this optimizer's arm chooses from; None means those of the study."""
    given = file.space.get(optimizer, {}).get(SCHEDULER)
    if given is None:
        return None
    key = f"space.{optimizer}.{SCHEDULER}"
    if {*file.study.compare} != {"optimizer"}:
        raise StudyFileError(f'{key}: goes only with study.compare = ["optimizer"]')
    setting = read_setting(key, given, None)
    names = setting.choices if isinstance(setting, Choice) else (setting,)
    for name in names:
        if name not in file.search.schedulers:
            problem = describe_unknown("scheduler of this study", name, file.search.schedulers)
            raise StudyFileError(f"{key}: {problem}")
    return tuple(map(str, names))


def _resolve_model(section: ModelSection) -> tuple[dict[str, ParamValue], dict[str, Setting]]:
    declared = find_model(section.model).parameters
    _check_package_model(section)
    known = declared or {}
    values: dict[str, ParamValue] = {name: spec.default for name, spec in known.items()}
    ranges: dict[str, Setting] = {}
    for name, given in (section.__pydantic_extra__ or {}).items():
        key = f"model.{name}"
        if declared is not None and name not in known:
            raise StudyFileError(f"{key}: {describe_unknown('key', name, ['model', *known])}")
        setting = read_setting(key, given, known.get(name))
        if isinstance(given, RangeTable):
            ranges[key] = setting
            values.pop(name, None)
        else:
            values[name] = setting  # type: ignore[assignment]
    return values, ranges


def _check_package_model(section: ModelSection) -> None:
    """A model of a package takes parameters that only it knows, but none that would download."""
    if find_package(section.model) is not None:
        try:
            check_fresh(section.model, section.__pydantic_extra__ or {})
        except UsageError as error:
            raise StudyFileError(str(error)) from None


def _resolve_training(
    section: TrainingSection, task: Task
) -> tuple[TrainingConfig, dict[str, Setting]]:
    given: dict[str, Any] = {name: getattr(section, name) for name in TrainingSection.model_fields}
    given["loss"] = _resolve_loss(section, task)
    ranges: dict[str, Setting] = {}
    for name in TRAINING_RANGES:
        if isinstance(given[name], RangeTable):
            key = f"training.{name}"
            ranges[key] = read_setting(key, given.pop(name), TRAINING_RANGES[name])
            _check_training_range(key, ranges[key])
    return TrainingConfig(**given), ranges


def _resolve_loss(section: TrainingSection, task: Task) -> Loss:
    allowed = LOSSES[task]
    if section.loss not in (None, *allowed):
        raise StudyFileError(
            f"training.loss = {json.dumps(section.loss)}: of {task}; allowed: {', '.join(allowed)}"
        )
    return section.loss or allowed[0]


def _check_remedies(file: StudyFile, task: Task) -> None:
    """Every remedy in use must go with the task, the optimizers and the other remedies."""
    used = [name for name in REMEDIES.names if is_used(name, getattr(file.training, name))]
    for name in used:
        conflict = find_task_conflict(name, task)
        if conflict is not None:
            raise StudyFileError(f"{_shown(file.training, name)} {conflict}")
    clash = find_clash(used, file.search.optimizers)
    if clash is not None:
        name, reason = clash
        raise StudyFileError(f"{_shown(file.training, name)}: {reason}")


def _shown(section: TrainingSection, name: str) -> str:
    """`training.name = value`, or the name alone where the value is a range."""
    value = getattr(section, name)
    is_range = isinstance(value, RangeTable)
    return f"training.{name}" if is_range else f"training.{name} = {json.dumps(value)}"


def _check_training_range(key: str, setting: Setting) -> None:
    """Every value of the range must be one the field itself would accept."""
    name = key.partition(".")[2]
    for value in extremes(setting):
        try:
            TrainingSection.model_validate({"epochs": 1, name: value})
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise StudyFileError(f"{key}: {value!r} in the range: {reason}") from None


def _resolve_space(file: StudyFile) -> dict[str, Setting]:
    owners = {
        **{name: find_optimizer(name).parameters for name in file.search.optimizers},
        **{name: SCHEDULERS[name].parameters for name in file.search.schedulers},
    }
    space: dict[str, Setting] = {
        f"{owner}.{name}": spec.range
        for owner, parameters in owners.items()
        for name, spec in parameters.items()
        if spec.searched
    }
    for owner, settings in file.space.items():
        if owner not in owners:
            problem = describe_unknown("optimizer or scheduler of this study", owner, owners)
            raise StudyFileError(f"space.{owner}: {problem}")
        for name, given in settings.items():
            key = f"{owner}.{name}"
            if name not in owners[owner] and not (
                name == SCHEDULER and owner in file.search.optimizers
            ):
                problem = describe_unknown("parameter", name, owners[owner])
                raise StudyFileError(f"space.{key}: {problem}")
            space[key] = read_setting(f"space.{key}", given, owners[owner].get(name))
    return space
