"""F11 shows mean ranks over workloads, and profiles of the time to the target."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.ranks import PROFILE_END, profile
from bakeoff.analysis.workloads import MIN_PROFILED, MIN_WORKLOADS, AcrossWorkloads
from bakeoff.records import StudyRecord
from bakeoff.records.significance import ALPHA
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec

PROFILE_POINTS = 61


class WorkloadRank(NamedTuple):
    """Rank of an arm on one workload, and its mean rank over all workloads."""

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
    """Return a row for each arm, best mean rank first, and each workload that counts."""
    apart = found.test.critical_difference if found.test else None
    return tuple(
        WorkloadRank(
            arm.arm, comparison.study.name,
            float(found.ranks[line, found.arm_names.index(arm.arm)]), arm.mean_rank,
            apart if apart is not None and np.isfinite(apart) else None,
        )
        for arm in found.arms
        for line, comparison in enumerate(found.counted)
    )  # fmt: skip


def draw_ranks(rows: Sequence[WorkloadRank], found: AcrossWorkloads) -> style.Figure:
    """Draw a line for each arm: a small dot for each workload, a large one for the mean.

    Where there is a critical difference, bars join the arms that it does not separate.
    """
    names = [arm.arm for arm in found.arms]
    study = found.comparisons[0].study
    by_arm = style.grouped(rows, "arm").values()
    traces = [_rank_dots(own, place, study) for place, own in enumerate(by_arm)]
    traces += [_mean_dot(own[:1], place, study) for place, own in enumerate(by_arm)]
    return style.draw(
        [*traces, *_joins(rows, found)],
        height=110 + 44 * len(names),
        showlegend=False,
        xaxis=style.axis("Rank (1 is best)", range=[0.8, len(names) + 0.2], dtick=1),
        yaxis=style.axis(autorange="reversed", **style.categories(names)),
    )


def _rank_dots(rows: Sequence[WorkloadRank], place: int, study: StudyRecord) -> style.Trace:
    # workloads of equal rank are shown next to each other
    shifts = np.linspace(-0.18, 0.18, max(2, len(rows)))[: len(rows)].tolist()
    return style.scatter(
        rows, "markers", x="rank", y=[place + shift for shift in shifts],
        color=style.arm_color(study, rows[0].arm) + style.FAINT, marker={"size": 7},
        hover=lambda row: f"{style.label(row.workload)}: rank {row.rank:g}",
    )  # fmt: skip


def _mean_dot(rows: Sequence[WorkloadRank], place: int, study: StudyRecord) -> style.Trace:
    arm = rows[0].arm
    return style.scatter(
        rows, "markers", x="mean_rank", y=[place], color=style.arm_color(study, arm),
        marker={"symbol": style.arm_symbol(study, arm), "size": 14},
        hover=lambda row: f"{style.label(arm)}: mean rank {row.mean_rank:.3g}",
    )  # fmt: skip


def _joins(rows: Sequence[WorkloadRank], found: AcrossWorkloads) -> list[style.Trace]:
    """Draw a bar from each arm to the worst arm that is not a critical difference away."""
    apart = rows[0].critical_difference
    if apart is None:
        return []
    means = [arm.mean_rank for arm in found.arms]
    lasts = [max(i for i, other in enumerate(means) if other - mean <= apart) for mean in means]
    look = {"color": style.INK, "width": 2}
    return [
        style.scatter((), "lines", x=[mean, mean], y=[place, last], line=look)
        for place, (mean, last) in enumerate(zip(means, lasts, strict=True))
        if last > place
    ]


def _caption_ranks(found: AcrossWorkloads) -> str:
    text = (
        "A large symbol is the mean rank over the workloads, and a small dot the rank on one of"
        f" them, by confirmed test mean. W = {len(found.counted)}."
    )
    if found.test is None:
        return f"{text} With fewer than {MIN_WORKLOADS} workloads, nothing is tested."
    text += f" {found.test.method} p = {found.test.p:.2g}"
    if not np.isfinite(found.test.critical_difference):
        return f"{text}."
    return (
        f"{text}; a vertical line joins arms whose mean ranks differ by less than the critical"
        f" difference {found.test.critical_difference:.3g} (Nemenyi, error rate {ALPHA:g} over all"
        " pairs)."
    )


def compute_profile(found: AcrossWorkloads) -> tuple[ProfilePoint, ...]:
    """Return rows from ratio 1 to 4, if at least three workloads count and a target is reached."""
    if len(found.counted) < MIN_PROFILED or not np.isfinite(found.ratios).any():
        return ()
    limits = np.linspace(1, PROFILE_END, PROFILE_POINTS)
    return tuple(
        ProfilePoint(arm, float(limit), float(share))
        for place, arm in enumerate(found.arm_names)
        for limit, share in zip(limits, profile(found.ratios[:, place], limits), strict=True)
    )


def draw_profile(rows: Sequence[ProfilePoint], found: AcrossWorkloads) -> style.Figure:
    """Draw a step line for each arm."""
    study = found.comparisons[0].study
    return style.draw(
        [
            style.scatter(
                own, "lines", x="ratio", y="share", hover=_hover, name=style.label(arm),
                color=style.arm_color(study, arm), line={"width": 2.5, "shape": "hv"},
            )
            for arm, own in style.grouped(rows, "arm").items()
        ],
        height=380,
        xaxis=style.axis(
            "Epochs to the target, as a multiple of the best arm's", range=[1, PROFILE_END]
        ),
        yaxis=style.axis("Share of workloads", range=[-0.02, 1.02], tickformat=".0%"),
    )  # fmt: skip


def _hover(row: ProfilePoint) -> str:
    return f"{style.label(row.arm)}: {row.share:.0%} within {row.ratio:.2f} times the best"


def _caption_profile(found: AcrossWorkloads) -> str:
    return (
        "Share of the workloads on which an arm's median confirmation run reaches the study's"
        " target within that multiple of the best arm's epochs (Dolan and More 2002). Higher is"
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
    caption=_caption_ranks,
    needs="no workload counts",
)
PROFILE = FigureSpec[AcrossWorkloads](
    id="F11b",
    slug="profile",
    question="Who gets there soonest, workload by workload?",
    row_type=ProfilePoint,
    compute=compute_profile,
    draw=draw_profile,
    caption=_caption_profile,
    needs=f"at least {MIN_PROFILED} workloads must count, and some arm must reach a target",
)
ACROSS_FIGURES = (RANKS, PROFILE)
