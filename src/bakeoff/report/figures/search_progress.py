"""F4: the best score against what the search has spent, as observed and as expected."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bakeoff.analysis.draws import SUPPORTED_SHARE, is_random_search, random_draws
from bakeoff.analysis.tuning import expected_best_by_cost
from bakeoff.analysis.wording import trials_per_arm
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report.figures.spec import MAX_DRAWN, FigureSpec, search_trials
from bakeoff.report.figures.style import (
    FAINT,
    LOG_TICKS,
    Trace,
    arm_color,
    arm_symbol,
    axis,
    draw,
    label,
    metric_title,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

MIN_DRAWS = 5
LEFT_OUT = 0.1
"""Share of the points, the worst ones, that the score axis may leave out."""
NUM_BUDGETS = 40
"""Points of an expected curve."""


class SearchProgress(NamedTuple):
    """The best score that an arm's search has reached, or may be expected to reach, by then."""

    arm: str
    quantity: Literal["observed", "expected"]
    k: int | None
    """Trials run so far; None in expected rows."""
    epochs: float
    train_seconds: float | None
    """None in expected rows."""
    estimate: float | None
    trial: int | None
    """Number of the k-th trial."""
    supported: bool
    """Expected rows: whether no more than a fifth of the search was spent by then."""


def compute_search_progress(comparison: Comparison) -> tuple[SearchProgress, ...]:
    """One observed row per trial, and the expected curve of arms searched at random to the end.

    An observed estimate is None until a trial of the arm is complete. The expected best within a
    cost is the mean over random orders of the trials; it is given where all trials are independent
    random draws, at least five, whose final scores are known.
    """
    study = comparison.study
    return tuple(
        row
        for arm in study.arms
        for row in (*_observed_rows(study, arm.name), *_expected_rows(study, arm.name))
    )


def _observed_rows(study: StudyRecord, arm: str) -> list[SearchProgress]:
    sign = study.objective.sign
    best: float | None = None
    epochs, seconds = 0, 0.0
    rows = []
    for k, trial in enumerate(search_trials(study, arm), start=1):
        epochs += trial.epochs_run
        seconds += trial.train_seconds
        score = trial.score if trial.outcome == "complete" else None
        if score is not None and math.isfinite(score):
            best = score if best is None else sign * max(sign * best, sign * score)
        rows.append(SearchProgress(arm, "observed", k, epochs, seconds, best, trial.number, True))
    return rows


def _has_expectation(study: StudyRecord, arm: str) -> bool:
    """Whether all trials of an arm are independent draws, enough of them, with known scores."""
    draws = random_draws(study, arm)
    independent = is_random_search(study, arm) and bool(draws.is_known.all())
    return independent and draws.num >= MIN_DRAWS and bool(np.max(draws.epochs) > 0)


def _expected_rows(study: StudyRecord, arm: str) -> list[SearchProgress]:
    if not _has_expectation(study, arm):
        return []
    draws = random_draws(study, arm)
    total = float(np.sum(draws.epochs))
    budgets = np.geomspace(np.max(draws.epochs), total, NUM_BUDGETS)
    expected = study.objective.sign * expected_best_by_cost(draws.scores, draws.epochs, budgets)
    return [
        SearchProgress(
            arm, "expected", None, budget, None, score, None, budget <= total / SUPPORTED_SHARE
        )
        for budget, score in zip(budgets.tolist(), expected.tolist(), strict=True)
        if math.isfinite(score)
    ]


def draw_search_progress(rows: Sequence[SearchProgress], comparison: Comparison) -> "go.Figure":
    """One line per arm: expected where it is known, with the observed steps faint behind it.

    Of many trials, an observed line has those that were better than all before.
    """
    study = comparison.study
    traces: list[Trace] = []
    for arm in dict.fromkeys(row.arm for row in rows):
        own = [row for row in rows if row.arm == arm]
        expected = [row for row in own if row.quantity == "expected"]
        observed = _steps([row for row in own if row.quantity == "observed"])
        traces += [_step_line(observed, study, faint=bool(expected)), *_curves(expected, study)]
    return draw(
        traces,
        height=400,
        showlegend=True,
        xaxis=axis(
            "Epochs of search spent by the arm (log scale)",
            type="log",
            tickmode="array",
            tickvals=LOG_TICKS,
        ),
        yaxis=axis("Best " + metric_title(study.objective), range=_score_range(rows, study)),
    )


def _steps(rows: Sequence[SearchProgress]) -> list[SearchProgress]:
    """All trials while they can be seen as dots; of more, where the line climbs and its end."""
    if len(rows) <= MAX_DRAWN:
        return list(rows)
    climbs = [now for before, now in pairwise(rows) if now.estimate != before.estimate]
    return [rows[0], *climbs, rows[-1]]


def _score_range(rows: Sequence[SearchProgress], study: StudyRecord) -> list[float] | None:
    """Without the worst tenth: the first trials may be far below all that follows."""
    estimates = [row.estimate for row in rows if row.estimate is not None]
    if not estimates:
        return None
    sign = study.objective.sign
    worst, best = np.quantile(sign * np.array(estimates), [LEFT_OUT, 1.0])
    padding = 0.08 * (best - worst) or 0.01 * (abs(best) or 1.0)
    return sorted([float(sign * (worst - padding)), float(sign * (best + padding))])


def _step_line(rows: Sequence[SearchProgress], study: StudyRecord, *, faint: bool) -> Trace:
    arm = rows[0].arm
    color = arm_color(study, arm) + (FAINT if faint else "")
    return {
        "type": "scatter",
        "mode": "lines" if faint else "lines+markers",
        "name": label(arm),
        "legendgroup": label(arm),
        "showlegend": not faint,
        "x": [row.epochs for row in rows],
        "y": [row.estimate for row in rows],
        "line": {"color": color, "shape": "hv", "width": 1 if faint else 2},
        "marker": {"color": color, "symbol": arm_symbol(study, arm), "size": 7},
        "hoverinfo": "text",
        "hovertext": [
            f"{label(arm)}: {row.estimate if row.estimate is not None else math.nan:.6g}"
            f" observed after {row.k} trials, {row.epochs} epochs"
            for row in rows
        ],
    }


def _curves(rows: Sequence[SearchProgress], study: StudyRecord) -> list[Trace]:
    """The expected curve: solid to a fifth of the search, dotted beyond; none without rows."""
    solid = [row for row in rows if row.supported]
    # the dotted part begins where the solid one ends
    dotted = rows[max(0, len(solid) - 1) :]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": label(part[0].arm),
            "legendgroup": label(part[0].arm),
            "showlegend": part is (solid or dotted),
            "x": [row.epochs for row in part],
            "y": [row.estimate for row in part],
            "line": {"color": arm_color(study, part[0].arm), "width": 2, "dash": dash},
            "hoverinfo": "text",
            "hovertext": [
                f"{label(row.arm)}: {row.estimate:.6g} expected within {row.epochs:.0f} epochs"
                for row in part
            ],
        }
        for part, dash in ((solid, "solid"), (dotted, "dot"))
        if part
    ]


def caption_search_progress(comparison: Comparison) -> str:
    """What F4 shows, and what it may not be taken for."""
    study = comparison.study
    is_expected = any(_has_expectation(study, arm.name) for arm in study.arms)
    what = (
        "Thick: expected validation score of the best trial within that many epochs of random"
        " search, the mean over 5,000 random orders of the trials, solid to a fifth of the search"
        " and dotted beyond, where nothing can be concluded; no interval is known for it. Thin:"
        " observed, the one order that was run"
        if is_expected
        else "Observed, not estimated: validation score of the best complete trial so far, in one"
        f" search per arm; every dot is a trial, of more than {MAX_DRAWN} one that was ahead of all"
        " before"
    )
    return (
        f"{what} (sampler {study.sampler}, pruner {study.pruner}, n = {trials_per_arm(study)}"
        " trials each). The epochs of pruned and diverged trials count; seconds stand in the CSV."
        " The axis leaves out the worst tenth of the points. The best of many"
        " trials is optimistic, so the verdict does not use it."
    )


SEARCH_PROGRESS = FigureSpec[Comparison](
    id="F4",
    slug="search-progress",
    question="What does more search bring, at equal cost?",
    row_type=SearchProgress,
    compute=compute_search_progress,
    draw=draw_search_progress,
    caption=caption_search_progress,
    needs="no search trial has ended yet",
)
