"""From a study and the settings chosen for one run to a study of that one configuration.

The result is a `StudyConfig` without a range: as a file it says all that the run is, and given to
`study train` it is the same run again.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.errors import UsageError
from bakeoff.ranges import Choice, FloatRange, IntRange, Params, ParamValue, Range
from bakeoff.records import StudyConfig
from bakeoff.space import build_arms, default_params
from bakeoff.studyfile import format_study, resolve_study

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Settings given for one run; None leaves one to the study file, then to the library."""

    optimizer: str | None = None
    scheduler: str | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    others: tuple[str, ...] = ()
    """`owner.parameter=value`, as in `adamw.beta2=0.99` or `model.width=64`."""


def fix_settings(config: StudyConfig, chosen: Chosen) -> StudyConfig:
    """The study of the one configuration that `chosen` names.

    What is not chosen has the study file's value. Where that has a range, it has the library's
    default, or the value of the range that is nearest to it; several optimizers leave the first,
    several schedules the constant one.

    Raises:
        StudyFileError: A setting is unknown, or a value is not allowed.
        UsageError: `others` cannot be read.
    """
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
    document["space"] = dict(_own_settings(document["space"], (optimizer, scheduler)))
    for name, value in _given(chosen, optimizer).items():
        _put(document, name, value)
    return _without_ranges(resolve_study(document))


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


def _own_settings(
    space: Mapping[str, Mapping[str, Any]], owners: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Values and ranges that the study file gives these owners."""
    for owner in owners:
        settings = {key: one for key, one in space.get(owner, {}).items() if key != "scheduler"}
        if settings:
            yield owner, settings


def _given(chosen: Chosen, optimizer: str) -> dict[str, ParamValue]:
    """Chosen values by full parameter name."""
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
    owner, dot, parameter = name.strip().partition(".")
    if not (equals and dot and owner and parameter):
        raise UsageError(f"--set {text}: give it as owner.parameter=value, as in adamw.beta2=0.99")
    return f"{owner}.{parameter}", _parse_value(written.strip())


def _parse_value(written: str) -> ParamValue:
    """A number or a truth value as TOML writes it; anything else is text."""
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written
    return value if isinstance(value, (bool, int, float, str)) else written


def _put(document: Document, name: str, value: ParamValue) -> None:
    owner, _, parameter = name.partition(".")
    if owner in {"model", "training"}:
        document[owner][parameter] = value
    else:
        document["space"].setdefault(owner, {})[parameter] = value


def _without_ranges(config: StudyConfig) -> StudyConfig:
    (arm,) = build_arms(config)
    fixed = {name: value for name, value in arm.space.items() if _is_value(value)}
    defaults = default_params(arm, config.model)
    params = {name: _take_in(name, value, arm.space[name]) for name, value in defaults.items()}
    params |= fixed
    training = _owned("training", params)
    return replace(
        config,
        model_params={**config.model_params, **_owned("model", params)},
        training=replace(config.training, **training),  # type: ignore[arg-type]
        space={
            name: value
            for name, value in params.items()
            if "." in name and not name.startswith(("model.", "training."))
        },
    )


def _take_in(name: str, default: ParamValue, setting: Range | ParamValue) -> ParamValue:
    """The library's default, or what of the study file's own range is nearest to it.

    Where the range is the library's, its default stands, as a weight decay of 0 does.
    """
    if name in {"optimizer", "scheduler"} or setting == _library_range(name):
        return default
    if isinstance(setting, Choice):
        return default if default in setting else setting.choices[0]
    if isinstance(setting, (FloatRange, IntRange)) and default not in setting:
        return setting.low if float(default) < setting.low else setting.high
    return default


def _library_range(name: str) -> Range | None:
    """Where a parameter is searched by default; None for what no optimizer or schedule has."""
    owner, _, parameter = name.partition(".")
    if owner in {"optimizer", "scheduler", "model", "training"}:
        return None
    found = SCHEDULERS[owner] if owner in SCHEDULERS else find_optimizer(owner)
    return found.parameters[parameter].range


def _is_value(setting: Range | ParamValue) -> TypeGuard[ParamValue]:
    return not isinstance(setting, (FloatRange, IntRange, Choice))


def _owned(owner: str, params: Params) -> dict[str, ParamValue]:
    return {
        name.partition(".")[2]: value
        for name, value in params.items()
        if name.startswith(f"{owner}.")
    }
