"""Finds the arms of an Optuna study: values of a parameter, each with its search space."""

from collections.abc import Iterable, Mapping, Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from bakeoff.errors import UsageError, describe_unknown
from bakeoff.foreign.opening import StoredStudy
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range
from bakeoff.records import ArmRecord

MAX_ARMS = 20
"""A parameter with more values is not a choice between a few alternatives."""


def arm_label(trial: FrozenTrial, parameters: Sequence[str]) -> str | None:
    """The values of `parameters`, joined by `+`; None if the trial lacks one."""
    known = {**trial.user_attrs, **trial.params}
    if not all(name in known for name in parameters):
        return None
    return "+".join(str(known[name]) for name in parameters)


def find_arms(
    study: StoredStudy, parameters: Sequence[str], labels: Mapping[int, str | None]
) -> tuple[ArmRecord, ...]:
    """An arm for every value, in the order of the choices, else of first appearance.

    Raises:
        UsageError: No trial has such a parameter, or it has too many values.
    """
    _check_parameters(study, parameters)
    names = _in_order_of_choices(study, parameters, dict.fromkeys(filter(None, labels.values())))
    if len(names) > MAX_ARMS:
        raise UsageError(
            f"--arm: {'+'.join(parameters)} has {len(names)} values, but at most {MAX_ARMS} arms"
            f" are allowed; {_candidates(study)}"
        )
    return tuple(
        ArmRecord(
            name=name,
            space=_space((one for one in study.trials if labels[one.number] == name), parameters),
        )
        for name in names
    )


def param_values(trial: FrozenTrial) -> dict[str, ParamValue]:
    """The trial's parameters, with values of unusual types as text."""
    return {name: _plain(value) for name, value in trial.params.items()}


def _plain(value: object) -> ParamValue:
    return value if isinstance(value, float | int | bool | str) else str(value)


def _check_parameters(study: StoredStudy, parameters: Sequence[str]) -> None:
    if not parameters:
        raise UsageError(f"--arm: name the parameter to compare; {_candidates(study)}")
    known = list(
        dict.fromkeys(name for one in study.trials for name in one.params | one.user_attrs)
    )
    for name in parameters:
        if name not in known:
            raise UsageError(f"--arm: {describe_unknown('parameter', name, known)}")


def _candidates(study: StoredStudy) -> str:
    """A hint that lists the categorical parameters."""
    choices = {
        name: len(distribution.choices)
        for trial in study.trials
        for name, distribution in trial.distributions.items()
        if isinstance(distribution, CategoricalDistribution)
    }
    listed = ", ".join(f"{name} ({count} values)" for name, count in choices.items())
    return f"choices of this study: {listed or 'none'}"


def _in_order_of_choices(
    study: StoredStudy, parameters: Sequence[str], names: Iterable[str]
) -> list[str]:
    """The names in the order of the first trial's choices, if there is one parameter."""
    rank: list[str] = []
    if len(parameters) == 1:
        distributions = (trial.distributions.get(parameters[0]) for trial in study.trials)
        choices = (one.choices for one in distributions if isinstance(one, CategoricalDistribution))
        rank = [str(choice) for choice in next(choices, ())]
    return sorted(names, key=lambda name: rank.index(name) if name in rank else len(rank))


def _space(trials: Iterable[FrozenTrial], parameters: Sequence[str]) -> dict[str, Range]:
    """The widest range of each parameter of an arm, without those that define the arm."""
    space: dict[str, Range] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            found = None if name in parameters else _range(distribution)
            if found is not None:
                space[name] = _wider(space.get(name), found)
    return space


def _range(distribution: BaseDistribution) -> Range | None:
    if isinstance(distribution, FloatDistribution):
        return FloatRange(low=distribution.low, high=distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        return IntRange(low=low, high=high, step=step, log=distribution.log)
    if isinstance(distribution, CategoricalDistribution):
        return Choice(choices=tuple(dict.fromkeys(map(_plain, distribution.choices))))
    return None


def _wider(known: Range | None, found: Range) -> Range:
    """The union of two ranges, because Optuna lets a range change during a study."""
    if isinstance(known, FloatRange) and isinstance(found, FloatRange):
        return FloatRange(
            low=min(known.low, found.low), high=max(known.high, found.high), log=found.log
        )
    if isinstance(known, IntRange) and isinstance(found, IntRange) and known != found:
        return IntRange(
            low=min(known.low, found.low), high=max(known.high, found.high), log=found.log
        )
    return found
