"""F9 shows the score against the most important searched parameters of each arm."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bakeoff.analysis.arm_trials import charged_trials
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range, is_searched
from bakeoff.records import ArmRecord, Comparison, Importance, Outcome, StudyRecord, TrialRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec, counts_text

MAX_PANELS = 4
"""Parameters drawn of each arm."""
MAX_DOTS = 250
"""Trials drawn of each arm, evenly spread over the search."""
PANEL_HEIGHT = 170
COLUMN_GAP = 0.05
COLUMN_PITCH = (1 + COLUMN_GAP) / MAX_PANELS
TICKS: dict[str, Any] = {"nticks": 5, "tickfont": {"size": 9.5}}
NEAR_ONE = tuple(1 - 10.0**-place for place in range(10))
"""Labelled values of an axis that is logarithmic in 1 - value: 0, 0.9, 0.99, ..."""
MAX_LEVEL_CHARACTERS = 18
"""Characters of all names of levels that fit next to each other under a panel of 120 pixels."""
LABEL_ANGLE = -30
MAX_LEVEL_LABELS = 4
"""Choices whose names fit side by side below a panel; with more, the names are turned."""


class ParameterDot(NamedTuple):
    """Score of one search trial and its value of one parameter, with the parameter's importance."""

    arm: str
    parameter: str
    trial: int
    value: float | str
    estimate: float | None
    outcome: Outcome
    share: float | None
    """The parameter's share of the variation in score; None with fewer than 30 scored trials."""
    share_low: float | None
    share_high: float | None


def compute_parameters(comparison: Comparison) -> tuple[ParameterDot, ...]:
    """Return rows of at most four parameters per arm, the most important ones first.

    Parameters whose importance is unknown keep the order of the search space. Each arm has rows of
    at most 250 trials, evenly spread over the search.
    """
    study = comparison.study
    return tuple(
        _dot(trial, name, known)
        for arm in study.arms
        for name, known in _chosen_parameters(arm, comparison.importances)
        for trial in style.thinned(charged_trials(study, arm.name), MAX_DOTS)
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


def draw_parameters(rows: Sequence[ParameterDot], comparison: Comparison) -> style.Figure:
    """Draw a row of panels for each arm; all panels have the same score axis."""
    study = comparison.study
    scored = [row.estimate for row in rows if row.outcome != "diverged"]
    edge, limits = style.score_limits([one for one in scored if one is not None], study.objective)
    by_arm, metric = style.grouped(rows, "arm"), style.metric_label(study.objective)
    traces: list[style.Trace] = []
    axes: dict[str, Any] = {}
    titles: list[style.Trace] = []
    for line, of_arm in enumerate(by_arm.values()):
        bottom, top = style.panel_domain(line, len(by_arm))
        for column, own in enumerate(style.grouped(of_arm, "parameter").values()):
            place = len(traces)
            x_axis, y_axis = style.axis_name("x", place), style.axis_name("y", place)
            left, right = column * COLUMN_PITCH, (column + 1) * COLUMN_PITCH - COLUMN_GAP
            axes[style.axis_name("xaxis", place)] = style.axis(
                domain=[left, right], anchor=y_axis, **(TICKS | _x_scale(own, study))
            )
            axes[style.axis_name("yaxis", place)] = style.axis(
                metric if column == 0 else "", showticklabels=column == 0, anchor=x_axis,
                domain=[bottom, top], range=limits, nticks=6,
            )  # fmt: skip
            traces.append(_dots(own, edge, study) | {"xaxis": x_axis, "yaxis": y_axis})
            color = style.arm_color(study, own[0].arm)
            text = _title(own[0], names_arm=column == 0)
            titles.append(style.panel_title(text, color, x=left, y=top, size=12))
    return style.draw(
        traces,
        height=70 + (PANEL_HEIGHT + 50) * len(by_arm),
        showlegend=False,
        annotations=titles,
        **axes,
    )


def _x_scale(rows: Sequence[ParameterDot], study: StudyRecord) -> dict[str, Any]:
    """Return the settings of an axis for the values of one parameter."""
    searched = _range_of(rows[0], study)
    if isinstance(searched, Choice) or any(isinstance(row.value, str) for row in rows):
        choices = map(str, searched.choices) if isinstance(searched, Choice) else ()
        names = [style.printable(one) for one in choices]
        order = {"type": "category", "categoryorder": "array", "categoryarray": names}
        return order | _label_angle(names)
    if isinstance(searched, FloatRange) and searched.log_from_one:
        ends = (searched.low, searched.high)
        shown = sorted({*ends, *(one for one in NEAR_ONE if ends[0] < one < ends[1])})
        return {
            "tickmode": "array", "tickangle": 0,
            "tickvals": [searched.scaled(one) for one in shown],
            "ticktext": [f"{one:.10g}" for one in shown],
        }  # fmt: skip
    if isinstance(searched, FloatRange | IntRange) and searched.log:
        return {"type": "log", "exponentformat": "power", "tickangle": 0, "nticks": 4}
    return {"tickangle": 0}


def _label_angle(names: Sequence[str]) -> dict[str, Any]:
    """Return an angle at which the names of levels do not overlap, also in a narrow panel."""
    if len(names) > MAX_LEVEL_LABELS:
        return {}  # plotly leaves out some, and turns the others
    return {"tickangle": 0 if sum(map(len, names)) <= MAX_LEVEL_CHARACTERS else LABEL_ANGLE}


def _range_of(row: ParameterDot, study: StudyRecord) -> Range | ParamValue | None:
    space = next((arm.space for arm in study.arms if arm.name == row.arm), {})
    return space.get(row.parameter)


def _on_scale(value: float | str, searched: Range | ParamValue | None) -> float | str:
    """Where a value lies on an axis; Plotly has no axis that is logarithmic in 1 - value."""
    if isinstance(searched, FloatRange) and searched.log_from_one and not isinstance(value, str):
        return searched.scaled(value) if value < 1 else searched.scaled(searched.high)
    return value


def _dots(rows: Sequence[ParameterDot], edge: float, study: StudyRecord) -> style.Trace:
    color = style.arm_color(study, rows[0].arm)
    values = [_on_scale(row.value, _range_of(rows[0], study)) for row in rows]
    scores = (None if row.outcome == "diverged" else row.estimate for row in rows)
    return style.scatter(
        rows, "markers", color=color, hover=_hover,
        x=[style.printable(one) if isinstance(one, str) else one for one in values],
        y=[style.on_axis(one, edge, study.objective.sign) for one in scores],
        marker={
            "size": 6,
            "symbol": [style.OUTCOME_SYMBOLS.get(row.outcome, "circle") for row in rows],
            "line": {"width": 1, "color": color},
        },
    )  # fmt: skip


def _hover(row: ParameterDot) -> str:
    score = "no score" if row.estimate is None else f"{row.estimate:.6g}"
    value = style.label(row.value) if isinstance(row.value, str) else f"{row.value:.4g}"
    return f"trial {row.trial}, {style.label(row.parameter)} {value}: {score}, {row.outcome}"


def _title(row: ParameterDot, *, names_arm: bool) -> str:
    """Name the parameter and its share; the first panel of a row also names the arm."""
    arm = f"<b>{style.label(row.arm)}</b>  " if names_arm else ""
    share = "" if row.share is None else f" {row.share:.0%}"
    return f"{arm}{style.label(row.parameter.removeprefix(f'{row.arm}.'))}{share}"


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    trials = {arm.name: charged_trials(study, arm.name) for arm in study.arms}
    counts = counts_text([(style.label(k), min(len(v), MAX_DOTS)) for k, v in trials.items()])
    shares = (
        "A percentage is the parameter's share of the variation in score over the whole space"
        " (random forests, median of five). Table T9 has the intervals, and the share in reaching"
        " the best tenth."
        if comparison.importances
        else "No importances are shown: an arm needs 30 trials with a known score."
    )
    return (
        f"Validation score of search trials (n = {counts}) against at most {MAX_PANELS} parameters"
        f" per arm. {shares} All of this depends on the ranges that were searched. Filled dot:"
        " complete; hollow dot: pruned, with its best epoch so far; cross: diverged."
    )


FIGURE = FigureSpec[Comparison](
    id="F9",
    slug="parameters",
    question="What mattered inside each arm; where are the good values?",
    row_type=ParameterDot,
    compute=compute_parameters,
    draw=draw_parameters,
    caption=_caption,
    needs="no trial of an arm with searched parameters has ended",
)
