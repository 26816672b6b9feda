"""F2: differences between the confirmed configurations, pair by pair."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.records import Comparison, Status
from bakeoff.report.figures.spec import FigureSpec, seeds_text
from bakeoff.report.figures.style import (
    BAND,
    INK,
    MAX_LABEL,
    Trace,
    axis,
    categories,
    draw,
    error_bar,
    label,
    line_shape,
    metric_name,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHOWN_BETTER: tuple[Status, ...] = ("clearly_better", "better")


class PairDifference(NamedTuple):
    """Mean difference of two arms over paired seeds, positive where `a` is better."""

    a: str
    b: str
    estimate: float
    ci_low: float
    ci_high: float
    delta: float
    n: int
    status: Status


def compute_pair_differences(comparison: Comparison) -> tuple[PairDifference, ...]:
    """Every pair of confirmed arms whose mean difference is known, in the comparison's order."""
    return tuple(
        PairDifference(
            pair.a, pair.b, pair.mean, *pair.ci, comparison.delta, pair.num_pairs, pair.status
        )
        for pair in comparison.pairs
        if math.isfinite(pair.mean)
    )


def draw_pair_differences(rows: Sequence[PairDifference], comparison: Comparison) -> "go.Figure":
    """One line per pair; filled where one arm was shown to be better, hollow where not."""
    metric = comparison.study.objective
    ticks = categories([""] * len(rows)) | {
        "tickvals": [-place for place in range(len(rows))],
        "ticktext": [_tick(row) for row in rows],
    }
    whole = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    zero = line_shape(x0=0, x1=0, **whole) | {"line": {"color": INK, "width": 1}}
    delta = rows[0].delta
    band = {
        "type": "rect", "layer": "below", "x0": -delta, "x1": delta, "fillcolor": BAND,
        "line": {"width": 0}, **whole,
    }  # fmt: skip
    return draw(
        [_difference_bar(row, -place) for place, row in enumerate(rows)],
        height=110 + 34 * len(rows),
        showlegend=False,
        xaxis=axis(f"Advantage in {metric_name(metric)}", range=_limits(rows)),
        yaxis=axis(**ticks, range=[0.6 - len(rows), 0.6]),
        shapes=[zero, band] if math.isfinite(delta) else [zero],
    )


def _pair_label(row: PairDifference, space: str = " ") -> str:
    return f"{label(row.a)} vs{space}{label(row.b)}"


def _tick(row: PairDifference) -> str:
    """The pair on one line, or where it is long, on two."""
    return _pair_label(row, "<br>" if len(row.a) + len(row.b) > MAX_LABEL else " ")


def _limits(rows: Sequence[PairDifference]) -> list[float]:
    """From the lowest to the highest thing drawn, the band included, with a margin."""
    drawn = [value for row in rows for value in (row.estimate, row.ci_low, row.ci_high)]
    ends = [value for value in (*drawn, rows[0].delta, -rows[0].delta, 0) if math.isfinite(value)]
    margin = 0.06 * (max(ends) - min(ends)) or 1.0
    return [min(ends) - margin, max(ends) + margin]


def _difference_bar(row: PairDifference, place: int) -> Trace:
    bar = error_bar(row.estimate, row.ci_low, row.ci_high)
    symbol = "circle" if row.status in SHOWN_BETTER else "circle-open"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row.estimate],
        "y": [place],
        "error_x": bar | {"color": INK, "thickness": 2, "width": 5},
        "marker": {"color": INK, "symbol": symbol, "size": 10},
        "hoverinfo": "text",
        "hovertext": [_hover(row)],
    }


def _hover(row: PairDifference) -> str:
    interval = f"{row.estimate:.4g} [{row.ci_low:.4g}, {row.ci_high:.4g}]"
    pair = _pair_label(row)
    return f"{pair}: {interval}, {row.n} seeds, {row.status.replace('_', ' ')}"


def caption_pair_differences(comparison: Comparison) -> str:
    """What the intervals and the band of F2 are."""
    pairs = len(comparison.pairs)
    together = (
        f"; the {pairs} intervals hold together at 95 %"
        if pairs > 1
        else "; the interval is at 95 %"
    )
    return (
        f"Mean difference in test score over seeds ({seeds_text(comparison)}), positive where the"
        f" first arm is better{together}. Filled: one arm was shown to be better. The grey band is"
        f" ± delta = {comparison.delta:.2g}, the smallest difference that matters"
        f" ({comparison.delta_source}). No interval is drawn where a run diverged."
    )


PAIR_DIFFERENCES = FigureSpec[Comparison](
    id="F2",
    slug="pair-differences",
    question="Which differences are real, which matter?",
    row_type=PairDifference,
    compute=compute_pair_differences,
    draw=draw_pair_differences,
    caption=caption_pair_differences,
    needs="fewer than two arms have been confirmed",
)
