"""F9: score against each parameter that was searched, the most important ones of each arm."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.ranges import Choice, Range, is_searched
from bakeoff.records import ArmRecord, Comparison, Importance, Outcome, StudyRecord, TrialRecord
from bakeoff.report.figures.spec import (
    FigureSpec,
    counts_text,
    score_limits,
    search_trials,
    thinned,
)
from bakeoff.report.figures.style import (
    Trace,
    arm_color,
    axis,
    axis_name,
    draw,
    label,
    metric_name,
    panel_domain,
    printable,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_PANELS = 4
"""Parameters drawn of each arm."""
MAX_DOTS = 250
"""Trials drawn of each arm, evenly over the search."""
PANEL_HEIGHT = 170
COLUMN_GAP = 0.05
TICK_SIZE = 9.5
MAX_LEVEL_LABELS = 4
"""Choices whose names fit side by side below a panel; of more, they are turned."""

SYMBOLS: Mapping[Outcome, str] = {
    "complete": "circle", "pruned": "circle-open", "diverged": "x", "infeasible": "hash-open"
}  # fmt: skip


class ParameterDot(NamedTuple):
    """Score of one search trial and its value of one parameter, with the parameter's importance."""

    arm: str
    parameter: str
    trial: int
    value: float | str
    estimate: float | None
    outcome: Outcome
    share: float | None
    """Share of the parameter in what moves the score; None with fewer than 30 scored trials."""
    share_low: float | None
    share_high: float | None


def compute_parameters(comparison: Comparison) -> tuple[ParameterDot, ...]:
    """Rows of at most four parameters an arm, the most important ones first, else in their order.

    At most 250 trials an arm are drawn, evenly over the search.
    """
    study = comparison.study
    return tuple(
        _dot(trial, name, known)
        for arm in study.arms
        for name, known in _chosen_parameters(arm, comparison.importances)
        for trial in thinned(search_trials(study, arm.name), MAX_DOTS)
        if name in trial.params
    )


def _chosen_parameters(
    arm: ArmRecord, importances: Sequence[Importance]
) -> list[tuple[str, Importance | None]]:
    known = {found.parameter: found for found in importances if found.arm == arm.name}
    names = [name for name, searched in arm.space.items() if is_searched(searched)]
    ranked = sorted(names, key=lambda name: -known[name].whole[0] if name in known else 0.0)
    return [(name, known.get(name)) for name in ranked[:MAX_PANELS]]


def _dot(trial: TrialRecord, name: str, known: Importance | None) -> ParameterDot:
    value = trial.params[name]
    shares = known.whole if known else (None, None, None)
    shown = value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    return ParameterDot(trial.arm, name, trial.number, shown, trial.score, trial.outcome, *shares)


def draw_parameters(rows: Sequence[ParameterDot], comparison: Comparison) -> "go.Figure":
    """A row of panels for each arm; all panels have one score axis."""
    study = comparison.study
    arms = list(dict.fromkeys(row.arm for row in rows))
    edge, limits = score_limits(
        [row.estimate for row in rows if row.estimate is not None and row.outcome != "diverged"],
        study.objective,
    )
    traces: list[Trace] = []
    axes: dict[str, Any] = {}
    titles: list[Trace] = []
    for line, arm in enumerate(arms):
        names = list(dict.fromkeys(row.parameter for row in rows if row.arm == arm))
        top, bottom = reversed(panel_domain(line, len(arms)))
        for column, name in enumerate(names):
            own = [row for row in rows if (row.arm, row.parameter) == (arm, name)]
            place = len(traces)
            x_domain = _column(column)
            axes[axis_name("xaxis", place)] = _x_axis(own, study, x_domain, axis_name("y", place))
            axes[axis_name("yaxis", place)] = axis(
                metric_name(study.objective) if column == 0 else "",
                domain=[bottom, top], range=limits, nticks=6, anchor=axis_name("x", place),
                showticklabels=column == 0,
            )  # fmt: skip
            traces.append(_dots(own, place, edge, study))
            titles.append(_title(own[0], arm_color(study, arm), x_domain[0], top, column))
    return draw(
        traces,
        height=70 + (PANEL_HEIGHT + 50) * len(arms),
        showlegend=False,
        annotations=titles,
        **axes,
    )


def _column(column: int) -> list[float]:
    width = (1 + COLUMN_GAP) / MAX_PANELS
    return [column * width, (column + 1) * width - COLUMN_GAP]


def _x_axis(
    rows: Sequence[ParameterDot], study: StudyRecord, domain: list[float], anchor: str
) -> Trace:
    settings: dict[str, Any] = {
        "domain": domain,
        "anchor": anchor,
        "nticks": 5,
        "tickfont": {"size": TICK_SIZE},
    }
    searched = _searched_range(study, rows[0])
    if isinstance(searched, Choice) or any(isinstance(row.value, str) for row in rows):
        choices = map(str, searched.choices) if isinstance(searched, Choice) else ()
        names = [printable(one) for one in choices]
        order = {"categoryorder": "array", "categoryarray": names}
        fits = {"tickangle": 0} if len(names) <= MAX_LEVEL_LABELS else {}
        return axis(**settings | {"type": "category", **order, **fits})
    if searched is not None and searched.log:
        return axis(**settings | {"type": "log", "exponentformat": "power", "tickangle": 0})
    return axis(**settings, tickangle=0)


def _searched_range(study: StudyRecord, row: ParameterDot) -> Range | None:
    space = next((arm.space for arm in study.arms if arm.name == row.arm), {})
    found = space.get(row.parameter)
    return found if is_searched(found) else None


def _dots(rows: Sequence[ParameterDot], place: int, edge: float, study: StudyRecord) -> Trace:
    color = arm_color(study, rows[0].arm)
    return {
        "type": "scatter",
        "mode": "markers",
        "xaxis": axis_name("x", place),
        "yaxis": axis_name("y", place),
        "x": [printable(row.value) if isinstance(row.value, str) else row.value for row in rows],
        "y": [_height(row, edge, study.objective.sign) for row in rows],
        "marker": {
            "color": color,
            "size": 6,
            "symbol": [SYMBOLS.get(row.outcome, "circle") for row in rows],
            "line": {"width": 1, "color": color},
        },
        "hoverinfo": "text",
        "hovertext": [_hover(row) for row in rows],
    }


def _height(row: ParameterDot, edge: float, sign: int) -> float:
    """The score; the edge of the axis where there is none, or one beyond it."""
    if row.outcome == "diverged" or row.estimate is None or not math.isfinite(row.estimate):
        return edge
    return sign * max(sign * row.estimate, sign * edge)


def _hover(row: ParameterDot) -> str:
    score = "no score" if row.estimate is None else f"{row.estimate:.6g}"
    value = label(row.value) if isinstance(row.value, str) else f"{row.value:.4g}"
    return f"trial {row.trial}, {label(row.parameter)} {value}: {score}, {row.outcome}"


def _title(row: ParameterDot, color: str, left: float, top: float, column: int) -> Trace:
    """The parameter and its share; the first panel of a row also names the arm."""
    name = label(row.parameter.removeprefix(f"{row.arm}."))
    share = "" if row.share is None else f" {row.share:.0%}"
    arm = f"<b>{label(row.arm)}</b>  " if column == 0 else ""
    return {
        "text": f"{arm}{name}{share}", "showarrow": False, "font": {"color": color, "size": 12},
        "xref": "paper", "x": left, "xanchor": "left", "yref": "paper", "y": top,
        "yanchor": "bottom",
    }  # fmt: skip


def caption_parameters(comparison: Comparison) -> str:
    """What the panels and shares of F9 are."""
    study = comparison.study
    drawn = {arm.name: thinned(search_trials(study, arm.name), MAX_DOTS) for arm in study.arms}
    counts = counts_text([(label(arm), len(trials)) for arm, trials in drawn.items()])
    shares = (
        "Percentages: share of the parameter in what moves the score over the whole space (random"
        " forests, median of five; ranges and the share in reaching the best tenth stand in T9)."
        if comparison.importances
        else "No importances: they take 30 trials of an arm with a known score."
    )
    return (
        f"Validation score of search trials (n = {counts}) against at most {MAX_PANELS} parameters"
        f" an arm. {shares} All this is relative to the ranges searched. Filled dot: complete;"
        " hollow: pruned, with its best epoch so far; cross: diverged."
    )


PARAMETERS = FigureSpec[Comparison](
    id="F9",
    slug="parameters",
    question="What mattered inside each arm; where are the good values?",
    row_type=ParameterDot,
    compute=compute_parameters,
    draw=draw_parameters,
    caption=caption_parameters,
    needs="no trial of an arm with searched parameters has ended",
)
