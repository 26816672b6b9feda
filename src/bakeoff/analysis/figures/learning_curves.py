"""F8: validation score and losses, epoch by epoch."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

from bakeoff.analysis.figures.spec import FigureSpec, confirmation_runs, finite_mean, seeds_text
from bakeoff.analysis.figures.style import (
    FAINT,
    INK,
    Trace,
    arm_color,
    arm_symbol,
    axis,
    axis_name,
    draw,
    label,
    line_shape,
    metric_title,
    panel_domain,
    panel_title,
)
from bakeoff.records import ArmSummary, Comparison, StudyRecord, TrialRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOSS = "loss"
"""Name under which every run records its validation loss."""

MAX_TICKS = 12

Quantity = Literal["validation score", "mean validation score", "train loss", "validation loss"]
SEARCH_QUANTITIES: tuple[Quantity, ...] = ("train loss", "validation loss")


class EpochValue(NamedTuple):
    """A value after one epoch: of a confirmation run, their mean, or the best search trial."""

    arm: str
    quantity: Quantity
    run: int | None
    """Number of the confirmation run or search trial; None for the mean."""
    seed: int | None
    epoch: int
    estimate: float
    n: int


def compute_learning_curves(comparison: Comparison) -> tuple[EpochValue, ...]:
    """Curves of each arm's confirmation runs with their mean, and of its best search trial.

    The mean at an epoch is over the runs that reached it with a finite value. Losses that were not
    recorded (NaN) are left out.
    """
    study = comparison.study
    rows: list[EpochValue] = []
    for summary in comparison.arms:
        scores = [
            row
            for run in confirmation_runs(study, summary.arm)
            for row in _run_values(run, "validation score", run.values(study.objective.name))
        ]
        rows += [*scores, *_mean_values(scores)]
        rows += _loss_values(study, summary)
    return tuple(row for row in rows if math.isfinite(row.estimate))


def _run_values(
    run: TrialRecord, quantity: Quantity, values: Sequence[float]
) -> Iterator[EpochValue]:
    for result, value in zip(run.history, values, strict=True):
        yield EpochValue(run.arm, quantity, run.number, run.seed, result.epoch, value, 1)


def _mean_values(rows: Sequence[EpochValue]) -> Iterator[EpochValue]:
    by_epoch: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if math.isfinite(row.estimate):
            by_epoch[row.epoch].append(row.estimate)
    for epoch, values in sorted(by_epoch.items()):
        mean = finite_mean(values) or 0.0
        yield EpochValue(rows[0].arm, "mean validation score", None, None, epoch, mean, len(values))


def _loss_values(study: StudyRecord, summary: ArmSummary) -> Iterator[EpochValue]:
    for trial in study.trials:
        if (trial.arm, trial.number) == (summary.arm, summary.search_best_trial):
            train_loss = [result.train_loss for result in trial.history]
            yield from _run_values(trial, "train loss", train_loss)
            yield from _run_values(trial, "validation loss", trial.values(LOSS))


def draw_learning_curves(rows: Sequence[EpochValue], comparison: Comparison) -> "go.Figure":
    """Scores of the confirmation runs above, losses of each arm's best search trial below."""
    study = comparison.study
    upper = [row for row in rows if row.quantity not in SEARCH_QUANTITIES]
    lower = [row for row in rows if row.quantity in SEARCH_QUANTITIES]
    panels = [panel for panel in (upper, lower) if panel]
    score_title = "Validation " + metric_title(study.objective)
    titles = [score_title, "Loss of the best trial (train dashed)"]
    shown = [title for title, panel in zip(titles, (upper, lower), strict=True) if panel]
    domains = [panel_domain(place, len(panels)) for place in range(len(panels))]
    traces = [trace for place, panel in enumerate(panels) for trace in _curves(panel, place, study)]
    return draw(
        _with_one_legend_entry_per_arm(traces),
        height=110 + 280 * len(panels),
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.06, "yanchor": "bottom"},
        margin={"l": 8, "r": 12, "t": 66, "b": 8},
        xaxis=axis("Epoch", anchor=axis_name("y", len(panels) - 1), **_whole_epochs(study.epochs)),
        annotations=[
            panel_title(title, domain[1], INK) for title, domain in zip(shown, domains, strict=True)
        ],
        shapes=_target_line(comparison) if upper else [],
        **{axis_name("yaxis", place): axis(domain=d) for place, d in enumerate(domains)},
    )


def _whole_epochs(epochs: int) -> dict[str, int]:
    """A tick at every epoch while there is room; otherwise plotly's choice, which is whole too."""
    return {"dtick": 1} if epochs <= MAX_TICKS else {}


def _curves(rows: Sequence[EpochValue], place: int, study: StudyRecord) -> Iterator[Trace]:
    """One curve per run; its rows stand together."""
    for _, own in groupby(rows, key=attrgetter("arm", "quantity", "run")):
        yield _curve(list(own), place, study)


def _curve(rows: Sequence[EpochValue], place: int, study: StudyRecord) -> Trace:
    arm, quantity = rows[0].arm, rows[0].quantity
    thin = quantity == "validation score"
    color = arm_color(study, arm)
    return {
        "type": "scatter",
        "mode": "lines" if thin or quantity == "train loss" else "lines+markers",
        "name": label(arm),
        "legendgroup": label(arm),
        "yaxis": axis_name("y", place),
        "x": [row.epoch for row in rows],
        "y": [row.estimate for row in rows],
        "line": {
            "color": color + FAINT if thin else color,
            "width": 1 if thin else 2,
            "dash": "dash" if quantity == "train loss" else "solid",
        },
        "marker": {"color": color, "symbol": arm_symbol(study, arm), "size": 6},
        "hoverinfo": "skip" if thin else "text",
        "hovertext": [
            f"{label(arm)}, {quantity}, epoch {row.epoch}: {row.estimate:.6g}" for row in rows
        ],
    }


def _with_one_legend_entry_per_arm(traces: Sequence[Trace]) -> list[Trace]:
    """The strongest curve of each arm carries its legend entry; the others go with it."""
    carriers = {
        trace["legendgroup"]: index
        for index, trace in reversed(list(enumerate(traces)))
        if trace["mode"] == "lines+markers"
    }
    return [
        trace | {"showlegend": carriers.get(trace["legendgroup"]) == index}
        for index, trace in enumerate(traces)
    ]


def _target_line(comparison: Comparison) -> list[Trace]:
    target = next(
        (arm.time_to_target.target for arm in comparison.arms if arm.time_to_target), math.nan
    )
    if not math.isfinite(target):
        return []
    return [line_shape(x0=0, x1=1, xref="paper", y0=target, y1=target)]


def caption_learning_curves(comparison: Comparison) -> str:
    """What the lines of F8 are."""
    return (
        f"Above: validation score of the confirmation runs ({seeds_text(comparison)}), thin per"
        " seed and strong for their mean; the dotted line is the target of table T5. Below: losses"
        " of each arm's best search trial; a solid line that rises while the dashed one falls is"
        f" overfitting. All runs were planned for H = {comparison.study.epochs} epochs, so a curve"
        " cut earlier is not the result of a shorter run."
    )


LEARNING_CURVES = FigureSpec[Comparison](
    id="F8",
    slug="learning-curves",
    question="Who gets there sooner, and does anybody overfit?",
    row_type=EpochValue,
    compute=compute_learning_curves,
    draw=draw_learning_curves,
    caption=caption_learning_curves,
    needs="no run has recorded its epochs yet",
)
