"""F6: score against learning rate, all trials, one panel per arm."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bakeoff.analysis.draws import random_draws
from bakeoff.analysis.learning_rate import (
    BIN_DECADES,
    best_by_half_decade,
    half_decade,
    learning_rate_of,
    learning_rate_parameter,
)
from bakeoff.analysis.wording import trials_per_arm
from bakeoff.ranges import FloatRange, IntRange
from bakeoff.records import Comparison, MetricInfo, Outcome, Phase, StudyRecord, TrialRecord
from bakeoff.report.figures.spec import FigureSpec, score_limits, thinned, thinned_text
from bakeoff.report.figures.style import (
    FAINT,
    Panel,
    Trace,
    arm_color,
    axis_name,
    draw,
    label,
    line_shape,
    metric_name,
    panel_domain,
    stacked_panels,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANEL_HEIGHT = 150

SCORED_SYMBOLS: dict[str, str] = {"complete": "circle", "pruned": "circle-open"}
EDGE_SYMBOLS: dict[str, str] = {"diverged": "x", "infeasible": "hash-open"}


class LearningRateTrial(NamedTuple):
    """Score of one search trial, its learning rate, the range that was searched, and its part."""

    arm: str
    trial: int
    learning_rate: float
    estimate: float | None
    outcome: Outcome
    phase: Phase
    range_low: float | None
    range_high: float | None
    half_decade_best: float | None = None
    """Expected best of three random trials within half a decade of learning rate; None with
    fewer, or with pruned ones, whose final scores are unknown."""


def compute_learning_rates(comparison: Comparison) -> tuple[LearningRateTrial, ...]:
    """Ended trials of the search, library defaults included, whose learning rate is above 0."""
    study = comparison.study
    bests = {arm.name: _half_decades(study, arm.name) for arm in study.arms}
    ended = (trial for trial in study.trials if trial.outcome not in {"running", "failed"})
    rows = (_learning_rate_row(trial, study, bests.get(trial.arm, {})) for trial in ended)
    return tuple(row for row in rows if row is not None)


def _half_decades(study: StudyRecord, arm: str) -> Mapping[int, float]:
    """Expected best of three random trials by half decade, in units of the objective."""
    draws = random_draws(study, arm)
    rates = [learning_rate_of(trial) for trial in draws.trials]
    if not rates or None in rates or not draws.is_known.all():
        return {}
    found = best_by_half_decade(np.array(rates, dtype=float), draws.scores)
    return {place: study.objective.sign * best for place, best in found.items()}


def _learning_rate_row(
    trial: TrialRecord, study: StudyRecord, bests: Mapping[int, float]
) -> LearningRateTrial | None:
    name, rate = learning_rate_parameter(trial), learning_rate_of(trial)
    if name is None or rate is None:
        return None
    space = next((arm.space for arm in study.arms if arm.name == trial.arm), {})
    low, high = _bounds_of(space.get(name))
    return LearningRateTrial(
        trial.arm, trial.number, rate, trial.score, trial.outcome, trial.phase, low, high,
        bests.get(half_decade(rate)),
    )  # fmt: skip


def _bounds_of(searched: object) -> tuple[float, float] | tuple[None, None]:
    if isinstance(searched, (FloatRange, IntRange)):
        return searched.low, searched.high
    return None, None


def draw_learning_rates(rows: Sequence[LearningRateTrial], comparison: Comparison) -> "go.Figure":
    """Panels below each other that share the learning-rate axis; bounds are dotted lines."""
    study = comparison.study
    arms = list(dict.fromkeys(row.arm for row in rows))
    edge, limits = score_limits(_scored(rows), study.objective)
    of_arms = [thinned([row for row in rows if row.arm == arm]) for arm in arms]
    score = {"title": metric_name(study.objective), "range": limits, "nticks": 5}
    panels = [Panel(label(arm), arm_color(study, arm), score) for arm in arms]
    return draw(
        [
            *(_trial_dots(own, axis_name("y", at), edge, study) for at, own in enumerate(of_arms)),
            *(_envelope(own, axis_name("y", at), study) for at, own in enumerate(of_arms)),
        ],
        height=90 + PANEL_HEIGHT * len(arms),
        showlegend=False,
        shapes=[
            line_shape(x0=bound, x1=bound, y0=bottom, y1=top, yref="paper")
            for place, own in enumerate(of_arms)
            for bottom, top in [panel_domain(place, len(arms))]
            for bound in _drawn_bounds(own)
        ],
        **stacked_panels(
            panels, "Learning rate (log scale)", type="log", dtick=1, exponentformat="power"
        ),
    )


def _envelope(rows: Sequence[LearningRateTrial], y_axis: str, study: StudyRecord) -> Trace:
    """A level line over each half decade whose expected best is known."""
    known = {
        half_decade(row.learning_rate): row.half_decade_best
        for row in sorted(rows, key=lambda row: row.learning_rate)
        if row.half_decade_best is not None
    }
    ends = [(10 ** (at * BIN_DECADES), 10 ** ((at + 1) * BIN_DECADES)) for at in known]
    return {
        "type": "scatter",
        "mode": "lines",
        "yaxis": y_axis,
        "x": [x for low, high in ends for x in (low, high, None)],
        "y": [y for best in known.values() for y in (best, best, None)],
        "line": {"color": arm_color(study, rows[0].arm) + FAINT, "width": 5},
        "hoverinfo": "skip",
    }


def _drawn_bounds(rows: Sequence[LearningRateTrial]) -> list[float]:
    """Bounds of the searched ranges that have a place on a log axis."""
    bounds = {bound for row in rows for bound in (row.range_low, row.range_high)}
    return sorted(bound for bound in bounds if bound is not None and bound > 0)


def _scored(rows: Sequence[LearningRateTrial]) -> list[float]:
    return [
        row.estimate for row in rows if row.outcome in SCORED_SYMBOLS and row.estimate is not None
    ]


def _trial_dots(
    rows: Sequence[LearningRateTrial], y_axis: str, edge: float, study: StudyRecord
) -> Trace:
    sign = study.objective.sign
    drawn = [_place(row, edge, sign) for row in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "yaxis": y_axis,
        "x": [row.learning_rate for row in rows],
        "y": [y for y, _ in drawn],
        "marker": {
            "color": arm_color(study, rows[0].arm),
            "symbol": [symbol for _, symbol in drawn],
            "size": [13 if symbol == "star" else 8 for _, symbol in drawn],
            "line": {"width": 1.5, "color": arm_color(study, rows[0].arm)},
        },
        "hoverinfo": "text",
        "hovertext": [_hover(row, study.objective) for row in rows],
    }


def _place(row: LearningRateTrial, edge: float, sign: int) -> tuple[float, str]:
    """Height and symbol of a trial; what has no score, or a much worse one, is at the edge."""
    if row.outcome in EDGE_SYMBOLS or row.estimate is None or not math.isfinite(row.estimate):
        return edge, EDGE_SYMBOLS.get(row.outcome, "x")
    if sign * row.estimate < sign * edge:
        return edge, "triangle-down-open" if sign > 0 else "triangle-up-open"
    return row.estimate, "star" if row.phase == "default" else SCORED_SYMBOLS[row.outcome]


def _hover(row: LearningRateTrial, metric: MetricInfo) -> str:
    score = "no score" if row.estimate is None else f"{label(metric.name)} {row.estimate:.6g}"
    default = ", library default" if row.phase == "default" else ""
    return f"trial {row.trial}, rate {row.learning_rate:.3g}: {score}, {row.outcome}{default}"


def caption_learning_rates(comparison: Comparison) -> str:
    """What the symbols and lines of F6 are."""
    study = comparison.study
    worse = "bottom" if study.objective.sign > 0 else "top"
    metric, n = study.objective.name, trials_per_arm(study)
    return (
        f"Validation {metric} of all search trials (n = {n} per arm)."
        " Filled dot: complete; hollow: pruned, with its best epoch so far; star: library default;"
        f" cross at the {worse}: diverged; hash: out of memory; triangle: worse than the axis"
        " shows. Broad lines: the expected best of three random trials in that half decade, where"
        " it has as many and none was pruned. Dotted lines are the bounds of the searched range: a"
        " good region that touches one asks for a wider range. Learning rates of different"
        " optimizers are different quantities."
        f"{thinned_text(Counter(trial.arm for trial in study.trials).values())}"
    )


LEARNING_RATES = FigureSpec[Comparison](
    id="F6",
    slug="learning-rates",
    question="How sensitive is each arm to its learning rate; was the range wide enough?",
    row_type=LearningRateTrial,
    compute=compute_learning_rates,
    draw=draw_learning_rates,
    caption=caption_learning_rates,
    needs="no trial has ended that has a learning rate by name",
)
