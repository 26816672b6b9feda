"""F1: test scores of the confirmed configurations, seed by seed."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from bakeoff.records import ArmSummary, Comparison, StudyRecord
from bakeoff.report.figures.spec import (
    FigureSpec,
    confirmation_runs,
    finite_mean,
    seeds_text,
)
from bakeoff.report.figures.style import (
    FAINT,
    FAINT_INK,
    Trace,
    arm_color,
    arm_symbol,
    axis,
    categories,
    draw,
    error_bar,
    label,
    metric_title,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

BESIDE = 0.22
"""Distance of an arm's mean from its dots, in arms."""


class ConfirmedScore(NamedTuple):
    """One confirmed run, an arm's mean with its 95 % interval, or the test-set standard error."""

    arm: str
    quantity: Literal["seed", "mean", "test standard error"]
    seed: int | None
    estimate: float
    ci_low: float | None
    ci_high: float | None
    n: int | None
    note: str


def compute_confirmed_scores(comparison: Comparison) -> tuple[ConfirmedScore, ...]:
    """Test score of each confirmation run, then the arm's mean; arms in the comparison's order."""
    rows = [row for summary in comparison.arms for row in _arm_rows(comparison.study, summary)]
    error = comparison.test_standard_error
    if rows and error is not None:
        samples = comparison.study.num_test
        rows.append(ConfirmedScore("", "test standard error", None, error, None, None, samples, ""))
    return tuple(rows)


def _arm_rows(study: StudyRecord, summary: ArmSummary) -> list[ConfirmedScore]:
    confirmed = summary.confirmed
    if confirmed is None or not confirmed.seeds:
        return []
    arm = summary.arm
    diverged = {run.seed for run in confirmation_runs(study, arm) if run.outcome == "diverged"}
    rows = [
        ConfirmedScore(
            arm, "seed", seed, score, None, None, 1, "diverged" if seed in diverged else ""
        )
        for seed, score in zip(confirmed.seeds, confirmed.test_scores, strict=False)
    ]
    low, high = confirmed.test_ci
    mean = ConfirmedScore(
        arm, "mean", None, confirmed.test_mean, low, high, len(confirmed.seeds), ""
    )
    return [*rows, mean]


def draw_confirmed_scores(rows: Sequence[ConfirmedScore], comparison: Comparison) -> "go.Figure":
    """Dots joined by seed, with mean and interval beside them."""
    study = comparison.study
    dots = [row for row in rows if row.quantity == "seed"]
    means = [row for row in rows if row.quantity == "mean"]
    errors = [row for row in rows if row.quantity == "test standard error"]
    names = [row.arm for row in means]
    limits = _score_limits(rows, study.objective.sign)
    if limits:
        inside = 0.04 * (limits[1] - limits[0])
        edge = limits[0] + inside if study.objective.sign > 0 else limits[1] - inside
        dots = [row._replace(estimate=edge) if row.note else row for row in dots]
    traces = [
        _seed_line([row for row in dots if row.seed == seed], names)
        for seed in dict.fromkeys(row.seed for row in dots)
    ]
    for place, mean in enumerate(means):
        own = [row for row in dots if row.arm == mean.arm]
        traces += [_seed_dots(own, place, study), _mean_bar(mean, place, study)]
    middle = finite_mean(row.estimate for row in dots if not row.note)
    traces += [_standard_error_bar(error, len(means), middle) for error in errors]
    ticks = names + ["± test SE" for _ in errors]
    return draw(
        traces,
        height=420,
        showlegend=False,
        xaxis=axis(**categories(ticks), range=[-0.4, len(ticks) - 0.4]),
        yaxis=axis("Test " + metric_title(study.objective), range=limits),
    )


def _score_limits(rows: Sequence[ConfirmedScore], sign: int) -> list[float] | None:
    """Limits that leave diverged runs out, so that the others can be told apart.

    None, which lets plotly choose, where nothing diverged or everything did.
    """
    trained = [row.estimate for row in rows if row.quantity == "seed" and not row.note]
    bounds = [
        bound
        for row in rows
        if row.quantity == "mean"
        for bound in (row.ci_low, row.ci_high)
        if bound is not None
    ]
    if not trained or not any(row.note for row in rows):
        return None
    shown = [value for value in (*trained, *bounds) if math.isfinite(value)]
    margin = 0.08 * (max(shown) - min(shown)) or 0.01
    worse, better = (2 * margin, margin) if sign > 0 else (margin, 2 * margin)
    return [min(shown) - worse, max(shown) + better]


def _seed_line(rows: Sequence[ConfirmedScore], names: Sequence[str]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [names.index(row.arm) for row in rows],
        "y": [row.estimate for row in rows],
        "line": {"color": FAINT_INK + FAINT, "width": 1},
        "hoverinfo": "skip",
    }


def _seed_dots(rows: Sequence[ConfirmedScore], place: int, study: StudyRecord) -> Trace:
    symbol = arm_symbol(study, rows[0].arm)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [place] * len(rows),
        "y": [row.estimate for row in rows],
        "marker": {
            "color": arm_color(study, rows[0].arm),
            "symbol": ["x" if row.note else symbol for row in rows],
            "size": 9,
            "opacity": 0.8,
        },
        "hoverinfo": "text",
        "hovertext": [
            f"{label(row.arm)}, seed {row.seed}: {row.estimate:.6g} {row.note}" for row in rows
        ],
    }


def _mean_bar(row: ConfirmedScore, place: int, study: StudyRecord) -> Trace:
    color = arm_color(study, row.arm)
    bar = error_bar(row.estimate, row.ci_low, row.ci_high)
    interval = f", 95 % CI [{row.ci_low:.6g}, {row.ci_high:.6g}]"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [place + BESIDE],
        "y": [row.estimate],
        "error_y": bar | {"color": color, "thickness": 2.5, "width": 6},
        "marker": {"color": color, "symbol": "circle", "size": 6},
        "hoverinfo": "text",
        "hovertext": [f"{label(row.arm)}: mean {row.estimate:.6g}{interval}, {row.n} seeds"],
    }


def _standard_error_bar(row: ConfirmedScore, place: int, middle: float | None) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [place],
        "y": [middle],
        "error_y": {
            "type": "data", "array": [row.estimate], "color": FAINT_INK, "thickness": 2, "width": 6,
        },
        "marker": {"color": FAINT_INK, "size": 1},
        "hoverinfo": "text",
        "hovertext": [f"one standard error of the test set: ± {row.estimate:.2g}"],
    }  # fmt: skip


def caption_confirmed_scores(comparison: Comparison) -> str:
    """What the dots, lines and bars of F1 are."""
    caption = (
        f"One dot per confirmation seed ({seeds_text(comparison)}); a faint line joins runs that"
        " share a seed. The bar beside the dots is the mean with its 95 % interval over seeds."
    )
    if any(summary.confirmed and summary.confirmed.num_diverged for summary in comparison.arms):
        caption += (
            " A cross at the edge is a run that diverged; the mean of its arm has no interval and"
            " may lie outside the axis."
        )
    if comparison.test_standard_error is not None:
        caption += (
            " Seeds say nothing about the choice of test samples: the grey bar is ± one standard"
            " error of the test set."
        )
    return caption


CONFIRMED_SCORES = FigureSpec[Comparison](
    id="F1",
    slug="confirmed-scores",
    question="Which tuned arm is better, by how much, how sure?",
    row_type=ConfirmedScore,
    compute=compute_confirmed_scores,
    draw=draw_confirmed_scores,
    caption=caption_confirmed_scores,
    needs="no configuration has been confirmed on fresh seeds yet",
)
