"""F10 shows whether the ranking at a rung predicts the final one, by trials never pruned."""

import math
from collections.abc import Sequence

from bakeoff.analysis.pruning import ALL_ARMS, MIN_TRIALS, RungAudit, pruning_regrets, rung_audits
from bakeoff.analysis.wording import plural
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec


def compute_pruning_audit(comparison: Comparison) -> tuple[RungAudit, ...]:
    """Return rows of every arm with enough audited trials, then of all arms together."""
    return tuple(row for row in rung_audits(comparison.study) if math.isfinite(row.estimate))


def draw_pruning_audit(rows: Sequence[RungAudit], comparison: Comparison) -> style.Figure:
    """Draw a line for each arm over the rungs, and all arms together in grey."""
    return style.draw(
        [_line(own, comparison.study) for own in style.grouped(rows, "arm").values()],
        height=340,
        showlegend=True,
        xaxis=style.axis("Share of the planned epochs", range=[0, 1], tickformat=".0%"),
        yaxis=style.axis("Spearman with the final order", range=[-1.05, 1.05]),
        shapes=[style.line_shape(x0=0, x1=1, y0=0, y1=0)],
    )


def _line(rows: Sequence[RungAudit], study: StudyRecord) -> style.Trace:
    arm = rows[0].arm
    is_all = arm == ALL_ARMS
    return style.scatter(
        rows, "lines+markers", x="progress", y="estimate", name=style.label(arm),
        color=style.FAINT_INK if is_all else style.arm_color(study, arm),
        line={"width": 3 if is_all else 1.5, "dash": "dot" if is_all else None},
        marker={"size": 9, "symbol": "x" if is_all else style.arm_symbol(study, arm)},
        hover=lambda row: (
            f"{style.label(arm)}, rung {row.rung}: {row.estimate:.2f} over {plural(row.n, 'trial')}"
        ),
    )  # fmt: skip


def _caption(comparison: Comparison) -> str:
    counts = ", ".join(
        f"{row.top_would_end} of the best {row.top} ({style.label(row.arm)}, n = {row.n})"
        for row in pruning_regrets(comparison.study)
    )
    return (
        "Rank correlation between the best score up to a rung and the final score, over audited"
        " trials, which were chosen beforehand and never pruned. An arm needs at least"
        f" {MIN_TRIALS} of them; all arms together use ranks within each arm. Of the best tenth by"
        " final score, at least one trial per arm, pruning would have ended:"
        f" {counts}. Table T10 has intervals."
    )


FIGURE = FigureSpec[Comparison](
    id="F10",
    slug="pruning-audit",
    question="Could pruning have thrown away good runs?",
    row_type=RungAudit,
    compute=compute_pruning_audit,
    draw=draw_pruning_audit,
    caption=_caption,
    needs=f"a study that prunes needs {MIN_TRIALS} complete audited trials",
)
