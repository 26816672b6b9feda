"""F1 shows the test scores of the confirmed configurations, seed by seed."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from bakeoff.analysis.confirmation import confirmation_runs
from bakeoff.analysis.wording import plural
from bakeoff.records import ArmSummary, Comparison, StudyRecord
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec, seeds_text

MEAN_SHIFT = 0.22
"""Distance of an arm's mean from its dots, as a share of the distance between arms."""


class ConfirmedScore(NamedTuple):
    """One confirmation run, an arm's mean with its interval, or the test set's standard error."""

    arm: str
    quantity: Literal["seed", "mean", "test standard error"]
    seed: int | None
    estimate: float
    ci_low: float | None
    ci_high: float | None
    n: int | None
    note: str


def compute_confirmed_scores(comparison: Comparison) -> tuple[ConfirmedScore, ...]:
    """Return the test score of each confirmation run of an arm, then the arm's mean."""
    rows = [row for summary in comparison.arms for row in _arm_rows(comparison.study, summary)]
    error = comparison.test_standard_error
    if rows and error is not None and not _covers_samples(comparison):
        samples = comparison.study.num_test
        rows.append(ConfirmedScore("", "test standard error", None, error, None, None, samples, ""))
    return tuple(rows)


def _covers_samples(comparison: Comparison) -> bool:
    """Whether the arms' intervals are over test samples too."""
    confirmed = [arm.confirmed for arm in comparison.arms if arm.confirmed]
    return bool(confirmed) and all(math.isfinite(one.example_error) for one in confirmed)


def _arm_rows(study: StudyRecord, summary: ArmSummary) -> list[ConfirmedScore]:
    arm, confirmed = summary.arm, summary.confirmed
    if confirmed is None or not confirmed.seeds:
        return []
    diverged = {run.seed for run in confirmation_runs(study, arm) if run.outcome == "diverged"}
    notes = ["diverged" if seed in diverged else "" for seed in confirmed.seeds]
    runs = [
        ConfirmedScore(arm, "seed", seed, score, None, None, 1, note)
        for seed, score, note in zip(confirmed.seeds, confirmed.test_scores, notes, strict=False)
    ]
    mean, num_seeds = confirmed.test_mean, len(confirmed.seeds)
    return [*runs, ConfirmedScore(arm, "mean", None, mean, *confirmed.test_ci, num_seeds, "")]


def draw_confirmed_scores(rows: Sequence[ConfirmedScore], comparison: Comparison) -> style.Figure:
    """Draw dots, joined where runs share a seed, with mean and interval next to them."""
    study = comparison.study
    by_quantity = style.grouped(rows, "quantity")
    means, errors = by_quantity["mean"], by_quantity.get("test standard error", [])
    dots, limits = _moved_to_edge(by_quantity["seed"], means, study.objective.sign)
    names = [row.arm for row in means]
    traces = [_seed_line(own, names) for own in style.grouped(dots, "seed").values()]
    by_arm = style.grouped(dots, "arm")
    for place, mean in enumerate(means):
        traces += [_seed_dots(by_arm[mean.arm], place, study), _mean_bar(mean, place, study)]
    trained = [row.estimate for row in dots if not row.note and math.isfinite(row.estimate)]
    middle = fmean(trained) if trained else None
    return style.draw(
        traces,
        height=420,
        showlegend=False,
        xaxis=style.axis(**style.categories(names), range=[-0.4, len(names) - 0.4]),
        yaxis=style.axis("Test " + style.metric_title(study.objective), range=limits),
        shapes=[] if middle is None else [_standard_error_band(one, middle) for one in errors],
    )


def _moved_to_edge(
    dots: Sequence[ConfirmedScore], means: Sequence[ConfirmedScore], sign: int
) -> tuple[Sequence[ConfirmedScore], list[float] | None]:
    """Move diverged dots to the edge of an axis that leaves their scores out, with its limits.

    Where no run or every run diverged, no dot is moved, and limits of None let plotly choose.
    """
    trained = [row.estimate for row in dots if not row.note]
    if not trained or len(trained) == len(dots):
        return dots, None
    bounds = [bound for row in means for bound in (row.ci_low, row.ci_high)]
    shown = [one for one in (*trained, *bounds) if one is not None and math.isfinite(one)]
    margin = style.MARGIN_SHARE * (max(shown) - min(shown)) or 0.01
    worse, better = (2 * margin, margin) if sign > 0 else (margin, 2 * margin)
    low, high = min(shown) - worse, max(shown) + better
    edge = low + 0.04 * (high - low) if sign > 0 else high - 0.04 * (high - low)
    return [row._replace(estimate=edge) if row.note else row for row in dots], [low, high]


def _seed_line(rows: Sequence[ConfirmedScore], names: Sequence[str]) -> style.Trace:
    places = [names.index(row.arm) for row in rows]
    look = {"color": style.FAINT_INK + style.FAINT, "width": 1}
    return style.scatter(rows, "lines", x=places, y="estimate", line=look)


def _seed_dots(rows: Sequence[ConfirmedScore], place: int, study: StudyRecord) -> style.Trace:
    arm = rows[0].arm
    symbols = ["x" if row.note else style.arm_symbol(study, arm) for row in rows]
    return style.scatter(
        rows, "markers", x=[place] * len(rows), y="estimate", color=style.arm_color(study, arm),
        marker={"symbol": symbols, "size": 9, "opacity": 0.8},
        hover=lambda row: f"{style.label(arm)}, seed {row.seed}: {row.estimate:.6g} {row.note}",
    )  # fmt: skip


def _mean_bar(row: ConfirmedScore, place: int, study: StudyRecord) -> style.Trace:
    color = style.arm_color(study, row.arm)
    interval = f"{CONFIDENCE_TEXT} CI [{row.ci_low:.6g}, {row.ci_high:.6g}]"
    text = (
        f"{style.label(row.arm)}: mean {row.estimate:.6g}, {interval}, {plural(row.n or 0, 'seed')}"
    )
    return style.scatter(
        [row], "markers", x=[place + MEAN_SHIFT], y="estimate", hover=lambda _: text, color=color,
        error_y=style.error_bar(row, color=color, thickness=2.5, width=6),
        marker={"symbol": "circle", "size": 6},
    )  # fmt: skip


def _standard_error_band(row: ConfirmedScore, middle: float) -> style.Trace:
    """A band below everything: it belongs to no arm."""
    return {
        "type": "rect", "layer": "below", "xref": "paper", "x0": 0, "x1": 1, "yref": "y",
        "y0": middle - row.estimate, "y1": middle + row.estimate, "fillcolor": style.BAND,
        "line": {"width": 0},
    }  # fmt: skip


def _caption(comparison: Comparison) -> str:
    caption = (
        f"Each dot is a confirmation seed ({seeds_text(comparison)}); a faint line joins runs that"
        " share a seed. The bar next to the dots is the mean with its"
        f" {CONFIDENCE_TEXT} interval over seeds"
        f"{' and test samples' if _covers_samples(comparison) else ''}."
    )
    if any(summary.confirmed and summary.confirmed.num_diverged for summary in comparison.arms):
        caption += (
            " A cross at the edge is a run that diverged; the mean of its arm has no interval and"
            " may lie outside the axis."
        )
    if comparison.test_standard_error is not None and not _covers_samples(comparison):
        caption += (
            " Seeds say nothing about the choice of test samples: the grey band around the mean of"
            " all runs is ± one standard error of the test set"
            f" ({comparison.test_standard_error:.2g})."
        )
    return caption


FIGURE = FigureSpec[Comparison](
    id="F1",
    slug="confirmed-scores",
    question="Which tuned arm is better, by how much, how sure?",
    row_type=ConfirmedScore,
    compute=compute_confirmed_scores,
    draw=draw_confirmed_scores,
    caption=_caption,
    needs="no configuration has been confirmed on fresh seeds yet",
    on_dashboard=True,
)
