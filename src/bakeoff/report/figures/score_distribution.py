"""F7: the distribution of scores over an arm's space, and how its trials ended."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.analysis.draws import approximation, random_draws
from bakeoff.records import CHARGED_OUTCOMES, Comparison, Outcome, Phase, StudyRecord, TrialRecord
from bakeoff.report.figures.spec import (
    FigureSpec,
    counts_text,
    score_limits,
    search_trials,
    thinned,
    thinned_text,
)
from bakeoff.report.figures.style import (
    FAINT,
    FAINT_INK,
    INK,
    Trace,
    arm_color,
    axis,
    categories,
    draw,
    label,
    metric_title,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

CURVES_HEIGHT, BAR_HEIGHT, MARGINS = 300, 30, 150
LABELLED = 0.12
"""Smallest share whose bar has room for its name."""
MIN_DRAWS = 5
"""With fewer random trials all trials of an arm are shown, as observed."""


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
    """Random trials of each arm, best first; all trials, noted as observed, if those are few."""
    study = comparison.study
    return tuple(row for arm in study.arms for row in _arm_rows(study, arm.name))


def _arm_rows(study: StudyRecord, arm: str) -> list[ScoredTrial]:
    draws = random_draws(study, arm)
    enough = draws.num >= MIN_DRAWS
    trials = draws.trials if enough else search_trials(study, arm)
    sign, num = study.objective.sign, len(trials)
    ordered = sorted(trials, key=lambda trial: (-_signed_score(trial, sign), trial.number))
    return [
        ScoredTrial(
            arm,
            trial.number,
            _finite_score(trial),
            place / num,
            trial.outcome,
            trial.phase,
            num,
            "" if enough else "observed",
        )
        for place, trial in enumerate(ordered, start=1)
    ]


def _finite_score(trial: TrialRecord) -> float | None:
    return trial.score if trial.score is not None and math.isfinite(trial.score) else None


def _signed_score(trial: TrialRecord, sign: int) -> float:
    """For sorting: trials without a score come last."""
    score = _finite_score(trial)
    return -math.inf if score is None else sign * score


def draw_score_distribution(rows: Sequence[ScoredTrial], comparison: Comparison) -> "go.Figure":
    """One falling step line per arm; below, one bar per arm of how its trials ended."""
    study = comparison.study
    arms = list(dict.fromkeys(row.arm for row in rows))
    bars = BAR_HEIGHT * len(arms)
    height = CURVES_HEIGHT + bars + MARGINS
    below = bars / (height - MARGINS / 2)
    complete = [row for row in rows if row.outcome == "complete"] or rows
    shown = [row.estimate for row in complete if row.estimate is not None]
    _, limits = score_limits(shown, study.objective)
    return draw(
        [
            *(_steps(thinned([row for row in rows if row.arm == arm]), study) for arm in arms),
            *(_bars(rows, arms, outcome, study) for outcome in CHARGED_OUTCOMES),
        ],
        height=height,
        showlegend=True,
        barmode="stack",
        legend_traceorder="normal",
        xaxis=axis(metric_title(study.objective), anchor="y", range=limits),
        yaxis=axis("Share of trials at least as good", range=[0, 1.02], domain=[below + 0.17, 1]),
        xaxis2=axis("Share of trials by outcome", range=[0, 1], anchor="y2", showgrid=False),
        yaxis2=axis(domain=[0, below], **categories(arms), autorange="reversed", anchor="x2"),
    )


def _steps(rows: Sequence[ScoredTrial], study: StudyRecord) -> Trace:
    """From the best trial to worse ones: the share stays until the next score, then rises."""
    arm = rows[0].arm
    scored = [row for row in rows if row.estimate is not None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(arm),
        "x": [row.estimate for row in scored],
        "y": [row.share for row in scored],
        "line": {"color": arm_color(study, arm), "width": 2, "shape": "hv"},
        "marker": {
            "color": arm_color(study, arm),
            "size": 6,
            "symbol": [
                "circle" if row.outcome == "complete" else _SYMBOLS[row.outcome] for row in scored
            ],
        },
        "hoverinfo": "text",
        "hovertext": [
            f"{label(arm)}, trial {row.trial}: {row.estimate:.6g}, {row.outcome};"
            f" {row.share:.0%} of {row.n} trials are at least as good"
            for row in scored
        ],
    }


_SYMBOLS: dict[Outcome, str] = {
    "pruned": "circle-open", "diverged": "x", "infeasible": "hash-open",
}  # fmt: skip


def _bars(
    rows: Sequence[ScoredTrial], arms: Sequence[str], outcome: Outcome, study: StudyRecord
) -> Trace:
    """The share of each arm's trials with one outcome."""
    shares = []
    for arm in arms:
        own = [row for row in rows if row.arm == arm]
        shares.append(sum(row.outcome == outcome for row in own) / len(own))
    return {
        "type": "bar",
        "orientation": "h",
        "name": outcome,
        "xaxis": "x2",
        "yaxis": "y2",
        "x": shares,
        "y": list(range(len(arms))),
        "marker": {"color": _outcome_colors(outcome, arms, study), "line": {"width": 0}},
        "showlegend": False,
        "text": [f"{outcome} {share:.0%}" if share >= LABELLED else "" for share in shares],
        "textposition": "inside",
        # plotly does not see the page through a faint bar; elsewhere it finds the contrast
        "insidetextfont": {"size": 12} | ({"color": INK} if outcome == "pruned" else {}),
        "insidetextanchor": "middle",
        "hoverinfo": "text",
        "hovertext": [
            f"{label(arm)}: {share:.0%} {outcome}" for arm, share in zip(arms, shares, strict=True)
        ],
    }


def _outcome_colors(outcome: Outcome, arms: Sequence[str], study: StudyRecord) -> list[str]:
    """Complete trials in the arm's colour, pruned ones in a faint one, the rest in ink."""
    if outcome in {"diverged", "infeasible"}:
        return [INK if outcome == "diverged" else FAINT_INK] * len(arms)
    faint = FAINT if outcome == "pruned" else ""
    return [arm_color(study, arm) + faint for arm in arms]


def caption_score_distribution(comparison: Comparison) -> str:
    """Which trials F7 shows."""
    study = comparison.study
    rows = compute_score_distribution(comparison)
    notes = {row.arm: row.note for row in rows if row.note}
    listed = counts_text(list(dict.fromkeys((row.arm, row.n) for row in rows)), notes)
    return (
        f"Validation {study.objective.name} of random trials, n = {listed}: the height is the share"
        " of trials at least as good. An arm that stays high to the good end forgives a careless"
        " choice. Hollow dots are pruned trials with their best epoch so far. Diverged trials count"
        " as an untrained model or, where its score is unknown, as the worst known trial, which may"
        " be worse than the axis shows. Below: how the same"
        f" trials ended.{approximation(study)}{thinned_text(row.n for row in rows)}"
    )


SCORE_DISTRIBUTION = FigureSpec[Comparison](
    id="F7",
    slug="score-distribution",
    question="What does a careless choice cost; how often does it diverge?",
    row_type=ScoredTrial,
    compute=compute_score_distribution,
    draw=draw_score_distribution,
    caption=caption_score_distribution,
    needs="no search trial has ended yet",
)
