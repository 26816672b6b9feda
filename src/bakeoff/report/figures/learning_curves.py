"""F8: validation score, arrivals at the target and losses, epoch by epoch."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from bakeoff.analysis.arrivals import arrival_curve
from bakeoff.records import ArmSummary, Comparison, StudyRecord, TrialRecord
from bakeoff.report.figures.spec import FigureSpec, confirmation_runs, finite_mean, seeds_text
from bakeoff.report.figures.style import (
    FAINT,
    Panel,
    Trace,
    arm_color,
    arm_symbol,
    axis_name,
    draw,
    label,
    line_shape,
    metric_title,
    stacked_panels,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOSS = "loss"
"""Name under which every run records its validation loss."""

MAX_TICKS = 12

ARRIVED: Final = "share at the target"
Quantity = Literal[
    "validation score", "mean validation score", "share at the target", "train loss",
    "validation loss",
]  # fmt: skip
PANELS = (
    ("validation score", "mean validation score"),
    (ARRIVED,),
    ("train loss", "validation loss"),
)
"""Quantities that are drawn together, from the top."""


class EpochValue(NamedTuple):
    """A value after one epoch: of a confirmation run, of all of them, or of the best trial."""

    arm: str
    quantity: Quantity
    run: int | None
    """Number of the confirmation run or search trial; None for mean and share."""
    seed: int | None
    epoch: int
    estimate: float
    n: int


def compute_learning_curves(comparison: Comparison) -> tuple[EpochValue, ...]:
    """Curves of each arm's confirmation runs with their mean, and of its best search trial.

    The mean at an epoch is over the runs that reached it with a finite value. Losses that were not
    recorded (NaN) are left out. The share of runs that have reached the target stands at each epoch
    at which it grows, at 0 and at the planned end.
    """
    study = comparison.study
    rows: list[EpochValue] = []
    for summary in comparison.arms:
        scores = [
            row
            for run in confirmation_runs(study, summary.arm)
            for row in _run_values(run, "validation score", run.values(study.objective.name))
        ]
        rows += [*scores, *_mean_values(scores), *_arrivals(summary, study.epochs)]
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


def _arrivals(summary: ArmSummary, epochs: int) -> Iterator[EpochValue]:
    found = summary.time_to_target
    if found is None:
        return
    times = np.array(found.epochs)
    curve = arrival_curve(np.minimum(times, epochs), np.isfinite(times))
    shares = {0: 0.0, **dict(zip(curve.times.astype(int), curve.shares.tolist(), strict=True))}
    for epoch, share in {**shares, epochs: max(shares.values())}.items():
        yield EpochValue(summary.arm, ARRIVED, None, None, int(epoch), share, found.num_runs)


def _loss_values(study: StudyRecord, summary: ArmSummary) -> Iterator[EpochValue]:
    for trial in study.trials:
        if (trial.arm, trial.number) == (summary.arm, summary.search_best_trial):
            train_loss = [result.train_loss for result in trial.history]
            yield from _run_values(trial, "train loss", train_loss)
            yield from _run_values(trial, "validation loss", trial.values(LOSS))


def draw_learning_curves(rows: Sequence[EpochValue], comparison: Comparison) -> "go.Figure":
    """Scores of the confirmation runs, their arrivals, losses of each arm's best search trial."""
    study = comparison.study
    titles = (
        Panel("Validation " + metric_title(study.objective)),
        Panel("Share of runs at the target", y_axis={"range": [-0.03, 1.03], "tickformat": ".0%"}),
        Panel("Loss of the best trial (train dashed)"),
    )
    of_panels = [[row for row in rows if row.quantity in shown] for shown in PANELS]
    drawn = [(title, own) for title, own in zip(titles, of_panels, strict=True) if own]
    traces = [trace for at, (_, own) in enumerate(drawn) for trace in _curves(own, at, study)]
    return draw(
        _with_one_legend_entry_per_arm(traces),
        height=110 + 240 * len(drawn),
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.025, "yanchor": "bottom"},
        margin={"l": 8, "r": 12, "t": 66, "b": 8},
        shapes=_target_line(comparison) if of_panels[0] else [],
        **stacked_panels([title for title, _ in drawn], "Epoch", **_whole_epochs(study.epochs)),
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
        "mode": "lines" if thin or quantity in {"train loss", ARRIVED} else "lines+markers",
        "name": label(arm),
        "legendgroup": label(arm),
        "yaxis": axis_name("y", place),
        "x": [row.epoch for row in rows],
        "y": [row.estimate for row in rows],
        "line": {
            "color": color + FAINT if thin else color,
            "width": 1 if thin else 2,
            "dash": "dash" if quantity == "train loss" else "solid",
            "shape": "hv" if quantity == ARRIVED else "linear",
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
        " seed and strong for their mean; the dotted line is the target of table T5. Then the share"
        " of these runs that have reached it; diverged runs never do. Below: losses of each arm's"
        " best search trial; a solid line that rises while the dashed one falls is overfitting."
        f" All runs were planned for H = {comparison.study.epochs} epochs, so a curve"
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
    needs="no configuration has been confirmed, and no best trial has recorded its losses",
)
