"""Chosen values that lie close to a bound of their range."""

import math
from collections.abc import Sequence

from bakeoff.analysis.widening import SIDES, Side, is_last_value, wider_bound
from bakeoff.ranges import FloatRange, IntRange, Params, ParamValue
from bakeoff.records import ArmRecord, BoundaryMark, TrialRecord

NEAR = 0.10
"""A chosen value is marked if it lies in this outer share of its range."""
NUM_TOP = 5
RULES = ((0.01, math.inf), (0.05, 0.20), (0.10, 0.10))
"""Outer shares of the range that raise the flag: of the chosen value, and of most of the top five.

The chosen value alone in the outer 5 % would raise it by chance for every tenth irrelevant
parameter. Where the range is really too narrow, the other good trials lie near the bound too. The
probability that a rule is met by chance on one side is at most 1 %.
"""


def boundary_marks(
    arm: ArmRecord, chosen: Params, top: Sequence[TrialRecord]
) -> tuple[BoundaryMark, ...]:
    """Marks for the chosen configuration of an arm, in the order of its space.

    A value is marked in the outer 10 % of its range (in the logarithm where the range is
    logarithmic), unless the bound is a natural one or the parameter can go no further. The mark
    raises flag W10 in the outer 1 %, or if most of the `top` five trials are near that bound too:
    in the outer 20 % with a chosen value in the outer 5 %, or in the outer 10 %.

    Args:
        arm: The arm and its space; fixed values and unordered choices have no bounds.
        chosen: The chosen configuration; empty if there is none.
        top: The arm's best complete trials, best first; only the first five are used.

    Source: tuning playbook (Godbole et al. 2023), "the optimal point is on the boundary".
    """
    marks = []
    for name, parameter in arm.space.items():
        if not isinstance(parameter, FloatRange | IntRange) or parameter.low >= parameter.high:
            continue
        natural = {"low": parameter.natural_low, "high": parameter.natural_high}
        for side in SIDES:
            distance = _depth(chosen.get(name), parameter, side)
            is_end = natural[side] or is_last_value(name, parameter, side)
            if is_end or distance > NEAR:
                continue
            depths = [_depth(run.params.get(name), parameter, side) for run in top[:NUM_TOP]]
            mark = BoundaryMark(
                parameter=name,
                value=float(chosen[name]),
                side=side,
                bound=float(parameter.low if side == "low" else parameter.high),
                raises_flag=any(
                    distance <= outer
                    and (not depths or 2 * sum(depth <= crowd for depth in depths) > len(depths))
                    for outer, crowd in RULES
                ),
                wider_bound=wider_bound(name, parameter, side),
            )
            marks.append(mark)
    return tuple(marks)


def _depth(value: ParamValue | None, parameter: FloatRange | IntRange, side: Side) -> float:
    """Distance from the bound as a share of the range; infinite if the value has no place in it."""
    if isinstance(value, bool | str | None):
        return math.inf
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    try:
        low, high, at = map(parameter.scaled, (low, high, at))
    except ValueError:  # a library default beyond what the scale can show
        return math.inf
    position = (at - low) / (high - low)
    return position if side == "low" else 1.0 - position
