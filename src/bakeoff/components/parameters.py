"""What a component lets a study vary: one `ParameterSpec` per parameter."""

from collections.abc import Mapping
from dataclasses import dataclass

from bakeoff.errors import UsageError, describe_unknown
from bakeoff.ranges import Params, ParamValue, Range


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One parameter of an optimizer, a scheduler or a model."""

    range: Range
    """Where it is searched unless the study file says otherwise."""
    default: ParamValue
    """The library's own; it may lie outside a logarithmic `range` (a weight decay of 0)."""
    source: str
    """Where the range comes from."""
    searched: bool = True
    """Whether it is part of the default space; if not, it stays at its default until the study
    file gives it a range or a value."""


def complete_params(
    owner: str, parameters: Mapping[str, ParameterSpec], given: Params
) -> dict[str, ParamValue]:
    """`given`, with the default of every parameter that is missing, in declared order.

    Raises:
        UsageError: `given` names a parameter that `owner` does not declare.
    """
    for name in given:
        if name not in parameters:
            raise UsageError(describe_unknown(f"parameter of {owner}", name, parameters))
    return {name: given.get(name, spec.default) for name, spec in parameters.items()}
