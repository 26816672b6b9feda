"""F3: how good the best of k trials is, against k."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bakeoff.analysis.bands import median_best_band
from bakeoff.analysis.draws import Draws, approximation, random_draws
from bakeoff.analysis.tuning import median_best_of_k
from bakeoff.records import Comparison, MetricInfo, StudyRecord
from bakeoff.report.figures.spec import FigureSpec, counts_text
from bakeoff.report.figures.style import (
    BAND_OPACITY,
    LOG_TICKS,
    Trace,
    arm_color,
    axis,
    draw,
    label,
    metric_title,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

MIN_DRAWS = 5
"""With fewer random trials not even k = 1 is supported."""
FULL_GRID, GRID_POINTS = 40, 60
"""Every k up to the first; beyond, about the second number of points, evenly in the logarithm."""


class BestOfK(NamedTuple):
    """Median best of `k` random trials of an arm, with its simultaneous 95 % band."""

    arm: str
    k: int
    estimate: float
    ci_low: float | None
    """None where no trial bounds it, and where pruned trials leave the estimate open."""
    ci_high: float | None
    n: int
    supported: bool
    """Whether k is at most n / 5; beyond, nothing may be concluded."""
    note: str


def compute_best_of_k(comparison: Comparison) -> tuple[BestOfK, ...]:
    """Rows of arms with at least five random trials, for k up to their number.

    Pruned trials count with their best epoch so far; where their unknown final scores could change
    the estimate, the note says "observed" and there is no band.
    """
    study = comparison.study
    draws = (random_draws(study, arm.name) for arm in study.arms)
    return tuple(
        row for own in draws if own.num >= MIN_DRAWS for row in _arm_rows(own, study.objective)
    )


def _arm_rows(draws: Draws, metric: MetricInfo) -> list[BestOfK]:
    ks = np.unique(
        np.concatenate(
            [
                np.arange(1, min(draws.num, FULL_GRID) + 1),
                np.geomspace(1, draws.num, GRID_POINTS).astype(int),
            ]
        )
    )
    bounds = sorted((metric.sign * metric.low, metric.sign * metric.high))
    low, high = median_best_band(draws.scores, ks, (bounds[0], bounds[1]))
    rows = []
    for k, worse, better in zip(ks.tolist(), low, high, strict=True):
        estimate = median_best_of_k(draws.scores, k)
        known = estimate == median_best_of_k(draws.upper, k) and bool(draws.is_known.all())
        sides = sorted((metric.sign * float(worse), metric.sign * float(better)))
        rows.append(
            BestOfK(
                draws.arm,
                k,
                metric.sign * estimate,
                sides[0] if known and math.isfinite(sides[0]) else None,
                sides[1] if known and math.isfinite(sides[1]) else None,
                draws.num,
                k <= draws.supported,
                "" if known else "observed",
            )
        )
    return rows


def draw_best_of_k(rows: Sequence[BestOfK], comparison: Comparison) -> "go.Figure":
    """Per arm a band and a line, solid to n / 5 and dotted beyond."""
    study = comparison.study
    traces: list[Trace] = []
    for arm in dict.fromkeys(row.arm for row in rows):
        own = [row for row in rows if row.arm == arm]
        traces += _arm_traces(own, study)
    return draw(
        traces,
        height=420,
        showlegend=True,
        xaxis=axis("Trials k (log scale)", type="log", tickmode="array", tickvals=LOG_TICKS),
        yaxis=axis(metric_title(study.objective), range=_score_range(rows)),
    )


def _arm_traces(rows: Sequence[BestOfK], study: StudyRecord) -> list[Trace]:
    solid = [row for row in rows if row.supported]
    # the dotted part begins where the solid one ends
    dotted = rows[max(0, len(solid) - 1) :]
    # a side that no trial bounds is the metric's own bound and would only fill the figure
    ends = {study.objective.low, study.objective.high, None}
    banded = [row for row in solid if not {row.ci_low, row.ci_high} & ends]
    traces = [_band(banded, study)] if banded else []
    return [*traces, _line(solid, study, "solid"), _line(dotted, study, "dot")]


def _band(rows: Sequence[BestOfK], study: StudyRecord) -> Trace:
    arm, ks = rows[0].arm, [row.k for row in rows]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*ks, *reversed(ks)],
        "y": [*(row.ci_low for row in rows), *(row.ci_high for row in reversed(rows))],
        "fill": "toself",
        "fillcolor": arm_color(study, arm) + BAND_OPACITY,
        # the band of a single k is a vertical stroke
        "line": {"width": 1 if len(rows) > 1 else 8, "color": arm_color(study, arm) + BAND_OPACITY},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": label(arm),
    }


def _line(rows: Sequence[BestOfK], study: StudyRecord, dash: str) -> Trace:
    arm = rows[0].arm
    return {
        "type": "scatter",
        "mode": "lines+markers" if dash == "solid" else "lines",
        "name": label(arm),
        "legendgroup": label(arm),
        "showlegend": dash == "solid",
        "x": [row.k for row in rows],
        "y": [row.estimate for row in rows],
        "line": {"color": arm_color(study, arm), "width": 2, "dash": dash},
        "marker": {"color": arm_color(study, arm), "size": 7},
        "hoverinfo": "text",
        "hovertext": [_hover(row) for row in rows],
    }


def _hover(row: BestOfK) -> str:
    support = "" if row.supported else "; beyond n/5, nothing can be concluded"
    sides = ("unbounded" if side is None else f"{side:.4g}" for side in (row.ci_low, row.ci_high))
    band = row.note or f"95 % band {' to '.join(sides)}"
    return f"{label(row.arm)}: {row.estimate:.6g} with {row.k} trials, {band}{support}"


def _score_range(rows: Sequence[BestOfK]) -> list[float]:
    """From the worst estimate to the best side of a band, so that one wide band hides nothing."""
    shown = [row.estimate for row in rows]
    sides = [side for row in rows if row.supported for side in (row.ci_low, row.ci_high)]
    low, high = min(shown), max(shown)
    padding = (high - low) / 4 or abs(high) / 50 or 1.0
    around = [*shown, *(side for side in sides if side is not None)]
    return [
        max(min(around), low - padding) - padding / 5,
        min(max(around), high + padding) + padding / 5,
    ]


def caption_best_of_k(comparison: Comparison) -> str:
    """What F3 rests on, and how far it reaches."""
    study = comparison.study
    draws = [random_draws(study, arm.name) for arm in study.arms]
    counts = counts_text([(own.arm, own.num) for own in draws if own.num >= MIN_DRAWS])
    observed = [own.arm for own in draws if own.num >= MIN_DRAWS and not own.is_known.all()]
    pruned = (
        f" Observed only, without a band, for {', '.join(observed)}: random trials were pruned,"
        " and count with their best epoch so far."
        if observed
        else ""
    )
    return (
        f"Median validation {study.objective.name} of the best of k random trials, with a"
        f" simultaneous 95 % band where trials bound it on both sides (Lourie et al. 2024)."
        f" n = {counts}. Solid to k = n/5; dotted"
        " beyond, where nothing can be concluded. Trials proposed by a model, and library"
        f" defaults, are left out.{pruned}{approximation(study)}"
    )


BEST_OF_K = FigureSpec[Comparison](
    id="F3",
    slug="best-of-k",
    question="How good is each arm for a given tuning effort; do the curves cross?",
    row_type=BestOfK,
    compute=compute_best_of_k,
    draw=draw_best_of_k,
    caption=caption_best_of_k,
    needs=f"no arm has {MIN_DRAWS} random trials yet",
)
