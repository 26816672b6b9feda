"""Several objectives: the Pareto front and its hypervolume.

A point dominates another one if it is at least as good in every objective and better in one. The
front consists of the points that no other point dominates. In all points higher is better.
"""

import math
from collections.abc import Sequence

from bakeoff.records import MetricInfo, TrialRecord

Point = tuple[float, ...]


def point_of(trial: TrialRecord, objectives: Sequence[MetricInfo]) -> Point | None:
    """The values of a complete trial by objective, with higher better; None if one is missing.

    Args:
        trial: A run. Only complete runs have a point, because a run that ends early is cheap.
        objectives: The first one scores the runs.
    """
    if trial.outcome != "complete" or trial.score is None:
        return None
    further = (trial.further_scores.get(metric.name, math.nan) for metric in objectives[1:])
    values = (trial.score, *further)
    point = tuple(metric.sign * value for metric, value in zip(objectives, values, strict=True))
    return point if all(map(math.isfinite, point)) else None


def non_dominated(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point dominates, ascending; equal points are all kept."""
    front: list[int] = []
    # a dominating point comes before the points that it dominates
    for place in sorted(range(len(points)), key=lambda place: points[place], reverse=True):
        if not any(_dominates(points[other], points[place]) for other in front):
            front.append(place)
    return sorted(front)


def _dominates(one: Point, other: Point) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def front_of(
    trials: Sequence[TrialRecord], objectives: Sequence[MetricInfo]
) -> tuple[TrialRecord, ...]:
    """The trials on the front, in their order. Library defaults are not candidates."""
    known = [
        (trial, point)
        for trial in trials
        if trial.phase != "default" and (point := point_of(trial, objectives)) is not None
    ]
    places = non_dominated([point for _, point in known])
    return tuple(known[place][0] for place in places)


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume between `reference` and the points that dominate it; 0 if there are none.

    Source: Zitzler and Thiele 1998, "Multiobjective Optimization Using Evolutionary Algorithms";
    computed slice by slice along the last objective, exact for any number of objectives.
    """
    inside = [one for one in points if all(a > b for a, b in zip(one, reference, strict=True))]
    if len(reference) == 1:
        return max((one[0] for one in inside), default=reference[0]) - reference[0]
    ordered = sorted(inside, key=lambda one: one[-1], reverse=True)
    ends = [*(one[-1] for one in ordered[1:]), reference[-1]]
    slices = [
        (one[-1] - end, [other[:-1] for other in ordered[:place]])
        for place, (one, end) in enumerate(zip(ordered, ends, strict=False), start=1)
    ]
    return sum(depth * hypervolume(above, reference[:-1]) for depth, above in slices if depth > 0)
