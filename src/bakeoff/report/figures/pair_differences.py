"""F2 shows the differences between the confirmed configurations, pair by pair."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.records import SHOWN, Comparison, Status
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec, seeds_text


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
    word: str


def compute_pair_differences(comparison: Comparison) -> tuple[PairDifference, ...]:
    """Return every pair of confirmed arms whose mean difference is known."""
    return tuple(
        PairDifference(
            *(pair.a, pair.b, pair.mean, *pair.ci, comparison.delta),
            *(pair.num_pairs, pair.status, pair.word),
        )
        for pair in comparison.pairs
        if math.isfinite(pair.mean)
    )


def draw_pair_differences(rows: Sequence[PairDifference], comparison: Comparison) -> style.Figure:
    """Draw one line per pair; filled where one arm was shown to be better, hollow where not."""
    places = [-place for place in range(len(rows))]
    ticks = style.categories([""] * len(rows)) | {
        "tickvals": places,
        "ticktext": [_pair(row, breakable=True) for row in rows],
    }
    whole = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    zero = style.line_shape(x0=0, x1=0, **whole) | {"line": {"color": style.INK, "width": 1}}
    delta = rows[0].delta
    band = {
        "type": "rect", "layer": "below", "x0": -delta, "x1": delta, "fillcolor": style.BAND,
        "line": {"width": 0}, **whole,
    }  # fmt: skip
    advantage = f"Advantage in {style.metric_label(comparison.study.objective)}"
    return style.draw(
        [
            style.scatter(
                [row], "markers", x="estimate", y=[place], hover=_hover, color=style.INK,
                error_x=style.error_bar(row, color=style.INK, thickness=2, width=5),
                marker={
                    "symbol": "circle" if row.status in SHOWN else "circle-open", "size": 10
                },
            )
            for row, place in zip(rows, places, strict=True)
        ],
        height=110 + 34 * len(rows),
        showlegend=False,
        xaxis=style.axis(advantage, range=_limits(rows)),
        yaxis=style.axis(**ticks, range=[0.6 - len(rows), 0.6]),
        shapes=[zero, band] if math.isfinite(delta) else [zero],
    )  # fmt: skip


def _pair(row: PairDifference, *, breakable: bool = False) -> str:
    """Write both names on one line, or on two if they are long and a line break is allowed."""
    is_long = breakable and len(row.a) + len(row.b) > style.MAX_LABEL
    return f"{style.label(row.a)} vs{'<br>' if is_long else ' '}{style.label(row.b)}"


def _limits(rows: Sequence[PairDifference]) -> list[float]:
    """Return limits around everything that is drawn, including the band, with a margin."""
    drawn = [value for row in rows for value in (row.estimate, row.ci_low, row.ci_high)]
    ends = [value for value in (*drawn, rows[0].delta, -rows[0].delta, 0) if math.isfinite(value)]
    margin = 0.06 * (max(ends) - min(ends)) or 1.0
    return [min(ends) - margin, max(ends) + margin]


def _hover(row: PairDifference) -> str:
    interval = f"{row.estimate:.4g} [{row.ci_low:.4g}, {row.ci_high:.4g}]"
    return f"{_pair(row)}: {interval}, n = {row.n}, {row.word}"


def _caption(comparison: Comparison) -> str:
    pairs = len(comparison.pairs)
    joint = (
        f"all {pairs} intervals hold jointly at {CONFIDENCE_TEXT}"
        if pairs > 1
        else f"the interval is at {CONFIDENCE_TEXT}"
    )
    return (
        f"Mean difference in test score over seeds ({seeds_text(comparison)}), positive where the"
        f" first arm is better; {joint}. A filled dot means that one arm was shown to be better."
        f" The grey band is ± delta = {comparison.delta:.2g}, the smallest difference that matters"
        f" ({comparison.delta_source}). No interval is drawn where a run diverged."
    )


FIGURE = FigureSpec[Comparison](
    id="F2",
    slug="pair-differences",
    question="Which differences are real, which matter?",
    row_type=PairDifference,
    compute=compute_pair_differences,
    draw=draw_pair_differences,
    caption=_caption,
    needs="fewer than two arms have been confirmed",
)
