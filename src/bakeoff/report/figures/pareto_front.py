"""F12: the objective against each further one, with the front of all arms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.analysis.pareto_fronts import arm_fronts, candidates, front_of_all
from bakeoff.pareto import front_of
from bakeoff.records import Comparison, MetricInfo, StudyRecord
from bakeoff.report.figures.spec import FigureSpec
from bakeoff.report.figures.style import (
    FAINT_INK,
    Trace,
    arm_color,
    arm_symbol,
    axis,
    axis_name,
    draw,
    label,
    metric_title,
    panel_domain,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANEL_HEIGHT = 380


class FrontTrial(NamedTuple):
    """One complete trial of the search in the objective and one further one."""

    arm: str
    trial: int
    objective: str
    value: float
    estimate: float | None
    on_front_of_arm: bool
    on_front_of_all: bool


def compute_pareto_front(comparison: Comparison) -> tuple[FrontTrial, ...]:
    """Rows of every trial with a value of every objective; the library defaults are left out."""
    study = comparison.study
    of_arms = {trial.number for front in arm_fronts(study) for trial in front.front}
    of_all = {trial.number for trial in front_of_all(study)}
    return tuple(
        FrontTrial(
            trial.arm,
            trial.number,
            metric.name,
            trial.further_scores[metric.name],
            trial.score,
            trial.number in of_arms,
            trial.number in of_all,
        )
        for metric in study.further_objectives
        for trial in candidates(study)
    )


def draw_pareto_front(rows: Sequence[FrontTrial], comparison: Comparison) -> "go.Figure":
    """A panel for each further objective; filled symbols are on the front of their arm."""
    study = comparison.study
    further = study.further_objectives
    traces: list[Trace] = []
    axes: dict[str, Any] = {}
    for place, metric in enumerate(further):
        own = [row for row in rows if row.objective == metric.name]
        x_axis, y_axis = axis_name("x", place), axis_name("y", place)
        axes[axis_name("xaxis", place)] = axis(metric_title(metric), anchor=y_axis)
        axes[axis_name("yaxis", place)] = axis(
            metric_title(study.objective), anchor=x_axis, domain=_domain(place, len(further))
        )
        panel = [_front_line(own, metric)] if len(further) == 1 else []
        panel += [
            _arm_dots([row for row in own if row.arm == arm], study, is_named=place == 0)
            for arm in dict.fromkeys(row.arm for row in own)
        ]
        traces += [{**trace, "xaxis": x_axis, "yaxis": y_axis} for trace in panel]
    return draw(traces, height=PANEL_HEIGHT * len(further), showlegend=True, **axes)


def _domain(place: int, num_panels: int) -> list[float]:
    """With room below for the axis of a panel that is not the last one."""
    low, high = panel_domain(place, num_panels)
    return [low + (0.08 if place < num_panels - 1 else 0.0), high]


def _front_line(rows: Sequence[FrontTrial], metric: MetricInfo) -> Trace:
    """What is reached at each value of the further objective, or better."""
    ordered = sorted((row.value, row.estimate) for row in rows if row.on_front_of_all)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front of all arms",
        "x": [value for value, _ in ordered],
        "y": [estimate for _, estimate in ordered],
        "line": {
            "color": FAINT_INK,
            "width": 1.5,
            "dash": "dot",
            "shape": "hv" if metric.sign < 0 else "vh",
        },
        "hoverinfo": "skip",
    }


def _arm_dots(rows: Sequence[FrontTrial], study: StudyRecord, *, is_named: bool) -> Trace:
    arm = rows[0].arm
    symbol = arm_symbol(study, arm)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(arm),
        "showlegend": is_named,
        "legendgroup": label(arm),
        "x": [row.value for row in rows],
        "y": [row.estimate for row in rows],
        "marker": {
            "color": arm_color(study, arm),
            "symbol": [symbol if row.on_front_of_arm else f"{symbol}-open" for row in rows],
            "size": [11 if row.on_front_of_all else 8 for row in rows],
            "line": {"width": 1.5, "color": arm_color(study, arm)},
        },
        "hoverinfo": "text",
        "hovertext": [_hover(row, study) for row in rows],
    }


def _hover(row: FrontTrial, study: StudyRecord) -> str:
    where = "on the front of all arms" if row.on_front_of_all else "dominated"
    return (
        f"{label(row.arm)}, trial {row.trial}: {label(study.objective.name)} {row.estimate:.6g},"
        f" {label(row.objective)} {row.value:.6g}, {where}"
    )


def caption_pareto_front(comparison: Comparison) -> str:
    """What the symbols of F12 are, and what the front does not say."""
    study = comparison.study
    best = front_of(study.trials, study.objectives)
    line = ", joined by the dotted line" if len(study.further_objectives) == 1 else ""
    return (
        f"Complete trials of the search (n = {len(candidates(study))}), one seed each. Filled: no"
        f" trial of its arm is at least as good in everything and better in something; larger: no"
        f" trial of any arm is (n = {len(best)}{line}). Observed, not confirmed: of many trials"
        " some look better than they are."
    )


PARETO_FRONT = FigureSpec[Comparison](
    id="F12",
    slug="pareto-front",
    question="What does a better score cost in the other objectives?",
    row_type=FrontTrial,
    compute=compute_pareto_front,
    draw=draw_pareto_front,
    caption=caption_pareto_front,
    needs="no trial of the search has a value of every objective",
)
