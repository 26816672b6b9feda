"""What a figure is, and what several figures read from the records."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean, median
from typing import Any, Generic, TypeVar

from bakeoff.analysis.arm_summary import searched_trials
from bakeoff.records import CHARGED_OUTCOMES, Comparison, MetricInfo, StudyRecord, TrialRecord
from bakeoff.report.figures.style import Figure, score_margin

Row = tuple[Any, ...]
Item = TypeVar("Item")
Subject = TypeVar("Subject")
"""What a figure is about: one comparison, or several studies together."""

MIN_DRAWS = 5
"""With fewer random trials of an arm, not even the best of k = 1 is supported."""
MAX_DRAWN = 500
"""Trials of an arm that a figure draws; more would make the page slow and hide each other."""
MAX_SPREAD = 10
"""Where a metric is unbounded, an axis ends this many median distances below the best score."""


@dataclass(frozen=True, kw_only=True)
class FigureSpec(Generic[Subject]):
    """One figure: the question it answers, its rows, its drawing and its caption.

    The rows are named tuples. They are also the figure's CSV file, so everything that is drawn is
    also written down. A figure without rows is not drawn, and the report shows `needs` instead.
    """

    id: str
    """`F` and a number; figures are shown in the order of their numbers."""
    slug: str
    """Short name in file names."""
    question: str
    row_type: type[Row]
    compute: Callable[[Subject], Sequence[Any]]
    draw: Callable[[Sequence[Any], Subject], Figure]
    caption: Callable[[Subject], str]
    needs: str
    """What is missing where there are no rows."""
    for_several_objectives: bool = False
    """Whether only a study with several objectives has this figure."""
    on_dashboard: bool = False
    """Whether it is also shown in optuna-dashboard."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a row's fields."""
        return tuple(getattr(self.row_type, "_fields", ()))


def search_trials(study: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """The arm's search trials that are charged to its budget, in order, without the defaults."""
    return tuple(t for t in searched_trials(study, arm) if t.outcome in CHARGED_OUTCOMES)


def confirmation_runs(study: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """The arm's confirmation runs, without those of the shortlist."""
    return tuple(run for run in study.confirmations if (run.arm, run.purpose) == (arm, "confirm"))


def grouped(rows: Iterable[Any], *fields: str) -> dict[Any, list[Any]]:
    """The rows by the value of a field, or by the tuple of several, in order of appearance."""
    key = attrgetter(*fields)
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def solid_and_dotted(rows: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The supported part of a curve, and the rest, which begins where the supported part ends."""
    solid = [row for row in rows if row.supported]
    return solid, rows[max(0, len(solid) - 1) :]


def thinned(items: Sequence[Item], most: int = MAX_DRAWN) -> list[Item]:
    """All items, or `most` of them, evenly spread, with the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(place * step)] for place in range(most)]


def thinned_text(counts: Iterable[int]) -> str:
    """The sentence of a caption for arms of which not every trial is drawn; empty if all are."""
    most = max(counts, default=0)
    if most <= MAX_DRAWN:
        return ""
    return (
        f" Of {most:,} trials of an arm, {MAX_DRAWN} are drawn, evenly spread; the CSV file has"
        " every trial."
    )


def score_limits(scores: Iterable[float], metric: MetricInfo) -> tuple[float, list[float]]:
    """Where runs without a score of their own are drawn, and the limits of an axis for `scores`.

    The axis of an unbounded metric leaves out scores that are far worse than the usual ones.
    """
    signed = [metric.sign * score for score in scores]
    finite = [score for score in signed if math.isfinite(score)] or [0.0]
    best, worst = max(finite), min(finite)
    if not math.isfinite(metric.low if metric.sign > 0 else metric.high):
        worst = max(worst, best - MAX_SPREAD * (best - median(finite)))
    margin = score_margin(worst, best)
    edge = metric.sign * (worst - margin)
    return edge, sorted([metric.sign * (worst - 2 * margin), metric.sign * (best + margin)])


def on_axis(score: float | None, edge: float, sign: int) -> float:
    """`score`, or the edge of the axis for a score that is worse, missing or not finite."""
    if score is None or not math.isfinite(score):
        return edge
    return sign * max(sign * score, sign * edge)


def finite_mean(values: Iterable[float]) -> float | None:
    """Mean of the finite values; None without any."""
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else None


def seeds_text(comparison: Comparison) -> str:
    """Number of confirmation seeds for captions, arm by arm where arms differ."""
    counts = {
        summary.arm: 0 if summary.confirmed is None else len(summary.confirmed.seeds)
        for summary in comparison.arms
    }
    return f"K = {counts_text(list(counts.items()))}"


def counts_text(counts: Sequence[tuple[str, int]], notes: Mapping[str, str] | None = None) -> str:
    """Numbers for captions: `8 in every arm`, or the number of each arm where they differ.

    Args:
        counts: Arm and number, in order.
        notes: Remarks on the number of an arm; with any, every arm is listed.
    """
    if counts and len({count for _, count in counts}) == 1 and not notes:
        return f"{counts[0][1]} in every arm"
    remarks = {arm: f" ({note})" for arm, note in (notes or {}).items()}
    return ", ".join(f"{count} for {arm}{remarks.get(arm, '')}" for arm, count in counts)
