"""The arms of an Optuna study: values of a parameter, each with the space it was searched in."""

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
"""A parameter with more values is no choice between a few things."""


def arm_label(trial: FrozenTrial, parameters: Sequence[str]) -> str | None:
    """The values of `parameters`, joined by `+`; None if the trial lacks one."""
    known = {**trial.user_attrs, **trial.params}
    if not all(name in known for name in parameters):
        return None
    return "+".join(str(known[name]) for name in parameters)


def find_arms(
    study: StoredStudy, parameters: Sequence[str], labels: Mapping[int, str | None]
) -> tuple[ArmRecord, ...]:
    """An arm for every value that occurs, in the order of the choices, else of appearance.

    Raises:
        UsageError: No trial has such a parameter, or it has too many values.
    """
    _check_parameters(study, parameters)
    names = _in_order_of_choices(study, parameters, dict.fromkeys(filter(None, labels.values())))
    if len(names) > MAX_ARMS:
        raise UsageError(
            f"--arm: {'+'.join(parameters)} has {len(names)} values; an arm is one of at most"
            f" {MAX_ARMS}; {_candidates(study)}"
        )
    members = {
        name: [trial for trial in study.trials if labels[trial.number] == name] for name in names
    }
    return tuple(
        ArmRecord(name=name, space=_space(own, parameters)) for name, own in members.items()
    )


def param_values(trial: FrozenTrial) -> dict[str, ParamValue]:
    """The trial's parameters; what is no number, text or truth value becomes text."""
    return {name: _plain(value) for name, value in trial.params.items()}


def _plain(value: object) -> ParamValue:
    return value if isinstance(value, float | int | bool | str) else str(value)


def _check_parameters(study: StoredStudy, parameters: Sequence[str]) -> None:
    known = list(
        dict.fromkeys(name for trial in study.trials for name in (*trial.params, *trial.user_attrs))
    )
    if not parameters:
        raise UsageError(f"--arm: name the parameter to compare; {_candidates(study)}")
    for name in parameters:
        if name not in known:
            raise UsageError(f"--arm: {describe_unknown('parameter', name, known)}")


def _candidates(study: StoredStudy) -> str:
    """Parameters that are choices, as a hint."""
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
    """Names as they follow from the order in which the program listed the choices."""
    order: dict[str, list[str]] = {}
    for trial in study.trials:
        for name in parameters:
            distribution = trial.distributions.get(name)
            if isinstance(distribution, CategoricalDistribution):
                order.setdefault(name, [str(choice) for choice in distribution.choices])
    listed = list(names)
    if len(parameters) > 1 or parameters[0] not in order:
        return listed
    rank = order[parameters[0]]
    return sorted(listed, key=lambda name: rank.index(name) if name in rank else len(rank))


def _space(trials: Iterable[FrozenTrial], parameters: Sequence[str]) -> dict[str, Range]:
    """The widest range of each parameter of an arm; what makes the arm is left out."""
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
        return IntRange(
            low=distribution.low,
            high=distribution.high,
            step=distribution.step,
            log=distribution.log,
        )
    if isinstance(distribution, CategoricalDistribution):
        return Choice(choices=tuple(dict.fromkeys(map(_plain, distribution.choices))))
    return None


def _wider(known: Range | None, found: Range) -> Range:
    """The range from the lower low to the higher high; Optuna lets a range change as it goes."""
    if isinstance(known, FloatRange) and isinstance(found, FloatRange):
        return FloatRange(
            low=min(known.low, found.low), high=max(known.high, found.high), log=found.log
        )
    if isinstance(known, IntRange) and isinstance(found, IntRange) and known != found:
        return IntRange(
            low=min(known.low, found.low), high=max(known.high, found.high), log=found.log
        )
    return found
