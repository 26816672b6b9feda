"""Chosen values that lie close to a bound somebody chose."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from bakeoff.ranges import FloatRange, IntRange, Params, ParamValue
from bakeoff.records import ArmRecord, BoundaryMark, TrialRecord

Side = Literal["low", "high"]

NEAR = 0.10
"""A chosen value in this outer part of its range is marked."""
NUM_TOP = 5
RULES = ((0.01, math.inf), (0.05, 0.20), (0.10, 0.10))
"""Outer parts that raise the flag: of the chosen value, and of most of the top five with it.

A chosen value in the outer 5 % alone would raise it by chance for every tenth irrelevant parameter;
where the range is really too narrow, the other good trials crowd at the bound too. Each rule is met
by chance on a side with a probability of 1 % or less.
"""


def boundary_marks(
    arm: ArmRecord, chosen: Params, top: Sequence[TrialRecord]
) -> tuple[BoundaryMark, ...]:
    """Marks for the chosen configuration of an arm, in the order of its space.

    A value is marked in the outer 10 % of its range (in the logarithm where the range is
    logarithmic), unless the bound is a natural one. The mark raises flag W10 in the outer 1 %, or
    if most of the `top` five trials crowd at that bound too: in the outer 20 % with a chosen value
    in the outer 5 %, or in the outer 10 %.

    Args:
        arm: The arm and its space; fixed values and unordered choices have no bounds.
        chosen: The chosen configuration; empty if there is none.
        top: The arm's best complete trials, best first; only the first five are looked at.

    Source: tuning playbook (Godbole et al. 2023), "the optimal point is on the boundary".
    """
    return tuple(
        mark
        for name, parameter in arm.space.items()
        if isinstance(parameter, FloatRange | IntRange) and parameter.low < parameter.high
        for mark in _marks(name, parameter, chosen, [trial.params for trial in top[:NUM_TOP]])
    )


def _marks(
    name: str, parameter: FloatRange | IntRange, chosen: Params, top: Sequence[Params]
) -> Iterator[BoundaryMark]:
    depth = {side: _depth(chosen.get(name), parameter, side) for side in _chosen_bounds(parameter)}
    for side, distance in depth.items():
        if distance <= NEAR:
            depths = [_depth(params.get(name), parameter, side) for params in top]
            yield BoundaryMark(
                parameter=name,
                value=float(chosen[name]),
                side=side,
                bound=float(parameter.low if side == "low" else parameter.high),
                raises_flag=any(
                    distance <= outer and _most(depth <= crowd for depth in depths)
                    for outer, crowd in RULES
                ),
            )


def _most(answers: Iterable[bool]) -> bool:
    """Whether more than half are true; also if there are none."""
    counted = list(answers)
    return 2 * sum(counted) > len(counted) or not counted


def _chosen_bounds(parameter: FloatRange | IntRange) -> Iterator[Side]:
    if not parameter.natural_low:
        yield "low"
    if not parameter.natural_high:
        yield "high"


def _depth(value: ParamValue | None, parameter: FloatRange | IntRange, side: Side) -> float:
    """Distance from the bound as a share of the range; infinite if there is no such value."""
    if isinstance(value, bool | str | None):
        return math.inf
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        if at <= 0:
            return math.inf
        low, high, at = math.log(low), math.log(high), math.log(at)
    position = (at - low) / (high - low)
    return position if side == "low" else 1.0 - position
