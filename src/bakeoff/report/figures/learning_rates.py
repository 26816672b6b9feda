"""F6 shows the score of all trials against their learning rate, in one panel per arm."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
from bakeoff.records import Comparison, MetricInfo, Outcome, Phase, StudyRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec

PANEL_HEIGHT = 150


class LearningRateTrial(NamedTuple):
    """Score of one search trial, its learning rate, and the range that was searched."""

    arm: str
    trial: int
    learning_rate: float
    estimate: float | None
    outcome: Outcome
    phase: Phase
    range_low: float | None
    range_high: float | None
    half_decade_best: float | None = None
    """Expected best of three random trials within half a decade of learning rate.

    None with fewer trials, or with pruned ones, whose final scores are unknown.
    """


def compute_learning_rates(comparison: Comparison) -> tuple[LearningRateTrial, ...]:
    """Return ended trials, library defaults included, whose learning rate is above 0."""
    study = comparison.study
    bests = {arm.name: _half_decades(study, arm.name) for arm in study.arms}
    spaces = {arm.name: arm.space for arm in study.arms}
    rows = []
    for trial in study.trials:
        name, rate = learning_rate_parameter(trial), learning_rate_of(trial)
        if name is None or rate is None or trial.outcome in {"running", "failed"}:
            continue
        searched = spaces.get(trial.arm, {}).get(name)
        bounded = searched if isinstance(searched, FloatRange | IntRange) else None
        low, high = (bounded.low, bounded.high) if bounded else (None, None)
        rows.append(
            LearningRateTrial(
                trial.arm, trial.number, rate, trial.score, trial.outcome, trial.phase,
                low, high, bests.get(trial.arm, {}).get(half_decade(rate)),
            )
        )  # fmt: skip
    return tuple(rows)


def _half_decades(study: StudyRecord, arm: str) -> Mapping[int, float]:
    """Return the expected best of three random trials by half decade, in units of the objective."""
    draws = random_draws(study, arm)
    rates = [learning_rate_of(trial) for trial in draws.trials]
    if not rates or None in rates or not draws.is_known.all():
        return {}
    found = best_by_half_decade(np.array(rates, dtype=float), draws.scores)
    return {place: study.objective.sign * best for place, best in found.items()}


def draw_learning_rates(rows: Sequence[LearningRateTrial], comparison: Comparison) -> style.Figure:
    """Draw panels below each other that share the learning-rate axis; bounds are dotted lines."""
    study = comparison.study
    scored = [row for row in rows if row.outcome in {"complete", "pruned"}]
    edge, limits = style.score_limits(
        [row.estimate for row in scored if row.estimate is not None], study.objective
    )
    of_arms = {arm: style.thinned(own) for arm, own in style.grouped(rows, "arm").items()}
    score = {"title": style.metric_label(study.objective), "range": limits, "nticks": 5}
    panels = [style.Panel(style.label(arm), style.arm_color(study, arm), score) for arm in of_arms]
    dots, envelopes, bounds = [], [], []
    for place, own in enumerate(of_arms.values()):
        y_axis = style.axis_name("y", place)
        dots.append(_trial_dots(own, edge, study) | {"yaxis": y_axis})
        envelopes.append(_envelope(own, study) | {"yaxis": y_axis})
        bottom, top = style.panel_domain(place, len(of_arms))
        searched = {bound for row in own for bound in (row.range_low, row.range_high)}
        bounds += [
            style.line_shape(x0=bound, x1=bound, y0=bottom, y1=top, yref="paper")
            # only positive bounds have a place on a logarithmic axis
            for bound in sorted(bound for bound in searched if bound is not None and bound > 0)
        ]
    return style.draw(
        [*dots, *envelopes],
        height=90 + PANEL_HEIGHT * len(of_arms),
        showlegend=False,
        shapes=bounds,
        **style.stacked_panels(
            panels, "Learning rate (log scale)", type="log", dtick=1, exponentformat="power"
        ),
    )


def _envelope(rows: Sequence[LearningRateTrial], study: StudyRecord) -> style.Trace:
    """Draw a level line over each half decade whose expected best is known."""
    known = {
        half_decade(row.learning_rate): row.half_decade_best
        for row in sorted(rows, key=lambda row: row.learning_rate)
        if row.half_decade_best is not None
    }
    ends = [(10 ** (at * BIN_DECADES), 10 ** ((at + 1) * BIN_DECADES)) for at in known]
    return style.scatter(
        rows, "lines", color=style.arm_color(study, rows[0].arm) + style.FAINT, line={"width": 5},
        x=[x for low, high in ends for x in (low, high, None)],
        y=[y for best in known.values() for y in (best, best, None)],
    )  # fmt: skip


def _trial_dots(rows: Sequence[LearningRateTrial], edge: float, study: StudyRecord) -> style.Trace:
    metric, color = study.objective, style.arm_color(study, rows[0].arm)
    symbols = [_symbol(row, edge, metric.sign) for row in rows]
    at_edge = {"diverged", "infeasible"}
    scores = (None if row.outcome in at_edge else row.estimate for row in rows)
    heights = [style.on_axis(score, edge, metric.sign) for score in scores]
    return style.scatter(
        rows, "markers", x="learning_rate", y=heights, color=color,
        hover=lambda row: _hover(row, metric),
        marker={
            "symbol": symbols,
            "size": [13 if symbol == "star" else 8 for symbol in symbols],
            "line": {"width": 1.5, "color": color},
        },
    )  # fmt: skip


def _symbol(row: LearningRateTrial, edge: float, sign: int) -> str:
    if row.outcome == "infeasible":
        return style.OUTCOME_SYMBOLS["infeasible"]
    if row.outcome == "diverged" or row.estimate is None or not math.isfinite(row.estimate):
        return style.OUTCOME_SYMBOLS["diverged"]
    if sign * row.estimate < sign * edge:
        return "triangle-down-open" if sign > 0 else "triangle-up-open"
    return "star" if row.phase == "default" else style.OUTCOME_SYMBOLS[row.outcome]


def _hover(row: LearningRateTrial, metric: MetricInfo) -> str:
    score = "no score" if row.estimate is None else f"{style.label(metric.name)} {row.estimate:.6g}"
    default = ", library default" if row.phase == "default" else ""
    return f"trial {row.trial}, rate {row.learning_rate:.3g}: {score}, {row.outcome}{default}"


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    worse = "bottom" if study.objective.sign > 0 else "top"
    metric, n = study.objective.name, trials_per_arm(study)
    return (
        f"Validation {metric} of all search trials (n = {n} per arm)."
        " Filled dot: complete; hollow dot: pruned, with its best epoch so far; star: library"
        f" default; cross at the {worse}: diverged; hash: out of memory; triangle: worse than the"
        " axis shows. Broad lines are the expected best of three random trials in that half decade;"
        " they are drawn where it has at least three and none was pruned. Dotted lines are the"
        " bounds of the searched range: a good region that touches a bound calls for a wider range."
        " Learning rates of different optimizers cannot be compared with each other."
        f"{style.thinned_text(Counter(trial.arm for trial in study.trials).values())}"
    )


FIGURE = FigureSpec[Comparison](
    id="F6",
    slug="learning-rates",
    question="How sensitive is each arm to its learning rate; was the range wide enough?",
    row_type=LearningRateTrial,
    compute=compute_learning_rates,
    draw=draw_learning_rates,
    caption=_caption,
    needs="no trial with a named learning rate has ended yet",
    on_dashboard=True,
)
