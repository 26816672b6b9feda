"""The parameters of each arm: which component owns them, and when they are used."""

from bakeoff.ranges import Choice, Params, ParamValue, Range, split_name
from bakeoff.records import StudyConfig

Setting = Range | ParamValue
SHARED_OWNERS = ("model", "finetune", "training")
"""Sections of a study file whose keys are parameters of every arm."""


def arm_names(
    compare: tuple[str, ...], optimizers: tuple[str, ...], schedulers: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of the arms, in the order of the study file: `adamw`, `cosine` or `adamw+cosine`."""
    if "scheduler" not in compare:
        return optimizers
    if "optimizer" not in compare:
        return schedulers
    return tuple(f"{optimizer}+{scheduler}" for optimizer in optimizers for scheduler in schedulers)


def study_arms(config: StudyConfig) -> tuple[str, ...]:
    """Names of the arms of a study, in the order of the study file."""
    search = config.search
    return tuple(config.arms) or arm_names(config.compare, search.optimizers, search.schedulers)


def arm_space(arm: str, config: StudyConfig) -> dict[str, Setting]:
    """Range or fixed value of each parameter of the arm, in the order in which they are sampled."""
    compare, config = config.compare, config.of_arm(arm)
    optimizers, schedulers = config.search.optimizers, config.search.schedulers
    if "optimizer" in compare:
        optimizers = (arm.partition("+")[0],)
    if "scheduler" in compare:
        schedulers = (arm.rpartition("+")[2],)
    scheduler = _one_or_choice(schedulers)
    if len(optimizers) == 1:
        scheduler = config.space.get(f"{optimizers[0]}.scheduler", scheduler)
        schedulers = names_of(scheduler)
    owners = {*optimizers, *schedulers, *SHARED_OWNERS}
    return {
        "optimizer": _one_or_choice(optimizers),
        "scheduler": scheduler,
        **{
            name: setting
            for name, setting in config.space.items()
            if split_name(name)[0] in owners and not name.endswith(".scheduler")
        },
    }


def names_of(setting: Setting) -> tuple[str, ...]:
    """The optimizers or schedules that a setting allows."""
    return tuple(map(str, setting.choices)) if isinstance(setting, Choice) else (str(setting),)


def _one_or_choice(names: tuple[str, ...]) -> Setting:
    return names[0] if len(names) == 1 else Choice(choices=names)


def is_active(name: str, params: Params) -> bool:
    """Whether a parameter applies given `params`: its owner was chosen, or belongs to every arm."""
    owner, _ = split_name(name)
    return not owner or owner in {*SHARED_OWNERS, params["optimizer"], params["scheduler"]}
