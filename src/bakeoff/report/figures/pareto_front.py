"""F12 shows the objective against each further objective, with the front of all arms."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bakeoff.analysis.pareto_fronts import arm_fronts, candidates, front_of_all
from bakeoff.pareto import front_of
from bakeoff.records import Comparison, MetricInfo, StudyRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec

PANEL_HEIGHT = 380


class FrontTrial(NamedTuple):
    """One complete trial of the search in the objective and one further objective."""

    arm: str
    trial: int
    objective: str
    value: float
    estimate: float | None
    on_front_of_arm: bool
    on_front_of_all: bool


def compute_pareto_front(comparison: Comparison) -> tuple[FrontTrial, ...]:
    """Return every trial that has a value of every objective, without library defaults."""
    study = comparison.study
    of_arms = {trial.number for front in arm_fronts(study) for trial in front.front}
    of_all = {trial.number for trial in front_of_all(study)}
    return tuple(
        FrontTrial(
            trial.arm, trial.number, metric.name, trial.further_scores[metric.name], trial.score,
            trial.number in of_arms, trial.number in of_all,
        )
        for metric in study.further_objectives
        for trial in candidates(study)
    )  # fmt: skip


def draw_pareto_front(rows: Sequence[FrontTrial], comparison: Comparison) -> style.Figure:
    """Draw a panel for each further objective; filled symbols are on the front of their arm."""
    study = comparison.study
    further = study.further_objectives
    traces: list[style.Trace] = []
    axes: dict[str, Any] = {}
    for place, metric in enumerate(further):
        own = [row for row in rows if row.objective == metric.name]
        x_axis, y_axis = style.axis_name("x", place), style.axis_name("y", place)
        low, high = style.panel_domain(place, len(further))
        if place < len(further) - 1:
            low += 0.08  # room for the axis below the panel
        title = style.metric_title(metric)
        axes[style.axis_name("xaxis", place)] = style.axis(title, anchor=y_axis)
        axes[style.axis_name("yaxis", place)] = style.axis(
            style.metric_title(study.objective), anchor=x_axis, domain=[low, high]
        )
        panel = [_front_line(own, metric)] if len(further) == 1 else []
        by_arm = style.grouped(own, "arm").values()
        panel += [_arm_dots(dots, study, is_named=place == 0) for dots in by_arm]
        traces += [{**trace, "xaxis": x_axis, "yaxis": y_axis} for trace in panel]
    return style.draw(traces, height=PANEL_HEIGHT * len(further), showlegend=True, **axes)


def _front_line(rows: Sequence[FrontTrial], metric: MetricInfo) -> style.Trace:
    """Draw the best objective reached at each value of the further objective, or better."""
    front = sorted(
        (row for row in rows if row.on_front_of_all), key=lambda row: (row.value, row.estimate)
    )
    return style.scatter(
        front, "lines", x="value", y="estimate", color=style.FAINT_INK, name="front of all arms",
        line={"width": 1.5, "dash": "dot", "shape": "hv" if metric.sign < 0 else "vh"},
    )  # fmt: skip


def _arm_dots(rows: Sequence[FrontTrial], study: StudyRecord, *, is_named: bool) -> style.Trace:
    arm = rows[0].arm
    color, symbol = style.arm_color(study, arm), style.arm_symbol(study, arm)
    return style.scatter(
        rows, "markers", x="value", y="estimate", color=color,
        **style.legend_entry(arm, shown=is_named),
        marker={
            "symbol": [symbol if row.on_front_of_arm else f"{symbol}-open" for row in rows],
            "size": [11 if row.on_front_of_all else 8 for row in rows],
            "line": {"width": 1.5, "color": color},
        },
        hover=lambda row: (
            f"{style.label(arm)}, trial {row.trial}: {style.label(study.objective.name)}"
            f" {row.estimate:.6g}, {style.label(row.objective)} {row.value:.6g},"
            f" {'on the front of all arms' if row.on_front_of_all else 'dominated'}"
        ),
    )  # fmt: skip


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    best = front_of(study.trials, study.objectives)
    line = ", joined by the dotted line" if len(study.further_objectives) == 1 else ""
    return (
        f"Complete trials of the search (n = {len(candidates(study))}), one seed each. A symbol is"
        " filled if no trial of its arm is at least as good in every objective and better in one."
        f" It is larger if no trial of any arm is (n = {len(best)}{line}). The front is observed,"
        " not confirmed: of many trials, some look better than they are."
    )


FIGURE = FigureSpec[Comparison](
    id="F12",
    slug="pareto-front",
    question="What does a better score cost in the other objectives?",
    row_type=FrontTrial,
    compute=compute_pareto_front,
    draw=draw_pareto_front,
    caption=_caption,
    needs="no trial of the search has a value of every objective",
    for_several_objectives=True,
    on_dashboard=True,
)
