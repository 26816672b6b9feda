"""Draws the learning curves of one run: validation objective, losses, learning rate."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.analysis.curves import LOSS
from bakeoff.records import EpochResult, MetricInfo
from bakeoff.report.figures import style

MAX_MARKED_EPOCHS = 60
"""A curve of more epochs has no markers."""
LOSSES = "Loss"
LEARNING_RATE = "Learning rate"


class RunValue(NamedTuple):
    """A value of a run after one epoch."""

    panel: str
    quantity: str
    epoch: int
    value: float


def compute_run_curves(
    history: Sequence[EpochResult], objective: MetricInfo
) -> tuple[RunValue, ...]:
    """Return the values of one curve after the other, without those that are not finite."""
    curves = [
        (LOSSES, "train loss", [result.train_loss for result in history]),
        (LOSSES, "validation loss", _metric(history, LOSS)),
        (LEARNING_RATE, "learning rate", [result.learning_rate for result in history]),
    ]
    if objective.name != LOSS:
        title = f"Validation {style.metric_title(objective)}"
        curves.insert(0, (title, objective.name, _metric(history, objective.name)))
    return tuple(
        RunValue(panel, quantity, result.epoch, value)
        for panel, quantity, values in curves
        for result, value in zip(history, values, strict=True)
        if math.isfinite(value)
    )


def _metric(history: Sequence[EpochResult], name: str) -> list[float]:
    return [result.metrics.get(name, math.nan) for result in history]


def draw_run_curves(rows: Sequence[RunValue], scored_epoch: int | None) -> style.Figure:
    """Draw panels below each other; a dotted line marks the epoch whose weights are kept."""
    titles = list(style.grouped(rows, "panel"))
    panels = [
        style.Panel(
            "Loss (train dashed)" if title == LOSSES else title,
            # a learning rate is never negative, and a constant one has no range of its own
            y_axis={"rangemode": "tozero"} if title == LEARNING_RATE else {},
        )
        for title in titles
    ]
    ends = [style.panel_domain(place, len(titles)) for place in (len(titles) - 1, 0)]
    vertical = {"y0": ends[0][0], "y1": ends[1][1], "yref": "paper"}
    scored = style.line_shape(x0=scored_epoch, x1=scored_epoch, **vertical)
    return style.draw(
        [
            _curve(own, style.axis_name("y", titles.index(panel)))
            for (panel, _), own in style.grouped(rows, "panel", "quantity").items()
        ],
        height=80 + 230 * len(titles),
        showlegend=False,
        shapes=[] if scored_epoch is None else [scored],
        **style.stacked_panels(panels, "Epoch"),
    )


def _curve(rows: Sequence[RunValue], y_axis: str) -> style.Trace:
    quantity = rows[0].quantity
    dash = "dash" if quantity == "train loss" else "solid"
    return style.scatter(
        rows, "lines+markers" if len(rows) <= MAX_MARKED_EPOCHS else "lines", x="epoch", y="value",
        name=style.label(quantity), yaxis=y_axis, color=style.ARM_COLORS[0][0],
        line={"width": 2, "dash": dash}, marker={"size": 5},
        hover=lambda row: f"{style.label(quantity)}, epoch {row.epoch}: {row.value:.6g}",
    )  # fmt: skip
