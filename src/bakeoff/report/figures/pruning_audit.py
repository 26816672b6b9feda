"""F10: does the order at a rung tell the final order? From trials that were never pruned."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.analysis.pruning import ALL_ARMS, MIN_TRIALS, pruning_regrets, rung_audits
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report.figures.spec import FigureSpec
from bakeoff.report.figures.style import (
    FAINT_INK,
    Trace,
    arm_color,
    arm_symbol,
    axis,
    draw,
    label,
    line_shape,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go


class RungCorrelation(NamedTuple):
    """Rank correlation between the score at a rung and the final score."""

    arm: str
    rung: int
    progress: float
    estimate: float
    better_half: float | None
    n: int


def compute_pruning_audit(comparison: Comparison) -> tuple[RungCorrelation, ...]:
    """Rows of every arm with enough audited trials, then of all arms together."""
    return tuple(
        RungCorrelation(
            found.arm,
            found.rung,
            found.progress,
            found.spearman,
            None if math.isnan(found.better_half) else found.better_half,
            found.n,
        )
        for found in rung_audits(comparison.study)
        if math.isfinite(found.spearman)
    )


def draw_pruning_audit(rows: Sequence[RungCorrelation], comparison: Comparison) -> "go.Figure":
    """A line for each arm over the rungs; all arms together in grey."""
    names = list(dict.fromkeys(row.arm for row in rows))
    return draw(
        [_line([row for row in rows if row.arm == name], comparison.study) for name in names],
        height=340,
        showlegend=True,
        xaxis=axis("Share of the planned epochs", range=[0, 1], tickformat=".0%"),
        yaxis=axis("Spearman with the final order", range=[-1.05, 1.05]),
        shapes=[line_shape(x0=0, x1=1, y0=0, y1=0)],
    )


def _line(rows: Sequence[RungCorrelation], study: StudyRecord) -> Trace:
    arm = rows[0].arm
    is_all = arm == ALL_ARMS
    color = FAINT_INK if is_all else arm_color(study, arm)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(arm),
        "x": [row.progress for row in rows],
        "y": [row.estimate for row in rows],
        "line": {"color": color, "width": 3 if is_all else 1.5, "dash": "dot" if is_all else None},
        "marker": {
            "color": color, "size": 9, "symbol": "x" if is_all else arm_symbol(study, arm)
        },
        "hoverinfo": "text",
        "hovertext": [
            f"{label(arm)}, rung {row.rung}: {row.estimate:.2f} over {row.n} trials" for row in rows
        ],
    }  # fmt: skip


def caption_pruning_audit(comparison: Comparison) -> str:
    """What F10 shows, and how many of the best trials pruning would have ended."""
    regrets = pruning_regrets(comparison.study)
    told = ", ".join(
        f"{row.top_would_end} of the best {row.top} ({label(row.arm)}, n = {row.n})"
        for row in regrets
    )
    return (
        "Rank correlation between the best score up to a rung and the final score, over audited"
        f" trials: chosen beforehand and never pruned. From {MIN_TRIALS} of an arm; all arms"
        " together by ranks within each arm. Pruning would have ended of the best tenth by final"
        f" score, at least one trial an arm: {told}. T10 has intervals."
    )


PRUNING_AUDIT = FigureSpec[Comparison](
    id="F10",
    slug="pruning-audit",
    question="Could pruning have thrown away good runs?",
    row_type=RungCorrelation,
    compute=compute_pruning_audit,
    draw=draw_pruning_audit,
    caption=caption_pruning_audit,
    needs=f"it takes {MIN_TRIALS} complete audited trials of a study that prunes",
)
