"""F5 shows which arm has the best trial if every arm is given k trials, for each k."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.analysis.draws import SUPPORTED_SHARE, approximation, random_draws
from bakeoff.analysis.tuning import probability_best
from bakeoff.analysis.wording import plural
from bakeoff.records import Comparison
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import MIN_DRAWS, FigureSpec

MIN_ARMS = 2
REACH = 2
"""The curves end at this many times the largest supported k, so that their trend is visible."""
MAX_K = 60
"""Beyond this k, the areas would hardly change."""
MAX_TICKS = 12


class BestArm(NamedTuple):
    """Probability that the arm's best of `k` random trials beats that of every other arm."""

    arm: str
    k: int
    estimate: float
    n: int
    """Random trials of the arm that has the fewest."""
    supported: bool
    """Whether k is at most n / 5."""


def compute_best_arm(comparison: Comparison) -> tuple[BestArm, ...]:
    """Return rows of all arms for k up to twice what the smallest number of trials supports.

    There are no rows if an arm has fewer than five random trials, or if a pruned trial, whose final
    score is unknown, leaves the probabilities undetermined.
    """
    draws = [random_draws(comparison.study, arm.name) for arm in comparison.study.arms]
    fewest = min((own.num for own in draws), default=0)
    if len(draws) < MIN_ARMS or fewest < MIN_DRAWS or not all(own.is_known.all() for own in draws):
        return ()
    scores, supported = [own.scores for own in draws], fewest // SUPPORTED_SHARE
    return tuple(
        BestArm(own.arm, k, float(probability), fewest, k <= supported)
        for k in range(1, min(REACH * supported, MAX_K) + 1)
        for own, probability in zip(draws, probability_best(scores, k), strict=True)
    )


def draw_best_arm(rows: Sequence[BestArm], comparison: Comparison) -> style.Figure:
    """Draw stacked areas that sum to 1, and a line at the largest supported k."""
    largest = max((row.k for row in rows if row.supported), default=1)
    last = max(row.k for row in rows)
    is_left = largest < (1 + last) / 2
    margin = 0.02 * (last - 1) or 0.5
    by_arm = style.grouped(rows, "arm")
    colors = {arm: style.arm_color(comparison.study, arm) for arm in by_arm}
    return style.draw(
        [
            style.scatter(
                own, "lines+markers", x="k", y="estimate", hover=_hover, color=colors[arm],
                name=style.label(arm), stackgroup="arms", line={"width": 1.5}, marker={"size": 4},
                fillcolor=colors[arm] + style.FAINT,
            )
            for arm, own in by_arm.items()
        ],
        height=360,
        showlegend=True,
        xaxis=style.axis(
            "Trials k given to every arm", range=[1 - margin, last + margin],
            tick0=1, dtick=math.ceil(last / MAX_TICKS),
        ),
        yaxis=style.axis("P(arm has the best trial)", range=[0, 1]),
        legend_traceorder="normal",
        shapes=[style.line_shape(x0=largest, x1=largest, y0=0, y1=1, yref="paper", layer="above")],
        annotations=[
            {
                "text": "k = n/5: no statement beyond", "showarrow": False, "x": largest,
                "xanchor": "left" if is_left else "right", "xshift": 6 if is_left else -6,
                "yref": "paper", "y": 0.98, "yanchor": "top",
                "font": {"color": style.FAINT_INK, "size": 12},
            }
        ],
    )  # fmt: skip


def _hover(row: BestArm) -> str:
    return f"{style.label(row.arm)}: {row.estimate:.3f} with {plural(row.k, 'trial')} each"


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    fewest = min(random_draws(study, arm.name).num for arm in study.arms)
    return (
        "Probability that an arm's best of k random trials has the best validation"
        f" {study.objective.name} of all arms, if every arm is given k trials; ties are shared. The"
        f" arm with the fewest random trials has n = {fewest}. Values of k up to n/5 lie left of"
        " the dotted line; nothing can be concluded beyond it. The figure is about single search"
        f" trials, not about the confirmed verdict.{approximation(study)}"
    )


FIGURE = FigureSpec[Comparison](
    id="F5",
    slug="best-arm",
    question="Which arm would I bet on with k trials?",
    row_type=BestArm,
    compute=compute_best_arm,
    draw=draw_best_arm,
    caption=_caption,
    needs="every arm needs at least five random trials, none of them pruned",
)
