"""Reduces a study to the one configuration that was chosen for a run.

The result is a `StudyConfig` without ranges. Written to a file and passed to `study train`, it is
the same run again.
"""

import tomllib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.own_schedules import find_scheduler
from bakeoff.errors import UsageError
from bakeoff.ranges import Choice, FloatRange, IntRange, Params, ParamValue, Range, split_name
from bakeoff.records import StudyConfig
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.studyfile import format_study, resolve_study
from bakeoff.studyfile.arm_parameters import SHARED_OWNERS


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Settings chosen for one run. None takes the study file's value, or the library default."""

    optimizer: str | None = None
    scheduler: str | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    others: tuple[str, ...] = ()
    """`owner.parameter=value`, as in `adamw.beta2=0.99` or `model.width=64`."""


def fix_settings(config: StudyConfig, chosen: Chosen) -> StudyConfig:
    """The study of the one configuration that `chosen` describes.

    A setting that is not chosen has the study file's value. If the study file has a range, the
    setting has the library default, or the value of the range that is nearest to it. Of several
    optimizers the first is used, of several schedules the constant one.

    Raises:
        StudyFileError: A setting is unknown, or a value is not allowed.
        UsageError: An entry of `others` cannot be parsed, or the study names its arms.
    """
    if config.arms:
        raise UsageError(
            f"study {config.name!r} has several configurations, its arms {', '.join(config.arms)};"
            " take the file of one of them, which the report of the study writes to"
            " configurations, or a study file without [arms]"
        )
    document = tomllib.loads(format_study(config))
    optimizer = chosen.optimizer or config.search.optimizers[0]
    scheduler = chosen.scheduler or _scheduler_of(config, optimizer)
    document["study"]["compare"] = ["optimizer"]
    document["study"].pop("reference", None)
    document["search"] = {
        "optimizers": [optimizer],
        "schedulers": [scheduler],
        "trials_per_arm": 1,
        "defaults": False,
    }
    document["confirm"] = {"seeds": 0}
    own = {owner: dict(document["space"].get(owner, {})) for owner in (optimizer, scheduler)}
    own[optimizer].pop("scheduler", None)
    document["space"] = own
    given = _given(chosen, optimizer)
    for name, value in given.items():
        owner, parameter = split_name(name)
        parent = document if owner in SHARED_OWNERS else own
        parent.setdefault(owner, {})[parameter] = value
    if "data.normalize" not in given:
        _forget_weights(document)
    return replace(_without_ranges(resolve_study(document)), folder=config.folder)


def _forget_weights(document: dict[str, dict[str, Any]]) -> None:
    """Drop the normalisation of pretrained weights where none are loaded any more."""
    data = document.get("data", {})
    if data.get("normalize") == "weights" and not document.get("finetune", {}).get("pretrained"):
        del data["normalize"]


def params_of(config: StudyConfig) -> Params:
    """The parameters of a study of one configuration, by full name."""
    return {
        "optimizer": config.search.optimizers[0],
        "scheduler": config.search.schedulers[0],
        **{name: value for name, value in config.space.items() if _is_value(value)},
    }


def _scheduler_of(config: StudyConfig, optimizer: str) -> str:
    own = config.space.get(f"{optimizer}.scheduler")
    if isinstance(own, str):
        return own
    schedulers = own.choices if isinstance(own, Choice) else config.search.schedulers
    return str(schedulers[0]) if len(schedulers) == 1 else "constant"


def _given(chosen: Chosen, optimizer: str) -> dict[str, ParamValue]:
    """The chosen values by full parameter name."""
    named = {
        f"{optimizer}.learning_rate": chosen.learning_rate,
        f"{optimizer}.weight_decay": chosen.weight_decay,
        "training.epochs": chosen.epochs,
        "training.batch_size": chosen.batch_size,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return given | dict(map(_parse, chosen.others))


def _parse(text: str) -> tuple[str, ParamValue]:
    name, equals, written = text.partition("=")
    owner, parameter = split_name(name.strip())
    if not (equals and owner and parameter):
        raise UsageError(f"--set {text}: write owner.parameter=value, as in adamw.beta2=0.99")
    written = written.strip()
    value: object = written
    with suppress(tomllib.TOMLDecodeError):  # a number or a boolean; anything else is text
        value = tomllib.loads(f"value = {written}")["value"]
    if not isinstance(value, (bool, int, float, str)):
        value = written
    return f"{owner}.{parameter}", value


def _without_ranges(config: StudyConfig) -> StudyConfig:
    (arm,) = build_arms(config)
    fixed = {name: value for name, value in arm.space.items() if _is_value(value)}
    defaults = default_params(arm, config.model)
    params = {
        name: _take_in(value, arm.space[name], _library_range(name, config))
        for name, value in defaults.items()
    }
    params |= fixed
    trial = build_trial_config(config, params, config.seed)
    return replace(
        config,
        model_params=trial.model_params,
        finetune=trial.finetune,
        training=trial.training,
        space={
            name: value
            for name, value in params.items()
            if "." in name and name.partition(".")[0] not in SHARED_OWNERS
        },
    )


def _take_in(default: ParamValue, setting: Range | ParamValue, library: Range | None) -> ParamValue:
    """The library default, or the value of the study file's own range that is nearest to it.

    The library's own range need not contain its default: it does not contain a weight decay of 0.
    """
    if setting == library:
        return default
    if isinstance(setting, Choice):
        return default if default in setting else setting.choices[0]
    if isinstance(setting, (FloatRange, IntRange)) and default not in setting:
        return setting.low if float(default) < setting.low else setting.high
    return default


def _library_range(name: str, config: StudyConfig) -> Range | None:
    """The default range of a parameter; None unless it belongs to an optimizer or schedule."""
    owner, parameter = split_name(name)
    if owner in {"", *SHARED_OWNERS}:
        return None
    is_optimizer = owner in config.search.optimizers
    found = find_optimizer(owner) if is_optimizer else find_scheduler(owner)
    spec = found.parameters.get(parameter)
    return None if spec is None else spec.range


def _is_value(setting: Range | ParamValue) -> TypeGuard[ParamValue]:
    return not isinstance(setting, (FloatRange, IntRange, Choice))
