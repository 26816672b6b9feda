"""Several objectives: each arm's Pareto front, the front of all arms, and how much they cover.

Observed in the search, on one seed for each configuration; the verdict rests on none of it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from bakeoff.analysis.wording import join, metric_name, metric_phrase
from bakeoff.pareto import Point, front_of, hypervolume, point_of
from bakeoff.records import StudyRecord, TrialRecord


@dataclass(frozen=True, kw_only=True)
class ArmFront:
    """What one arm reached in all objectives together."""

    arm: str
    num_complete: int
    """Trials with a value of every objective; the library defaults are not among them."""
    front: tuple[TrialRecord, ...]
    """Its trials that no other trial of the arm dominates, by number."""
    num_on_front_of_all: int
    """Those of them that no trial of any arm dominates."""
    covered: float
    """Hypervolume of the front, as a share of the box between the worst and the best value of
    every objective among the trials of all arms; NaN where that box has no volume."""
    confirmed: tuple[float, ...]
    """Mean of every objective over the arm's complete confirmation runs, on validation; NaN without
    any."""
    num_confirmed: int


def candidates(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Trials of the search that have a value of every objective."""
    return tuple(
        trial
        for trial in record.trials
        if trial.phase != "default" and point_of(trial, record.objectives) is not None
    )


def front_of_all(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """The trials that no trial of any arm dominates, by number."""
    return front_of(record.trials, record.objectives)


def arm_fronts(record: StudyRecord) -> tuple[ArmFront, ...]:
    """One for each arm, in the order of the study; none where there is one objective."""
    if not record.further_objectives:
        return ()
    everyone = candidates(record)
    on_front = {trial.number for trial in front_of_all(record)}
    points = [_point(trial, record) for trial in everyone]
    worst = tuple(min(values) for values in zip(*points, strict=True))
    best = tuple(max(values) for values in zip(*points, strict=True))
    found = []
    for arm in record.arms:
        own = [trial for trial in everyone if trial.arm == arm.name]
        front = front_of(own, record.objectives)
        runs = _confirmation_points(record, arm.name)
        found.append(
            ArmFront(
                arm=arm.name,
                num_complete=len(own),
                front=front,
                num_on_front_of_all=sum(trial.number in on_front for trial in front),
                covered=_covered([_point(trial, record) for trial in front], worst, best),
                confirmed=_means(runs, record),
                num_confirmed=len(runs),
            )
        )
    return tuple(found)


def _point(trial: TrialRecord, record: StudyRecord) -> Point:
    found = point_of(trial, record.objectives)
    if found is None:
        raise ValueError(f"trial {trial.number} has no value of every objective")
    return found


def _covered(points: list[Point], worst: Point, best: Point) -> float:
    spans = [high - low for low, high in zip(worst, best, strict=True)]
    if not spans or min(spans) <= 0:
        return math.nan
    scaled = [
        tuple((a - low) / span for a, low, span in zip(point, worst, spans, strict=True))
        for point in points
    ]
    return hypervolume(scaled, (0.0,) * len(spans))


def _confirmation_points(record: StudyRecord, arm: str) -> list[Point]:
    runs = [run for run in record.confirmations if (run.arm, run.purpose) == (arm, "confirm")]
    found = (point_of(run, record.objectives) for run in runs)
    return [point for point in found if point is not None]


def _means(points: list[Point], record: StudyRecord) -> tuple[float, ...]:
    if not points:
        return (math.nan,) * len(record.objectives)
    return tuple(
        metric.sign * fmean(values)
        for metric, values in zip(record.objectives, zip(*points, strict=True), strict=True)
    )


def objective_sentences(record: StudyRecord) -> Iterator[str]:
    """What was sought, what the verdict is about, who is on the front; none for one objective."""
    if not record.further_objectives:
        return
    first = metric_name(record.objective)
    sought = join([metric_phrase(metric) for metric in record.objectives])
    yield (
        f"The search sought {sought}, and pruned nothing. Every arm was confirmed with a"
        f" configuration of its own Pareto front, chosen by {first}; the verdict is about {first}"
        " alone."
    )
    fronts = [front for front in arm_fronts(record) if front.num_complete]
    shares = [
        f"{front.arm} {front.num_on_front_of_all} of {front.num_complete}" for front in fronts
    ]
    if shares:
        yield (
            "Observed in the search, on one seed each: complete trials on the Pareto front of all"
            f" arms: {join(shares)} (T12 lists them)."
        )
