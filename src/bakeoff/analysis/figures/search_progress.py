"""F4: the best score observed so far against what the search has spent."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.analysis.figures.spec import FigureSpec, search_trials
from bakeoff.analysis.figures.style import (
    Trace,
    arm_color,
    arm_symbol,
    axis,
    draw,
    label,
    metric_title,
)
from bakeoff.records import Comparison, StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go


class SearchProgress(NamedTuple):
    """The best complete trial among an arm's first `k`, and what those `k` trials cost."""

    arm: str
    k: int
    epochs: int
    train_seconds: float
    estimate: float | None
    trial: int
    """Number of the k-th trial."""


def compute_search_progress(comparison: Comparison) -> tuple[SearchProgress, ...]:
    """One row per trial; the estimate is None until a trial of the arm is complete."""
    study = comparison.study
    return tuple(row for arm in study.arms for row in _arm_progress(study, arm.name))


def _arm_progress(study: StudyRecord, arm: str) -> list[SearchProgress]:
    sign = study.objective.sign
    best: float | None = None
    epochs, seconds = 0, 0.0
    rows = []
    for k, trial in enumerate(search_trials(study, arm), start=1):
        epochs += trial.epochs_run
        seconds += trial.train_seconds
        score = trial.score if trial.outcome == "complete" else None
        if score is not None and math.isfinite(score):
            best = score if best is None else sign * max(sign * best, sign * score)
        rows.append(SearchProgress(arm, k, epochs, seconds, best, trial.number))
    return rows


def draw_search_progress(rows: Sequence[SearchProgress], comparison: Comparison) -> "go.Figure":
    """One step line per arm, against the epochs that its search has spent."""
    study = comparison.study
    arms = dict.fromkeys(row.arm for row in rows)
    return draw(
        [_step_line([row for row in rows if row.arm == arm], study) for arm in arms],
        height=400,
        showlegend=True,
        xaxis=axis("Epochs of search spent by the arm", rangemode="tozero"),
        yaxis=axis("Best observed " + metric_title(study.objective)),
    )


def _step_line(rows: Sequence[SearchProgress], study: StudyRecord) -> Trace:
    arm = rows[0].arm
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(arm),
        "x": [row.epochs for row in rows],
        "y": [row.estimate for row in rows],
        "line": {"color": arm_color(study, arm), "shape": "hv", "width": 2},
        "marker": {"color": arm_color(study, arm), "symbol": arm_symbol(study, arm), "size": 7},
        "hoverinfo": "text",
        "hovertext": [
            f"{label(arm)}: {row.estimate if row.estimate is not None else math.nan:.6g}"
            f" after {row.k} trials, {row.epochs} epochs"
            for row in rows
        ],
    }


def caption_search_progress(comparison: Comparison) -> str:
    """What F4 may not be taken for."""
    study = comparison.study
    return (
        "Observed, not estimated: validation score of the best complete trial so far, in one search"
        f" per arm (sampler {study.sampler}, pruner {study.pruner}, n = {study.trials_per_arm}"
        " trials each; every dot is a trial). The epochs of pruned and diverged trials count. The"
        " best of many trials is optimistic, so the verdict does not use it."
    )


SEARCH_PROGRESS = FigureSpec(
    id="F4",
    slug="search-progress",
    question="What did more search bring? (observed)",
    row_type=SearchProgress,
    compute=compute_search_progress,
    draw=draw_search_progress,
    caption=caption_search_progress,
    needs="no search trial has ended yet",
)
