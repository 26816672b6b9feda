"""Finds the arms of an Optuna study: values of a parameter, each with its search space.

Names and values may be any text: characters that cannot be seen are escaped, so that no name can
split a table or hide another one, and different values never get the same name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from bakeoff.errors import UsageError, describe_unknown, visible
from bakeoff.foreign.opening import StoredStudy
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range
from bakeoff.records import ArmRecord

MAX_ARMS = 20
"""A parameter with more values is not a choice between a few alternatives."""


def arm_labels(trials: Sequence[FrozenTrial], parameters: Sequence[str]) -> dict[int, str | None]:
    """The arm of each trial by its number: the values of `parameters`, joined by `+`.

    It is None if the trial lacks one of them. Text is quoted where it is empty, has space at an
    end, or would give two different arms one name, as the text "1" and the number 1 would.
    """
    values = {trial.number: _values_of(trial, parameters) for trial in trials}
    arms = dict.fromkeys(key for key in values.values() if key is not None)
    plain = {key: "+".join(_value_text(value) for value in key) for key in arms}
    uses = Counter(plain.values())
    names = {
        key: name if uses[name] == 1 else "+".join(visible(repr(value)) for value in key)
        for key, name in plain.items()
    }
    return {number: None if key is None else names[key] for number, key in values.items()}


class _Value:
    """A value that equals another one only if it looks the same: 1, 1.0, True and "1" differ."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))

    def __repr__(self) -> str:
        return repr(self.value)


def _values_of(trial: FrozenTrial, parameters: Sequence[str]) -> tuple[_Value, ...] | None:
    known = {**trial.user_attrs, **trial.params}
    if not all(name in known for name in parameters):
        return None
    return tuple(_Value(known[name]) for name in parameters)


def _value_text(one: _Value) -> str:
    text = str(one.value)
    is_odd = isinstance(one.value, str) and (not text or text != text.strip())
    return visible(repr(text) if is_odd else text)


def find_arms(
    study: StoredStudy, parameters: Sequence[str], labels: Mapping[int, str | None]
) -> tuple[ArmRecord, ...]:
    """An arm for every value, in the order of the choices, else of first appearance.

    Raises:
        UsageError: No trial has such a parameter, or it has too many values.
    """
    _check_parameters(study, parameters)
    found = dict.fromkeys(name for name in labels.values() if name is not None)
    names = _in_order_of_choices(study, parameters, labels, found)
    if len(names) > MAX_ARMS:
        raise UsageError(
            f"--arm: {visible('+'.join(parameters))} has {len(names)} values, but at most"
            f" {MAX_ARMS} arms are allowed; {_candidates(study)}"
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
    return {visible(name): _plain(value) for name, value in trial.params.items()}


def _plain(value: object) -> ParamValue:
    return value if isinstance(value, float | int | bool) else visible(value)


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
    listed = ", ".join(f"{visible(name)} ({count} values)" for name, count in choices.items())
    return f"choices of this study: {listed or 'none'}"


def _in_order_of_choices(
    study: StoredStudy,
    parameters: Sequence[str],
    labels: Mapping[int, str | None],
    names: Iterable[str],
) -> list[str]:
    """The names in the order of the first trial's choices, if there is one parameter."""
    rank: dict[str, int] = {}
    if len(parameters) == 1:
        distributions = (trial.distributions.get(parameters[0]) for trial in study.trials)
        choices = (one.choices for one in distributions if isinstance(one, CategoricalDistribution))
        places = {repr(choice): place for place, choice in enumerate(next(choices, ()))}
        for trial in study.trials:
            name, value = labels[trial.number], repr(trial.params.get(parameters[0]))
            if name is not None and value in places:
                rank[name] = places[value]
    return sorted(names, key=lambda name: rank.get(name, len(study.trials)))


def _space(trials: Iterable[FrozenTrial], parameters: Sequence[str]) -> dict[str, Range]:
    """The widest range of each parameter of an arm, without those that define the arm."""
    space: dict[str, Range] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            found = None if name in parameters else _range(distribution)
            if found is not None:
                shown = visible(name)
                space[shown] = _wider(space.get(shown), found)
    return space


def _range(distribution: BaseDistribution) -> Range | None:
    if isinstance(distribution, FloatDistribution):
        return FloatRange(low=distribution.low, high=distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        return IntRange(low=low, high=high, step=step, log=distribution.log)
    if isinstance(distribution, CategoricalDistribution):
        choices = {repr(one): one for one in map(_plain, distribution.choices)}
        return Choice(choices=tuple(choices.values()))
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
