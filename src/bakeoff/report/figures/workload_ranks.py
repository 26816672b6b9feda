"""F11: mean ranks over workloads with the critical difference, and profiles of time to target."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bakeoff.analysis.ranks import PROFILE_END, profile
from bakeoff.analysis.workloads import MIN_PROFILED, MIN_WORKLOADS, AcrossWorkloads
from bakeoff.report.figures.spec import FigureSpec
from bakeoff.report.figures.style import (
    FAINT,
    INK,
    Trace,
    arm_color,
    arm_symbol,
    axis,
    categories,
    draw,
    label,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

PROFILE_POINTS = 61


class WorkloadRank(NamedTuple):
    """Rank of an arm on one workload, and its mean rank over all."""

    arm: str
    workload: str
    rank: float
    mean_rank: float
    critical_difference: float | None


class ProfilePoint(NamedTuple):
    """Share of workloads on which the arm needs at most `ratio` times the best arm's epochs."""

    arm: str
    ratio: float
    share: float


def compute_ranks(found: AcrossWorkloads) -> tuple[WorkloadRank, ...]:
    """A row for each arm, best mean rank first, and workload that counts."""
    apart = found.test.critical_difference if found.test else None
    return tuple(
        WorkloadRank(
            arm.arm,
            comparison.study.name,
            float(found.ranks[line, found.arm_names.index(arm.arm)]),
            arm.mean_rank,
            apart if apart is not None and np.isfinite(apart) else None,
        )
        for arm in found.arms
        for line, comparison in enumerate(found.counted)
    )


def draw_ranks(rows: Sequence[WorkloadRank], found: AcrossWorkloads) -> "go.Figure":
    """A line for each arm: a small dot for each workload, a large one for the mean.

    A bar of the critical difference, where there is one, joins arms that it does not separate.
    """
    names = [arm.arm for arm in found.arms]
    study = found.comparisons[0].study
    traces = [_rank_dots(rows, names, arm, arm_color(study, arm)) for arm in names]
    traces += [_mean_dot(found, place) for place in range(len(names))]
    traces += _joins(rows, found)
    return draw(
        traces,
        height=110 + 44 * len(names),
        showlegend=False,
        xaxis=axis("Rank (1 is best)", range=[0.8, len(names) + 0.2], dtick=1),
        yaxis=axis(autorange="reversed", **categories(names)),
    )


def _rank_dots(rows: Sequence[WorkloadRank], names: Sequence[str], arm: str, color: str) -> Trace:
    own = [row for row in rows if row.arm == arm]
    # workloads of equal rank stand beside each other
    beside = np.linspace(-0.18, 0.18, max(2, len(own)))[: len(own)]
    return {
        "type": "scatter", "mode": "markers",
        "x": [row.rank for row in own],
        "y": [names.index(arm) + float(shift) for shift in beside],
        "marker": {"color": color + FAINT, "size": 7},
        "hoverinfo": "text",
        "hovertext": [f"{label(row.workload)}: rank {row.rank:g}" for row in own],
    }  # fmt: skip


def _mean_dot(found: AcrossWorkloads, place: int) -> Trace:
    arm, study = found.arms[place], found.comparisons[0].study
    return {
        "type": "scatter", "mode": "markers", "x": [arm.mean_rank], "y": [place],
        "marker": {
            "color": arm_color(study, arm.arm), "symbol": arm_symbol(study, arm.arm), "size": 14
        },
        "hoverinfo": "text",
        "hovertext": [f"{label(arm.arm)}: mean rank {arm.mean_rank:.3g}"],
    }  # fmt: skip


def _joins(rows: Sequence[WorkloadRank], found: AcrossWorkloads) -> list[Trace]:
    """From each arm to the worst one that is not a critical difference away."""
    apart = rows[0].critical_difference
    if apart is None:
        return []
    lines = []
    for place, arm in enumerate(found.arms):
        last = max(
            index for index, other in enumerate(found.arms)
            if other.mean_rank - arm.mean_rank <= apart
        )  # fmt: skip
        if last > place:
            x = arm.mean_rank
            lines.append(
                {
                    "type": "scatter", "mode": "lines", "x": [x, x], "y": [place, last],
                    "line": {"color": INK, "width": 2}, "hoverinfo": "skip",
                }
            )  # fmt: skip
    return lines


def caption_ranks(found: AcrossWorkloads) -> str:
    """What F11a shows, and whether anything was tested."""
    text = (
        "Large: mean rank over the workloads; small: rank on each, by confirmed test mean."
        f" W = {len(found.counted)}."
    )
    if found.test is None:
        return f"{text} Below {MIN_WORKLOADS} workloads nothing is tested."
    if not np.isfinite(found.test.critical_difference):
        return f"{text} {found.test.method} p = {found.test.p:.2g}."
    return (
        f"{text} {found.test.method} p = {found.test.p:.2g}; a vertical line joins arms whose mean"
        f" ranks differ by less than the critical difference"
        f" {found.test.critical_difference:.3g} (Nemenyi, 5 %, over all pairs)."
    )


def compute_profile(found: AcrossWorkloads) -> tuple[ProfilePoint, ...]:
    """Rows from ratio 1 to 4; none below three workloads, or where nobody reaches a target."""
    if len(found.counted) < MIN_PROFILED or not np.isfinite(found.ratios).any():
        return ()
    limits = np.linspace(1, PROFILE_END, PROFILE_POINTS)
    return tuple(
        ProfilePoint(arm, float(limit), float(share))
        for place, arm in enumerate(found.arm_names)
        for limit, share in zip(limits, profile(found.ratios[:, place], limits), strict=True)
    )


def draw_profile(rows: Sequence[ProfilePoint], found: AcrossWorkloads) -> "go.Figure":
    """A step line for each arm."""
    study = found.comparisons[0].study
    return draw(
        [
            {
                "type": "scatter", "mode": "lines", "name": label(arm),
                "x": [row.ratio for row in rows if row.arm == arm],
                "y": [row.share for row in rows if row.arm == arm],
                "line": {"color": arm_color(study, arm), "width": 2.5, "shape": "hv"},
                "hoverinfo": "text",
                "hovertext": [
                    f"{label(arm)}: {row.share:.0%} within {row.ratio:.2f} times the best"
                    for row in rows if row.arm == arm
                ],
            }
            for arm in found.arm_names
        ],
        height=380,
        xaxis=axis("Epochs to the target, as a multiple of the best arm's", range=[1, PROFILE_END]),
        yaxis=axis("Share of workloads", range=[-0.02, 1.02], tickformat=".0%"),
    )  # fmt: skip


def caption_profile(found: AcrossWorkloads) -> str:
    """What F11b shows."""
    return (
        "Share of the workloads on which an arm's median confirmation run reaches the study's"
        " target within so many times the epochs of the best arm (Dolan and More 2002). Higher is"
        f" better; at 1 an arm is the fastest. W = {len(found.counted)}; a target that is not"
        " reached never counts. The area from 1 to 4 is the profile score of the table."
    )


RANKS = FigureSpec[AcrossWorkloads](
    id="F11a",
    slug="ranks",
    question="Does it hold across workloads?",
    row_type=WorkloadRank,
    compute=compute_ranks,
    draw=draw_ranks,
    caption=caption_ranks,
    needs="no workload counts",
)
PROFILE = FigureSpec[AcrossWorkloads](
    id="F11b",
    slug="profile",
    question="Who gets there soonest, workload by workload?",
    row_type=ProfilePoint,
    compute=compute_profile,
    draw=draw_profile,
    caption=caption_profile,
    needs=f"it takes {MIN_PROFILED} workloads in which a target is reached",
)
ACROSS_FIGURES = (RANKS, PROFILE)
