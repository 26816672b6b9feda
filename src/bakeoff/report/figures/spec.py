"""What a figure is, and what several figures read from the records."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bakeoff.records import CHARGED_OUTCOMES, Comparison, MetricInfo, StudyRecord, TrialRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

Row = tuple[Any, ...]
Item = TypeVar("Item")
Subject = TypeVar("Subject")
"""What a figure is about: one comparison, or several studies together."""

MAX_DRAWN = 500
"""Trials of an arm that a figure draws: more make the page heavy, and hide each other."""
MAX_SPREAD = 10
"""Where a metric is unbounded, an axis ends this many median distances below the best score."""


@dataclass(frozen=True, kw_only=True)
class FigureSpec(Generic[Subject]):
    """One figure: the question it answers, its rows, its drawing and its caption.

    The rows are named tuples. They are also the figure's CSV, so nothing is drawn that is not
    written down. A figure without rows is not drawn; `needs` says what is missing then.
    """

    id: str
    slug: str
    """Short name in file names."""
    question: str
    row_type: type[Row]
    compute: Callable[[Subject], Sequence[Any]]
    draw: Callable[[Sequence[Any], Subject], "go.Figure"]
    caption: Callable[[Subject], str]
    needs: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a row's fields."""
        return tuple(getattr(self.row_type, "_fields", ()))


def search_trials(study: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """The arm's search trials within its budget, in order; its defaults are not among them."""
    return tuple(
        trial
        for trial in study.trials
        if trial.arm == arm and trial.phase != "default" and trial.outcome in CHARGED_OUTCOMES
    )


def confirmation_runs(study: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """The arm's confirmation runs, without those of the shortlist."""
    return tuple(run for run in study.confirmations if (run.arm, run.purpose) == (arm, "confirm"))


def thinned(items: Sequence[Item], most: int = MAX_DRAWN) -> list[Item]:
    """All of them, or `most` of them evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(place * step)] for place in range(most)]


def thinned_text(counts: Iterable[int]) -> str:
    """What a caption says where not every trial is drawn; empty where all are."""
    most = max(counts, default=0)
    if most <= MAX_DRAWN:
        return ""
    return f" Of {most:,} trials of an arm, {MAX_DRAWN} are drawn, evenly spread; the CSV has all."


def score_limits(scores: Iterable[float], metric: MetricInfo) -> tuple[float, list[float]]:
    """Where runs without a score of their own are drawn, and the limits of an axis for `scores`.

    An axis of an unbounded metric leaves out scores that are far worse than the usual ones.
    """
    signed = [metric.sign * score for score in scores]
    finite = [score for score in signed if math.isfinite(score)] or [0.0]
    best, worst = max(finite), min(finite)
    if not math.isfinite(metric.low if metric.sign > 0 else metric.high):
        worst = max(worst, best - MAX_SPREAD * (best - median(finite)))
    padding = 0.08 * (best - worst) or 0.01 * (abs(best) or 1.0)
    edge = metric.sign * (worst - padding)
    return edge, sorted([metric.sign * (worst - 2 * padding), metric.sign * (best + padding)])


def finite_mean(values: Iterable[float]) -> float | None:
    """Mean of the finite values; None if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else None


def seeds_text(comparison: Comparison) -> str:
    """Number of confirmation seeds, per arm where arms differ, for captions."""
    counts = {
        summary.arm: 0 if summary.confirmed is None else len(summary.confirmed.seeds)
        for summary in comparison.arms
    }
    return f"K = {counts_text(list(counts.items()))}"


def counts_text(counts: Sequence[tuple[str, int]], notes: Mapping[str, str] | None = None) -> str:
    """Numbers by arm for captions: `8 in every arm`, or where they or notes differ, each arm's.

    Args:
        counts: Arm and number, in order.
        notes: What else is to be said of an arm's number.
    """
    if counts and len({count for _, count in counts}) == 1 and not notes:
        return f"{counts[0][1]} in every arm"
    remarks = {arm: f" ({note})" for arm, note in (notes or {}).items()}
    return ", ".join(f"{count} for {arm}{remarks.get(arm, '')}" for arm, count in counts)
