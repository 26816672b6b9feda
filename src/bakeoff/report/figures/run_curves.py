"""The learning curves of one run: validation objective, losses, learning rate."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.records import EpochResult, MetricInfo
from bakeoff.report.figures.style import (
    ARM_COLORS,
    Panel,
    Trace,
    axis_name,
    draw,
    label,
    line_shape,
    metric_title,
    panel_domain,
    stacked_panels,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOSS = "loss"
"""Name under which every run records its validation loss."""
MARKED_EPOCHS = 60
"""Up to this many epochs have a marker each."""
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
    """The values of each curve in turn; those that are not finite are left out."""
    curves = [
        (LOSSES, "train loss", [result.train_loss for result in history]),
        (LOSSES, "validation loss", _metric(history, LOSS)),
        (LEARNING_RATE, "learning rate", [result.learning_rate for result in history]),
    ]
    if objective.name != LOSS:
        title = f"Validation {metric_title(objective)}"
        curves.insert(0, (title, objective.name, _metric(history, objective.name)))
    return tuple(
        RunValue(panel, quantity, result.epoch, value)
        for panel, quantity, values in curves
        for result, value in zip(history, values, strict=True)
        if math.isfinite(value)
    )


def _metric(history: Sequence[EpochResult], name: str) -> list[float]:
    return [result.metrics.get(name, math.nan) for result in history]


def draw_run_curves(rows: Sequence[RunValue], scored_epoch: int | None) -> "go.Figure":
    """A panel under the other; a dotted line marks the epoch whose weights are kept."""
    panels = list(dict.fromkeys(row.panel for row in rows))
    shown = [Panel(_panel_text(panel), y_axis=_range_of(panel)) for panel in panels]
    return draw(
        list(_curves(rows, panels)),
        height=80 + 230 * len(panels),
        showlegend=False,
        shapes=_scored_line(scored_epoch, len(panels)),
        **stacked_panels(shown, "Epoch"),
    )


def _scored_line(scored_epoch: int | None, num_panels: int) -> list[Trace]:
    if scored_epoch is None or not num_panels:
        return []
    low, high = panel_domain(num_panels - 1, num_panels)[0], panel_domain(0, num_panels)[1]
    return [line_shape(x0=scored_epoch, x1=scored_epoch, y0=low, y1=high, yref="paper")]


def _range_of(panel: str) -> dict[str, str]:
    """A learning rate is never negative, and a constant one has no range of its own."""
    return {"rangemode": "tozero"} if panel == LEARNING_RATE else {}


def _panel_text(panel: str) -> str:
    return "Loss (train dashed)" if panel == LOSSES else panel


def _curves(rows: Sequence[RunValue], panels: Sequence[str]) -> Iterator[Trace]:
    for (panel, quantity), found in groupby(rows, key=attrgetter("panel", "quantity")):
        own = list(found)
        color = ARM_COLORS[0][0]
        yield {
            "type": "scatter",
            "mode": "lines+markers" if len(own) <= MARKED_EPOCHS else "lines",
            "name": label(quantity),
            "yaxis": axis_name("y", panels.index(panel)),
            "x": [row.epoch for row in own],
            "y": [row.value for row in own],
            "line": {
                "color": color,
                "width": 2,
                "dash": "dash" if quantity == "train loss" else "solid",
            },
            "marker": {"color": color, "size": 5},
            "hoverinfo": "text",
            "hovertext": [f"{label(quantity)}, epoch {row.epoch}: {row.value:.6g}" for row in own],
        }
