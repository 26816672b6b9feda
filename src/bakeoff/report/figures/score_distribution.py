"""F7 shows the distribution of scores over an arm's space, and how its trials ended."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from bakeoff.analysis.arm_trials import charged_trials
from bakeoff.analysis.draws import approximation, random_draws
from bakeoff.analysis.wording import plural
from bakeoff.records import CHARGED_OUTCOMES, Comparison, Outcome, Phase, StudyRecord, TrialRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import MIN_DRAWS, FigureSpec, counts_text

CURVES_HEIGHT, BAR_HEIGHT, MARGINS = 300, 30, 150
LABELLED = 0.12
"""Smallest share whose bar has room for its name."""


class ScoredTrial(NamedTuple):
    """One trial of an arm, and the share of its trials that are at least as good."""

    arm: str
    trial: int
    estimate: float | None
    """As measured; of a pruned trial its best so far, None without a finite score."""
    share: float
    outcome: Outcome
    phase: Phase
    n: int
    note: str


def compute_score_distribution(comparison: Comparison) -> tuple[ScoredTrial, ...]:
    """Return the random trials of each arm, best first.

    An arm with fewer than five random trials has rows of all its trials, noted as observed.
    """
    study = comparison.study
    return tuple(row for arm in study.arms for row in _arm_rows(study, arm.name))


def _arm_rows(study: StudyRecord, arm: str) -> list[ScoredTrial]:
    draws = random_draws(study, arm)
    enough = draws.num >= MIN_DRAWS
    trials = draws.trials if enough else charged_trials(study, arm)
    num, note = len(trials), "" if enough else "observed"

    def rank(trial: TrialRecord) -> tuple[float, int]:
        score = _finite_score(trial)
        return (math.inf if score is None else -study.objective.sign * score, trial.number)

    return [
        ScoredTrial(arm, t.number, _finite_score(t), place / num, t.outcome, t.phase, num, note)
        for place, t in enumerate(sorted(trials, key=rank), start=1)
    ]


def _finite_score(trial: TrialRecord) -> float | None:
    return trial.score if trial.score is not None and math.isfinite(trial.score) else None


def draw_score_distribution(rows: Sequence[ScoredTrial], comparison: Comparison) -> style.Figure:
    """Draw one falling step line per arm; below, one bar per arm of how its trials ended."""
    study = comparison.study
    by_arm = style.grouped(rows, "arm")
    bars = BAR_HEIGHT * len(by_arm)
    height = CURVES_HEIGHT + bars + MARGINS
    below = bars / (height - MARGINS / 2)
    complete = [row for row in rows if row.outcome == "complete"] or rows
    shown = [row.estimate for row in complete if row.estimate is not None]
    _, limits = style.score_limits(shown, study.objective)
    return style.draw(
        [
            *(_steps(style.thinned(own), study) for own in by_arm.values()),
            *(_bars(by_arm, outcome, study) for outcome in CHARGED_OUTCOMES),
        ],
        height=height,
        showlegend=True,
        barmode="stack",
        legend_traceorder="normal",
        xaxis=style.axis(style.metric_title(study.objective), anchor="y", range=limits),
        yaxis=style.axis(
            "Share of trials at least as good", range=[0, 1.02], domain=[below + 0.17, 1]
        ),
        xaxis2=style.axis("Share of trials by outcome", range=[0, 1], anchor="y2", showgrid=False),
        yaxis2=style.axis(
            domain=[0, below], **style.categories(list(by_arm)), autorange="reversed", anchor="x2"
        ),
    )


def _steps(rows: Sequence[ScoredTrial], study: StudyRecord) -> style.Trace:
    """Draw steps from the best trial to worse ones; the share rises at each score."""
    arm = rows[0].arm
    scored = [row for row in rows if row.estimate is not None]
    return style.scatter(
        scored, "lines+markers", x="estimate", y="share", color=style.arm_color(study, arm),
        name=style.label(arm), line={"width": 2, "shape": "hv"},
        marker={"size": 6, "symbol": [style.OUTCOME_SYMBOLS[row.outcome] for row in scored]},
        hover=lambda row: (
            f"{style.label(arm)}, trial {row.trial}: {row.estimate:.6g}, {row.outcome};"
            f" {row.share:.0%} of {plural(row.n, 'trial')} at least as good"
        ),
    )  # fmt: skip


def _bars(
    by_arm: dict[str, list[ScoredTrial]], outcome: Outcome, study: StudyRecord
) -> style.Trace:
    """Draw the share of each arm's trials with one outcome."""
    shares = {
        arm: sum(row.outcome == outcome for row in own) / len(own) for arm, own in by_arm.items()
    }
    colors = {"diverged": style.INK, "infeasible": style.FAINT_INK}
    shade = style.FAINT if outcome == "pruned" else ""
    # plotly does not see the page through a faint bar; elsewhere it finds the contrast
    ink: dict[str, Any] = {"color": style.INK} if outcome == "pruned" else {}
    return {
        "type": "bar", "orientation": "h", "name": outcome, "xaxis": "x2", "yaxis": "y2",
        "x": list(shares.values()), "y": list(range(len(shares))), "showlegend": False,
        "marker": {
            "color": [colors.get(outcome, style.arm_color(study, arm) + shade) for arm in shares],
            "line": {"width": 0},
        },
        "text": [
            f"{outcome} {share:.0%}" if share >= LABELLED else "" for share in shares.values()
        ],
        "textposition": "inside", "insidetextfont": {"size": 12, **ink},
        "insidetextanchor": "middle", "hoverinfo": "text",
        "hovertext": [
            f"{style.label(arm)}: {share:.0%} {outcome}" for arm, share in shares.items()
        ],
    }  # fmt: skip


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    rows = compute_score_distribution(comparison)
    counts: dict[bool, dict[tuple[str, int], None]] = {True: {}, False: {}}
    for row in rows:
        counts[not row.note][style.label(row.arm), row.n] = None
    what = {
        True: "random trials",
        False: f"all trials (only observed) of arms with fewer than {MIN_DRAWS} random ones",
    }
    shown = [
        f"{what[is_random]}, n = {counts_text(list(own), are_all=not counts[not is_random])}"
        for is_random, own in counts.items()
        if own
    ]
    return (
        f"Validation {study.objective.name} of {', and of '.join(shown)}. The height is the share"
        " of trials at least as good. An arm whose line stays high towards good scores forgives a"
        " careless choice. Hollow dots are pruned trials with their best epoch so far. A diverged"
        " trial counts as an untrained model or, where that score is unknown, as the worst known"
        " trial; it may be worse than the axis shows. The bars below show how the same trials"
        f" ended.{approximation(study)}{style.thinned_text(row.n for row in rows)}"
    )


FIGURE = FigureSpec[Comparison](
    id="F7",
    slug="score-distribution",
    question="What does a careless choice cost; how often does it diverge?",
    row_type=ScoredTrial,
    compute=compute_score_distribution,
    draw=draw_score_distribution,
    caption=_caption,
    needs="no search trial has ended yet",
)
