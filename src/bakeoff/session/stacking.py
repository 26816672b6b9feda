"""Whether the runs of a study train as stacks, and how many of them at once."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

from bakeoff.components.objectives import COSTS
from bakeoff.engines.protocol import Probed
from bakeoff.errors import UsageError
from bakeoff.ranges import Choice, Params, ParamValue, Range
from bakeoff.records import Arithmetic, ArmRecord, StudyConfig, TrialConfig
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.training.stack.key import shared_settings

MIN_STACK_GAIN = 1.3
"""Stacks are chosen where single runs take this many times as long."""
MIN_STACKED = 2
MOST_TRIED = 8
"""Runs in the stack that is tried. Wider ones gain little more."""
OPEN_PER_ARM = 2
"""Trials of an arm that are open at once, where the search trains stacks. An arm's proposals learn
from its trials that have ended, so more of them would cost more trials for as good a result."""

How = Literal["plain", "stacked"]


class Stacking(NamedTuple):
    """How the runs of the two parts of a study train."""

    search: How
    confirm: How


class Widths(NamedTuple):
    """Runs that a worker trains at once in the two parts of a study; 0 where no stack is tried."""

    search: int
    confirm: int


NO_STACKS = Widths(search=0, confirm=0)


def open_trials(config: StudyConfig) -> int:
    """The number of trials that are open at once, at most, where the search trains stacks."""
    return config.search.lag or OPEN_PER_ARM * len(build_arms(config))


def least_gain(config: StudyConfig) -> float:
    """The gain of stacks that is worth it; 0 where the study file names them."""
    named = "stacked" in (config.search.arithmetic, config.confirm.arithmetic)
    return 0.0 if named else MIN_STACK_GAIN


def choose_lag(config: StudyConfig, search: How, workers: int) -> int | None:
    """The open trials of a search that decides in the order of scheduling; None if it does not.

    A search that trains stacks decides in this order even if it is not repeatable: the trials of a
    stack end together, and after a kill each continues from a checkpoint of its own, so that the
    order in which they end would change what is proposed next.
    """
    if search == "plain" or config.search.lag is not None:
        return config.search.lag
    return max(open_trials(config), workers)


def widths_to_try(config: StudyConfig, workers: int) -> Widths:
    """The stacks that a probe tries."""
    confirm, tried = config.confirm, 0
    if _is_wanted(config, confirm.arithmetic) and confirm.seeds >= MIN_STACKED:
        tried = min(confirm.seeds, MOST_TRIED)
    return Widths(search=_search_width(config, workers), confirm=tried)


def _search_width(config: StudyConfig, workers: int) -> int:
    """Trials of a worker's stack. A search that is limited by seconds shares no time."""
    search = config.search
    if not _is_wanted(config, search.arithmetic) or search.seconds_per_arm is not None:
        return 0
    if {config.objective, *config.further_objectives} & {*COSTS.names} or not are_alike(config):
        return 0
    width = min(open_trials(config) // workers, MOST_TRIED)
    if search.arithmetic == "stacked":  # it is named, so that it does not depend on the workers
        return max(width, MIN_STACKED)
    return width if width >= MIN_STACKED else 0


def _is_wanted(config: StudyConfig, arithmetic: Arithmetic) -> bool:
    if config.training.loop is not None:
        return False
    return arithmetic == "stacked" or (arithmetic == "auto" and config.search.lag is None)


def are_alike(config: StudyConfig) -> bool:
    """Whether all trials of a search can train in the same stack, whatever is sampled."""
    shared = [shared_settings(one) for one in _examples(config)]
    return shared[0] is not None and all(one == shared[0] for one in shared)


def _examples(config: StudyConfig) -> Iterator[TrialConfig]:
    """Of every arm and optimizer, trials in which everything that is sampled differs."""
    for arm in build_arms(config):
        one = config.of_arm(arm.name)
        for first in (True, False):
            for params in _params(arm, one.model, first=first):
                yield build_trial_config(one, params, seed=0)


def _params(arm: ArmRecord, model: str, *, first: bool) -> Iterator[Params]:
    optimizers = arm.space["optimizer"]
    for name in optimizers.choices if isinstance(optimizers, Choice) else (optimizers,):
        fixed = replace(arm, space={**arm.space, "optimizer": name})
        drawn = {
            key: _value(setting, first=first)
            for key, setting in fixed.space.items()
            if key.startswith(("model.", "training."))
        }
        yield {**default_params(fixed, model), **drawn}


def _value(setting: Range | ParamValue, *, first: bool) -> ParamValue:
    """One of two values of a setting, which are not equal where it is sampled."""
    if isinstance(setting, Choice):
        return setting.choices[0 if first else -1]
    if isinstance(setting, bool | int | float | str):
        return setting
    middle = setting.low + (setting.high - setting.low) / 2
    return setting.high if first else type(setting.high)(middle)


def check_arithmetic(config: StudyConfig) -> None:
    """Make sure that stacks which a study file names are possible as far as its settings tell.

    Raises:
        UsageError: They are not, whatever a probe would measure.
    """
    for section, width in widths_to_try(config, 1)._asdict().items():
        if not width and getattr(config, section).arithmetic == "stacked":
            raise _refused(section, _not_tried(section, config))


def choose_arithmetic(config: StudyConfig, probed: Probed) -> Stacking:
    """How the runs of search and confirmation train: as stacks if it is named, or if it pays.

    Raises:
        UsageError: The study file names stacks, and the runs cannot train so.
    """
    check_arithmetic(config)
    search = _choose("search", config.search.arithmetic, probed.search_gain, probed)
    confirm: How = "plain"
    if config.confirm.seeds:
        confirm = _choose("confirm", config.confirm.arithmetic, probed.stack_gain, probed)
    return Stacking(search=search, confirm=confirm)


def _choose(section: str, named: Arithmetic, gain: float, probed: Probed) -> How:
    can_stack = probed.precision == "fp32" and gain > 0
    if named == "stacked" and not can_stack:
        is_single = f"precision {probed.precision} is for single runs"
        raise _refused(section, is_single if gain > 0 else probed.stack_reason)
    pays = named == "stacked" or gain >= MIN_STACK_GAIN
    return "stacked" if named != "plain" and can_stack and pays else "plain"


def _refused(section: str, reason: str) -> UsageError:
    return UsageError(f'{section}.arithmetic = "stacked": {reason}; remove the key')


def _not_tried(section: str, config: StudyConfig) -> str:
    """Why no stack is tried although the study file names stacks."""
    if section == "confirm":
        return f"needs a confirmation of {MIN_STACKED} seeds or more"
    if any(shared_settings(one) is None for one in _examples(config)):
        return "needs optimizers, and settings of [data] and [training], that stacks can have"
    if not are_alike(config):
        return "needs trials that differ in optimizer, schedule and dropout only"
    return "needs a search that measures no seconds"
