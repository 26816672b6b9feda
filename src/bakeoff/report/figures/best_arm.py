"""F5: which arm has the best trial if every arm is given k, against k."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.analysis.draws import SUPPORTED_SHARE, Draws, approximation, random_draws
from bakeoff.analysis.tuning import probability_best
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report.figures.spec import FigureSpec
from bakeoff.report.figures.style import (
    FAINT,
    FAINT_INK,
    Trace,
    arm_color,
    axis,
    draw,
    label,
    line_shape,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

MIN_DRAWS = 5
MIN_ARMS = 2
REACH = 2
"""Drawn up to this many times the largest supported k, so that one sees where it leads."""
MAX_K = 60
"""Beyond, the areas would hardly change."""
MAX_TICKS = 12


class BestArm(NamedTuple):
    """Probability that the arm's best of `k` random trials beats that of every other arm."""

    arm: str
    k: int
    estimate: float
    n: int
    """Random trials of the arm that has fewest."""
    supported: bool
    """Whether k is at most n / 5."""


def compute_best_arm(comparison: Comparison) -> tuple[BestArm, ...]:
    """Rows of all arms for k up to twice what the smallest number of random trials supports.

    None if an arm has fewer than five random trials, or if the unknown final score of a pruned one
    leaves the probabilities open.
    """
    draws = [random_draws(comparison.study, arm.name) for arm in comparison.study.arms]
    if len(draws) < MIN_ARMS or min(own.num for own in draws) < MIN_DRAWS:
        return ()
    if not all(own.is_known.all() for own in draws):
        return ()
    fewest = min(own.num for own in draws)
    return tuple(
        BestArm(own.arm, k, probability, fewest, k <= fewest // SUPPORTED_SHARE)
        for k in range(1, min(REACH * (fewest // SUPPORTED_SHARE), MAX_K) + 1)
        for own, probability in zip(draws, _probabilities(draws, k), strict=True)
    )


def _probabilities(draws: Sequence[Draws], k: int) -> list[float]:
    return [float(share) for share in probability_best([own.scores for own in draws], k)]


def draw_best_arm(rows: Sequence[BestArm], comparison: Comparison) -> "go.Figure":
    """Stacked areas that sum to 1, and a line where the support ends."""
    study = comparison.study
    largest = max((row.k for row in rows if row.supported), default=1)
    last = max(row.k for row in rows)
    is_left = largest < (1 + last) / 2
    margin = 0.02 * (last - 1) or 0.5
    return draw(
        [_area([row for row in rows if row.arm == arm.name], study) for arm in study.arms],
        height=360,
        showlegend=True,
        xaxis=axis(
            "Trials k given to every arm", range=[1 - margin, last + margin],
            tick0=1, dtick=math.ceil(last / MAX_TICKS),
        ),
        yaxis=axis("P(arm has the best trial)", range=[0, 1]),
        legend_traceorder="normal",
        shapes=[line_shape(x0=largest, x1=largest, y0=0, y1=1, yref="paper", layer="above")],
        annotations=[
            {
                "text": "k = n/5: no statement beyond", "showarrow": False, "x": largest,
                "xanchor": "left" if is_left else "right", "xshift": 6 if is_left else -6,
                "yref": "paper", "y": 0.98, "yanchor": "top",
                "font": {"color": FAINT_INK, "size": 12},
            }
        ],
    )  # fmt: skip


def _area(rows: Sequence[BestArm], study: StudyRecord) -> Trace:
    arm = rows[0].arm
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(arm),
        "stackgroup": "arms",
        "x": [row.k for row in rows],
        "y": [row.estimate for row in rows],
        "line": {"color": arm_color(study, arm), "width": 1.5},
        "fillcolor": arm_color(study, arm) + FAINT,
        "marker": {"color": arm_color(study, arm), "size": 4},
        "hoverinfo": "text",
        "hovertext": [f"{label(arm)}: {row.estimate:.3f} with {row.k} trials each" for row in rows],
    }


def caption_best_arm(comparison: Comparison) -> str:
    """What F5 rests on, and how far it reaches."""
    study = comparison.study
    fewest = min(random_draws(study, arm.name).num for arm in study.arms)
    return (
        "Probability that an arm's best of k random trials has the best validation"
        f" {study.objective.name} of all arms (ties shared), given k trials each; n = {fewest}"
        " random trials in the arm that has fewest. Left of the dotted line is k up to n/5; nothing"
        " can be concluded beyond. This is about single search trials, not about the confirmed"
        f" verdict.{approximation(study)}"
    )


BEST_ARM = FigureSpec[Comparison](
    id="F5",
    slug="best-arm",
    question="Which arm would I bet on with k trials?",
    row_type=BestArm,
    compute=compute_best_arm,
    draw=draw_best_arm,
    caption=caption_best_arm,
    needs="it takes at least five random trials of every arm, none of them pruned",
)
