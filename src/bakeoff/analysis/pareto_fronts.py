"""Several objectives: each arm's Pareto front, the front of all arms, and how much they cover.

The fronts are those of the search, where each configuration ran on one seed; no verdict uses them.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from bakeoff.analysis.confirmation import confirmation_runs
from bakeoff.analysis.wording import join, metric_name, metric_phrase
from bakeoff.pareto import Point, front_of, hypervolume, point_of
from bakeoff.records import ArmFront, StudyRecord, TrialRecord


def candidates(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Search trials that have a value of every objective, without the library defaults."""
    found = (trial for trial in record.trials if trial.phase != "default")
    return tuple(trial for trial in found if point_of(trial, record.objectives) is not None)


def front_of_all(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """The trials that no trial of any arm dominates, by number."""
    return front_of(record.trials, record.objectives)


def arm_fronts(record: StudyRecord) -> tuple[ArmFront, ...]:
    """The front of each arm, in the order of the study; empty for a study with one objective."""
    if not record.further_objectives:
        return ()
    trials = candidates(record)
    points = _points(trials, record)
    worst = tuple(min(values) for values in zip(*points, strict=True))
    best = tuple(max(values) for values in zip(*points, strict=True))
    on_front_of_all = {trial.number for trial in front_of_all(record)}
    found = []
    for arm in record.arms:
        complete = tuple(trial for trial in trials if trial.arm == arm.name)
        front = front_of(complete, record.objectives)
        confirmed = _points(confirmation_runs(record, arm.name), record)
        found.append(
            ArmFront(
                arm=arm.name,
                complete=complete,
                front=front,
                front_of_all=tuple(trial for trial in front if trial.number in on_front_of_all),
                covered=_covered(_points(front, record), worst, best),
                confirmed=_means(confirmed, record),
                num_confirmed=len(confirmed),
            )
        )
    return tuple(found)


def _points(runs: Sequence[TrialRecord], record: StudyRecord) -> list[Point]:
    """The points of the runs that have a value of every objective."""
    found = (point_of(run, record.objectives) for run in runs)
    return [point for point in found if point is not None]


def _covered(points: Sequence[Point], worst: Point, best: Point) -> float:
    spans = [high - low for low, high in zip(worst, best, strict=True)]
    if not spans or min(spans) <= 0:
        return math.nan
    scaled = [
        tuple((a - low) / span for a, low, span in zip(point, worst, spans, strict=True))
        for point in points
    ]
    return hypervolume(scaled, (0.0,) * len(spans))


def _means(points: Sequence[Point], record: StudyRecord) -> tuple[float, ...]:
    if not points:
        return (math.nan,) * len(record.objectives)
    return tuple(
        metric.sign * fmean(values)
        for metric, values in zip(record.objectives, zip(*points, strict=True), strict=True)
    )


def objective_sentences(record: StudyRecord) -> Iterator[str]:
    """The objectives, the scope of the verdict and the front; no sentence for one objective."""
    if not record.further_objectives:
        return
    first = metric_name(record.objective)
    sought = join([metric_phrase(metric) for metric in record.objectives])
    yield (
        f"The search optimized {sought}, and pruned nothing. Every arm was confirmed with a"
        f" configuration of its own Pareto front, chosen by {first}; the verdict is about {first}"
        " alone."
    )
    shares = [
        f"{front.arm} {len(front.front_of_all)} of {len(front.complete)}"
        for front in arm_fronts(record)
        if front.complete
    ]
    if shares:
        yield (
            "In the search, on one seed each, the Pareto front of all arms has these complete"
            f" trials: {join(shares)} (T12 lists them)."
        )
