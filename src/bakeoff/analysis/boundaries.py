"""Chosen values that lie close to a bound somebody chose."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from bakeoff.ranges import FloatRange, IntRange, Params, ParamValue
from bakeoff.records import ArmRecord, BoundaryMark, TrialRecord

Side = Literal["low", "high"]

OUTER = 0.05
"""A chosen value in this outer part of its range asks for a wider range."""
NEAR = 0.10
"""Three of the top five in this outer part of the range, on one side, do so too."""
NUM_TOP = 5
NUM_TOP_NEAR = 3
"""By chance this happens on one side with probability 0.9 %."""


def boundary_marks(
    arm: ArmRecord, chosen: Params, top: Sequence[TrialRecord]
) -> tuple[BoundaryMark, ...]:
    """Marks for the chosen configuration of an arm, in the order of its space.

    A value is marked in the outer 10 % of its range (in the logarithm where the range is
    logarithmic), unless the bound is a natural one. The mark raises flag W10 in the outer 5 %, or
    where at least three of the `top` five trials lie in the outer 10 % on that side.

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
        near = [_depth(params.get(name), parameter, side) <= NEAR for params in top]
        raises = distance <= OUTER or sum(near) >= NUM_TOP_NEAR
        if math.isfinite(distance) and (distance <= NEAR or raises):
            yield BoundaryMark(
                parameter=name,
                value=float(chosen[name]),
                side=side,
                bound=float(parameter.low if side == "low" else parameter.high),
                raises_flag=raises,
            )


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
