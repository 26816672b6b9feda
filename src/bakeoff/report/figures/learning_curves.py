"""F8 shows validation scores, runs that reached the target, and losses, epoch by epoch."""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Final, Literal, NamedTuple

import numpy as np

from bakeoff.analysis.arrivals import arrival_curve
from bakeoff.analysis.confirmation import confirmation_runs
from bakeoff.analysis.curves import LOSS
from bakeoff.analysis.wording import plural
from bakeoff.records import ArmSummary, Comparison, StudyRecord, TrialRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec, seeds_text

MAX_TICKS = 12

ARRIVED: Final = "share at the target"
Quantity = Literal[
    "validation score", "mean validation score", "share at the target", "train loss",
    "validation loss",
]  # fmt: skip
PANELS: tuple[tuple[Quantity, ...], ...] = (
    ("validation score", "mean validation score"),
    (ARRIVED,),
    ("train loss", "validation loss"),
)
"""Quantities that are drawn together, from the top."""
STRONG: tuple[Quantity, ...] = ("mean validation score", "validation loss")
"""Quantities with markers, which carry an arm's legend entry."""


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
    """Return curves of each arm's confirmation runs, their mean, and its best search trial.

    The mean at an epoch is over the runs that reached it with a finite value. Losses that were not
    recorded (NaN) are left out. The share of runs that have reached the target is given at each
    epoch at which it grows, at 0 and at the planned end.
    """
    study = comparison.study
    rows: list[EpochValue] = []
    for summary in comparison.arms:
        scores: list[EpochValue] = []
        for run in confirmation_runs(study, summary.arm):
            scores += _run_values(run, "validation score", run.values(study.objective.name))
        rows += [*scores, *_mean_values(scores), *_arrivals(summary, study.epochs)]
        rows += _loss_values(study, summary)
    return tuple(row for row in rows if math.isfinite(row.estimate))


def _run_values(
    run: TrialRecord, quantity: Quantity, values: Sequence[float]
) -> Iterator[EpochValue]:
    for result, value in zip(run.history, values, strict=True):
        yield EpochValue(run.arm, quantity, run.number, run.seed, result.epoch, value, 1)


def _mean_values(rows: Sequence[EpochValue]) -> Iterator[EpochValue]:
    known = [row for row in rows if math.isfinite(row.estimate)]
    for epoch, own in sorted(style.grouped(known, "epoch").items()):
        mean = fmean(row.estimate for row in own)
        yield EpochValue(own[0].arm, "mean validation score", None, None, epoch, mean, len(own))


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


def draw_learning_curves(rows: Sequence[EpochValue], comparison: Comparison) -> style.Figure:
    """Draw scores of the confirmation runs, their arrivals, losses of each best search trial."""
    study = comparison.study
    share_axis = {"range": [-0.03, 1.03], "tickformat": ".0%"}
    panels = (
        style.Panel("Validation " + style.metric_title(study.objective)),
        style.Panel("Share of runs at the target", y_axis=share_axis),
        style.Panel("Loss of the best trial (train dashed)"),
    )
    of_panels = [[row for row in rows if row.quantity in shown] for shown in PANELS]
    drawn = [(panel, own) for panel, own in zip(panels, of_panels, strict=True) if own]
    traces, named = [], set()
    for place, (_, own) in enumerate(drawn):
        for (arm, quantity, _), curve in style.grouped(own, "arm", "quantity", "run").items():
            is_named = quantity in STRONG and arm not in named
            traces.append(_curve(curve, place, study, is_named=is_named))
            named |= {arm} if is_named else set()
    # a tick at every epoch while there is room; otherwise plotly's choice, which is whole too
    ticks = {"dtick": 1} if study.epochs <= MAX_TICKS else {}
    return style.draw(
        traces,
        height=110 + 240 * len(drawn),
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.025, "yanchor": "bottom"},
        margin={"l": 8, "r": 12, "t": 66, "b": 8},
        shapes=_target_line(comparison) if of_panels[0] else [],
        **style.stacked_panels([panel for panel, _ in drawn], "Epoch", **ticks),
    )


def _curve(
    rows: Sequence[EpochValue], place: int, study: StudyRecord, *, is_named: bool
) -> style.Trace:
    arm, quantity = rows[0].arm, rows[0].quantity
    thin = quantity == "validation score"
    color = style.arm_color(study, arm)
    return style.scatter(
        rows, "lines+markers" if quantity in STRONG else "lines", x="epoch", y="estimate",
        color=color, yaxis=style.axis_name("y", place), **style.legend_entry(arm, shown=is_named),
        line={
            "color": color + style.FAINT if thin else color,
            "width": 1 if thin else 2,
            "dash": "dash" if quantity == "train loss" else "solid",
            "shape": "hv" if quantity == ARRIVED else "linear",
        },
        marker={"symbol": style.arm_symbol(study, arm), "size": 6},
        hover=None if thin else _hover,
    )  # fmt: skip


def _hover(row: EpochValue) -> str:
    return f"{style.label(row.arm)}, {row.quantity}, epoch {row.epoch}: {row.estimate:.6g}"


def _target_line(comparison: Comparison) -> list[style.Trace]:
    targets = (arm.time_to_target.target for arm in comparison.arms if arm.time_to_target)
    target = next(targets, math.nan)
    line = style.line_shape(x0=0, x1=1, xref="paper", y0=target, y1=target)
    return [line] if math.isfinite(target) else []


def _caption(comparison: Comparison) -> str:
    return (
        f"Top: validation score of the confirmation runs ({seeds_text(comparison)}), with a thin"
        " line per seed and a strong line for their mean; the dotted line is the target of table"
        " T5. Middle: share of these runs that have reached the target, which diverged runs never"
        " do. Bottom: losses of each arm's best search trial; a solid line that rises while the"
        " dashed one falls is overfitting. All runs were planned for"
        f" H = {plural(comparison.study.epochs, 'epoch')}, so a curve that is cut earlier is not"
        " the result of a shorter run."
    )


FIGURE = FigureSpec[Comparison](
    id="F8",
    slug="learning-curves",
    question="Who gets there sooner, and does anybody overfit?",
    row_type=EpochValue,
    compute=compute_learning_curves,
    draw=draw_learning_curves,
    caption=_caption,
    needs="no configuration has been confirmed, and no best trial has recorded its losses",
)
