"""F3 shows how good the best of k trials is, for each k."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.bands import median_best_band
from bakeoff.analysis.draws import Draws, approximation, random_draws
from bakeoff.analysis.tuning import median_best_of_k
from bakeoff.analysis.wording import plural
from bakeoff.records import Comparison, MetricInfo, StudyRecord
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import MIN_DRAWS, FigureSpec, counts_text

FULL_GRID, GRID_POINTS = 40, 60
"""Every k is computed up to the first; beyond, about the second number of k, evenly in log k."""


class BestOfK(NamedTuple):
    """Median best of `k` random trials of an arm, with its simultaneous confidence band."""

    arm: str
    k: int
    estimate: float
    ci_low: float | None
    """None where no trial bounds it, and where pruned trials leave the estimate undetermined."""
    ci_high: float | None
    n: int
    supported: bool
    """Whether k is at most n / 5; nothing can be concluded for a larger k."""
    note: str


def compute_best_of_k(comparison: Comparison) -> tuple[BestOfK, ...]:
    """Return rows of arms with at least five random trials, for k up to their number.

    Pruned trials count with their best epoch so far; where their unknown final scores could change
    the estimate, the note says "observed" and there is no band. A k for which too few scores are
    known has no row.
    """
    metric = comparison.study.objective
    draws = (random_draws(comparison.study, arm.name) for arm in comparison.study.arms)
    return tuple(row for own in draws if own.num >= MIN_DRAWS for row in _arm_rows(own, metric))


def _arm_rows(draws: Draws, metric: MetricInfo) -> list[BestOfK]:
    every_k = np.arange(1, min(draws.num, FULL_GRID) + 1)
    ks = np.union1d(every_k, np.geomspace(1, draws.num, GRID_POINTS).astype(int))
    bounds = sorted((metric.sign * metric.low, metric.sign * metric.high))
    low, high = median_best_band(draws.scores, ks, (bounds[0], bounds[1]))
    rows = []
    for k, worse, better in zip(ks.tolist(), low, high, strict=True):
        estimate = median_best_of_k(draws.scores, k)
        if not math.isfinite(estimate):
            continue  # too few scores are known for this k
        known = estimate == median_best_of_k(draws.upper, k) and bool(draws.is_known.all())
        ci_low, ci_high = (
            side if known and math.isfinite(side) else None
            for side in sorted((metric.sign * float(worse), metric.sign * float(better)))
        )
        rows.append(
            BestOfK(
                draws.arm, k, metric.sign * estimate, ci_low, ci_high, draws.num,
                k <= draws.supported, "" if known else "observed",
            )
        )  # fmt: skip
    return rows


def draw_best_of_k(rows: Sequence[BestOfK], comparison: Comparison) -> style.Figure:
    """Draw a band and a line for each arm, solid to n / 5 and dotted beyond."""
    study = comparison.study
    return style.draw(
        [trace for own in style.grouped(rows, "arm").values() for trace in _arm_traces(own, study)],
        height=420,
        showlegend=True,
        xaxis=style.log_count_axis("Trials k"),
        yaxis=style.axis(style.metric_title(study.objective), range=_score_range(rows)),
    )


def _arm_traces(rows: Sequence[BestOfK], study: StudyRecord) -> list[style.Trace]:
    arm = rows[0].arm
    color = style.arm_color(study, arm)
    solid, dotted = style.solid_and_dotted(rows)
    # a side that no trial bounds is the metric's own bound and would only fill the figure
    ends = {study.objective.low, study.objective.high, None}
    banded = [row for row in solid if not {row.ci_low, row.ci_high} & ends]
    band = style.scatter(
        banded, "lines", color=color + style.BAND_OPACITY,
        x=[row.k for row in (*banded, *reversed(banded))],
        y=[*(row.ci_low for row in banded), *(row.ci_high for row in reversed(banded))],
        fill="toself", fillcolor=color + style.BAND_OPACITY, showlegend=False,
        legendgroup=style.label(arm),
        # the band of a single k is a vertical stroke
        line={"width": 1 if len(banded) > 1 else 8},
    )  # fmt: skip
    lines = [
        style.scatter(
            part, "lines+markers" if dash == "solid" else "lines", x="k", y="estimate",
            hover=_hover, color=color, line={"width": 2, "dash": dash}, marker={"size": 7},
            **style.legend_entry(arm, shown=dash == "solid"),
        )
        for part, dash in ((solid, "solid"), (dotted, "dot"))
    ]  # fmt: skip
    return [band, *lines] if banded else lines


def _hover(row: BestOfK) -> str:
    support = "" if row.supported else "; beyond n/5, nothing can be concluded"
    sides = ("unbounded" if side is None else f"{side:.4g}" for side in (row.ci_low, row.ci_high))
    band = row.note or f"{CONFIDENCE_TEXT} band {' to '.join(sides)}"
    return (
        f"{style.label(row.arm)}: {row.estimate:.6g} with {plural(row.k, 'trial')}, {band}{support}"
    )


def _score_range(rows: Sequence[BestOfK]) -> list[float]:
    """Choose an axis that shows all estimates and the bands, but may cut a wide band."""
    shown = [row.estimate for row in rows]
    sides = [side for row in rows if row.supported for side in (row.ci_low, row.ci_high)]
    around = [*shown, *(side for side in sides if side is not None)]
    low, high = min(shown), max(shown)
    margin = (high - low) / 4 or abs(high) / 50 or 1.0
    return [
        max(min(around), low - margin) - margin / 5, min(max(around), high + margin) + margin / 5
    ]  # fmt: skip


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    draws = [random_draws(study, arm.name) for arm in study.arms]
    enough = [own for own in draws if own.num >= MIN_DRAWS]
    listed = [(style.label(own.arm), own.num) for own in enough]
    counts = counts_text(listed, are_all=len(enough) == len(draws))
    observed = [style.label(own.arm) for own in enough if not own.is_known.all()]
    pruned = (
        f" The curves of {', '.join(observed)} are only observed and have no band: random trials"
        " were pruned, and count with their best epoch so far."
        if observed
        else ""
    )
    return (
        f"Median validation {study.objective.name} of the best of k random trials, with a"
        f" simultaneous {CONFIDENCE_TEXT} band where trials bound it on both sides (Lourie et al."
        f" 2024). n = {counts}. A line is solid up to k = n/5 and dotted beyond, where nothing can"
        " be concluded. Trials proposed by a model and library defaults are left out."
        f"{pruned}{approximation(study)}"
    )


FIGURE = FigureSpec[Comparison](
    id="F3",
    slug="best-of-k",
    question="How good is each arm for a given tuning effort; do the curves cross?",
    row_type=BestOfK,
    compute=compute_best_of_k,
    draw=draw_best_of_k,
    caption=_caption,
    needs=f"no arm has {MIN_DRAWS} random trials yet",
    on_dashboard=True,
)
