"""The search spaces of a study's arms, and the training run that sampled parameters describe.

Parameter names are Optuna's: `optimizer`, `scheduler`, and then names with their owner in front,
such as `adamw.learning_rate`, `one_cycle.warmup_fraction`, `model.dropout`, `training.batch_size`.
A parameter of an optimizer or a scheduler exists only in the trials that use it.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from bakeoff.components.models import model_parameters
from bakeoff.components.optimizers import OptimizerSpec, find_optimizer
from bakeoff.components.own_schedules import find_scheduler
from bakeoff.components.parameters import ParameterSpec
from bakeoff.components.schedulers import SchedulerSpec
from bakeoff.errors import SpaceChangedError
from bakeoff.ranges import (
    Choice,
    FloatRange,
    IntRange,
    Params,
    ParamValue,
    Range,
    allows,
    owned_params,
)
from bakeoff.records import READS_TEST, ArmRecord, Purpose, StudyConfig, TrialConfig
from bakeoff.seeding import derive_seed, repeat_seed
from bakeoff.studyfile import describe_settings
from bakeoff.studyfile.arm_parameters import arm_space, is_active, names_of, study_arms
from bakeoff.studyfile.named_arms import arm_settings

Setting = Range | ParamValue
MAY_CHANGE = (
    "study.question", "tracking.tensorboard", "tracking.wandb", "tracking.mlflow",
    "tracking.callback",
)  # fmt: skip
"""Settings that may differ from the stored study, because no result depends on them."""

MAY_BE_EXTENDED = (
    "search.optimizers:", "search.schedulers:", "search.trials_per_arm:", "search.epochs_per_arm:",
    "search.seconds_per_arm:", "search.startup_trials:", "search.repeats:", "space.",
    "confirm.seeds:", "confirm.repeat_seeds:", "confirm.looks:", "arms:",
)  # fmt: skip
"""Settings that an extension may change, with further conditions in `check_extension`."""


def build_arms(config: StudyConfig) -> tuple[ArmRecord, ...]:
    """The study's arms with their spaces, in the order of the study file."""
    settings = arm_settings(config)
    return tuple(
        ArmRecord(
            name=name,
            space=space,
            contains=_contained_arms(space, config),
            settings=settings.get(name, {}),
        )
        for name in study_arms(config)
        for space in (arm_space(name, config),)
    )


def _contained_arms(space: Mapping[str, Setting], config: StudyConfig) -> tuple[str, ...]:
    """The arms whose optimizer is a special case of this arm's optimizer."""
    optimizer = space["optimizer"]
    if config.compare != ("optimizer",) or not isinstance(optimizer, str):
        return ()
    return tuple(
        name for name in find_optimizer(optimizer).contains if name in config.search.optimizers
    )


def suggest(trial: BaseTrial, arm: ArmRecord) -> Params:
    """Sample one configuration of the arm, with the parameters of the chosen owners only."""
    params: dict[str, ParamValue] = {}
    for name, setting in arm.space.items():
        if is_active(name, params):
            params[name] = _suggest_one(trial, name, setting)
    return params


def suggest_jointly(trial: BaseTrial, arm: ArmRecord) -> Params:
    """Sample every parameter of the arm, and keep those of the chosen owners.

    This is for samplers that need the same parameters in every trial.
    """
    drawn = {name: _suggest_one(trial, name, setting) for name, setting in arm.space.items()}
    return {name: value for name, value in drawn.items() if is_active(name, drawn)}


def as_sampled(params: Params, arm: ArmRecord) -> dict[str, ParamValue]:
    """`params` as `suggest` asks a sampler for them: what `optuna.trial.FixedTrial` needs.

    Optuna has no distribution that is even in log(1 - value). Samplers draw the scaled value of
    such a parameter; everything else, studies in a storage included, has the value itself.
    """
    settings = ((name, value, arm.space.get(name)) for name, value in params.items())
    return {
        name: setting.scaled(float(value))
        if isinstance(setting, FloatRange) and setting.log_from_one
        else value
        for name, value, setting in settings
    }


def complete(params: Params, arm: ArmRecord) -> Params:
    """`params` with the arm's other parameters in the middle of their ranges."""
    return {name: params.get(name, _middle(setting)) for name, setting in arm.space.items()}


def _suggest_one(trial: BaseTrial, name: str, setting: Setting) -> ParamValue:
    match setting:
        case FloatRange(log_from_one=True):
            low, high = setting.scaled(setting.low), setting.scaled(setting.high)
            return setting.unscaled(trial.suggest_float(name, low, high))
        case FloatRange():
            return trial.suggest_float(name, setting.low, setting.high, log=setting.log)
        case IntRange():
            return trial.suggest_int(
                name, setting.low, setting.high, step=setting.step, log=setting.log
            )
        case Choice():
            return cast("ParamValue", trial.suggest_categorical(name, list(setting.choices)))
        case _:
            return setting


def default_params(arm: ArmRecord, model: str) -> Params:
    """The library defaults of the arm, with the constant schedule if the arm can choose one.

    A parameter without a library default (in `[training]`, or of the user's own model) takes the
    middle of its range: the geometric mean if the range is logarithmic (of the distances from 1,
    if it is logarithmic in those), or the first choice.
    """
    declared = _declared_parameters(arm, model)
    params: dict[str, ParamValue] = {}
    for name, setting in arm.space.items():
        if name == "optimizer":
            params[name] = setting.choices[0] if isinstance(setting, Choice) else str(setting)
        elif name == "scheduler":
            params[name] = "constant" if isinstance(setting, Choice) else str(setting)
        elif is_active(name, params):
            params[name] = declared[name].default if name in declared else _middle(setting)
    return params


def _declared_parameters(arm: ArmRecord, model: str) -> dict[str, ParameterSpec]:
    """The parameters of the arm's optimizers and schedules and of the model, by full name."""
    schedulers = map(find_scheduler, names_of(arm.space["scheduler"]))
    optimizers = map(find_optimizer, names_of(arm.space["optimizer"]))
    owners: list[OptimizerSpec | SchedulerSpec] = [*optimizers, *schedulers]
    return {
        **{f"{one.name}.{name}": spec for one in owners for name, spec in one.parameters.items()},
        **{f"model.{name}": spec for name, spec in (model_parameters(model) or {}).items()},
    }


def _middle(setting: Setting) -> ParamValue:
    match setting:
        case FloatRange(log=True):
            return math.sqrt(setting.low * setting.high)
        case FloatRange(log_from_one=True):
            return 1 - math.sqrt((1 - setting.low) * (1 - setting.high))
        case FloatRange():
            return (setting.low + setting.high) / 2
        case IntRange():
            low, high = setting.low, setting.high
            middle = math.sqrt(low * high) if setting.log else (low + high) / 2
            return low + round((middle - low) / setting.step) * setting.step
        case Choice():
            return setting.choices[0]
        case _:
            return setting


def split_seeds(
    config: StudyConfig, repeat: int, purpose: Purpose, seed: int
) -> tuple[int, int | None]:
    """The seeds of a run's split into training and validation samples, and of its test set.

    All runs of a study have one split. With `resplit` each repeat has a split and a test set of its
    own, and the runs that read the test set redraw training and validation samples for each of
    their training seeds. The arms share all of these splits.
    """
    if not config.confirm.resplit:
        return derive_seed(config.seed, "split"), None
    base = repeat_seed(config.seed, repeat)
    test_seed = derive_seed(base, "test split") if repeat else None
    if purpose in READS_TEST:
        return derive_seed(base, "split", seed), test_seed
    return derive_seed(base, "split"), test_seed


def build_trial_config(
    config: StudyConfig,
    params: Params,
    seed: int,
    *,
    repeat: int = 0,
    purpose: Purpose = "search",
) -> TrialConfig:
    """The training run that these parameters describe.

    Args:
        config: The study; where arms are named, `StudyConfig.of_arm` of the run's arm.
        params: The parameters by full name, as `suggest` returns them.
        seed: The training seed of this run.
        repeat: The repeat that it belongs to; with `purpose` it decides the split.
        purpose: What the run is for.
    """
    split_seed, test_seed = split_seeds(config, repeat, purpose, seed)
    optimizer, scheduler = str(params["optimizer"]), str(params["scheduler"])
    return TrialConfig(
        optimizer=optimizer,
        optimizer_params=owned_params(params, optimizer),
        scheduler=scheduler,
        scheduler_params=owned_params(params, scheduler),
        model=config.model,
        model_params={**config.model_params, **owned_params(params, "model")},
        data=config.data,
        training=replace(config.training, **owned_params(params, "training")),  # type: ignore[arg-type]
        objective=config.objective,
        score_rule=config.score_rule,
        seed=seed,
        split_seed=split_seed,
        test_seed=test_seed,
        metrics=config.metrics,
        finetune=replace(config.finetune, **owned_params(params, "finetune")),  # type: ignore[arg-type]
    )


def distributions(config: StudyConfig, params: Params) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each of `params`, the same for every trial of the study.

    A parameter with a fixed value is a choice of one value, so that the stored trial is complete. A
    value outside its range (a library default such as weight decay 0 in a logarithmic range) has no
    distribution and is left out. So is a value that a named arm alone allows, because Optuna takes
    the distribution of the first arm with this parameter for those of all arms.
    """
    variants = (*config.variants.values(),)
    all_settings: dict[str, Setting] = {}
    for variant in reversed(variants):
        all_settings |= variant.space
    for key in ("optimizer", "scheduler"):
        names = [name for one in variants for name in getattr(one.search, f"{key}s")]
        all_settings[key] = Choice(choices=tuple(dict.fromkeys(names)))
    return {
        name: _distribution(all_settings[name])
        for name, value in params.items()
        if name in all_settings and allows(all_settings[name], value)
    }


def _distribution(setting: Setting) -> BaseDistribution:
    match setting:
        case FloatRange():
            return FloatDistribution(setting.low, setting.high, log=setting.log)
        case IntRange():
            return IntDistribution(setting.low, setting.high, log=setting.log, step=setting.step)
        case Choice():
            return CategoricalDistribution(setting.choices)
        case _:
            return CategoricalDistribution((setting,))


def fingerprint(config: StudyConfig) -> str:
    """SHA-256 over every setting that can change a result."""
    lines = [f"{key}={value}" for key, value in sorted(_decisive(config))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _decisive(config: StudyConfig) -> Iterator[tuple[str, str]]:
    return (item for item in describe_settings(config) if item[0] not in MAY_CHANGE)


def check_unchanged(stored: StudyConfig, given: StudyConfig) -> None:
    """Refuse to continue a stored study with other settings.

    Raises:
        SpaceChangedError: The settings differ; the message lists each difference.
    """
    changes = describe_changes(stored, given)
    if changes:
        raise SpaceChangedError(
            f"study {stored.name!r} was begun with other settings ({'; '.join(changes)}); restore"
            f" them, {'add them with --extend, ' if _is_extension(stored, given) else ''}give the"
            " study a new name, or delete the stored study with `study delete`"
        )


def _is_extension(stored: StudyConfig, given: StudyConfig) -> bool:
    try:
        check_extension(stored, given)
    except SpaceChangedError:
        return False
    return True


def check_extension(stored: StudyConfig, given: StudyConfig) -> list[str]:
    """The settings by which `given` extends a stored study, as `key: before -> after`.

    An extension may have a larger budget, more arms, more repeats and more confirmation seeds.
    Existing arms keep their spaces, so that their trials still count.

    Raises:
        SpaceChangedError: Something else differs; the message lists each difference.
    """
    changes = describe_changes(stored, given)
    added = tuple(f"arms.{name}." for name in given.arms if name not in stored.arms)
    refused = [one for one in changes if not one.startswith((*MAY_BE_EXTENDED, *added))]
    spaces = {arm.name: arm.space for arm in build_arms(given)}
    refused += [
        f"the space of {arm.name} changed or is missing"
        for arm in build_arms(stored)
        if spaces.get(arm.name) != arm.space
    ]
    refused += [
        f"search.{unit}_per_arm: fewer"
        for unit, limit in given.search.budget.limits.items()
        if limit < stored.search.budget.limits.get(unit, math.inf)
    ]
    if given.search.repeats < stored.search.repeats:
        refused.append("search.repeats: fewer")
    if given.confirm.seeds < stored.confirm.seeds:
        refused.append("confirm.seeds: fewer")
    if stored.search.repeats > 1 and given.confirm.repeat_seeds < stored.confirm.repeat_seeds:
        refused.append("confirm.repeat_seeds: fewer")
    if refused:
        raise SpaceChangedError(
            f"study {stored.name!r} can be extended by a larger budget, arms, repeats and"
            f" confirmation seeds only ({'; '.join(refused)})"
        )
    return changes


def describe_changes(stored: StudyConfig, given: StudyConfig) -> list[str]:
    """Every setting that can change a result and differs, as `key: before -> after`."""
    before, after = dict(_decisive(stored)), dict(_decisive(given))
    return [
        f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
