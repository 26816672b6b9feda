"""How every figure looks: one colour and symbol per arm, safe text, one layout.

Figures are drawn for a light page. `DARK` maps each colour used here to its twin for a dark page,
so that whoever shows a figure can follow the reader's colour scheme.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.records import MetricInfo, StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

Trace = dict[str, Any]

INK = "#1f2328"
FAINT_INK = "#5d646d"
GRID = "#e3e2dc"
BAND = "rgba(93, 100, 109, 0.14)"
PAPER = "rgba(0, 0, 0, 0)"

ARM_COLORS: tuple[tuple[str, str], ...] = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#f0813b"),
    ("#009e73", "#2fc79b"),
    ("#b5588d", "#e39cc6"),
    ("#b87900", "#e69f00"),
    ("#4d4d4d", "#c4c4c4"),
    ("#2a93d5", "#9bc4ff"),
    ("#7d7600", "#f0e442"),
)
"""Light and dark twin of each colour: every one has a contrast of at least 3 to its page.

Source: the hues are those of Okabe and Ito, "Color Universal Design" (2008),
https://jfly.uni-koeln.de/color/, darkened or lightened where the contrast (WCAG 2.2, 1.4.11) asks.
"""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "star", "hexagon")

FAINT = "59"
"""Opacity of about one third, as the last two digits of a colour."""

BAND_OPACITY = "26"
"""Opacity of a confidence band that others may overlap, as the last two digits of a colour."""

_DARK_TWINS = {INK: "#e6e4df", FAINT_INK: "#a3a9b1", GRID: "#33383f", **dict(ARM_COLORS)}
DARK: Mapping[str, str] = {
    BAND: "rgba(163, 169, 177, 0.18)",
    **_DARK_TWINS,
    **{
        light + opacity: dark + opacity
        for light, dark in _DARK_TWINS.items()
        for opacity in (FAINT, BAND_OPACITY)
    },
}
"""The dark twin of every colour a figure may use."""

LOG_TICKS = [step * 10**power for power in range(7) for step in (1, 2, 5)]
"""Where a logarithmic axis of counts has labels: plotly alone writes 2 and 5 for 20 and 50."""

PANEL_GAP = 0.2
"""Share of a panel's height that is left free for its title."""

MAX_LABEL = 40
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif'
UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line separators, halves of pairs, and marks that reverse the direction."""


def printable(text: str) -> str:
    """`text` on one line, each character that cannot be shown replaced by a space."""
    return UNPRINTABLE.sub(" ", text)


def label(text: str) -> str:
    """`text` as a figure label: plotly shows it as it is instead of obeying tags in it.

    Of more than `MAX_LABEL` characters the middle is left out: names that begin alike, such as
    those of one package, often differ at their end.
    """
    shown = printable(text)
    if len(shown) > MAX_LABEL:
        half = MAX_LABEL // 2
        shown = f"{shown[: half - 1]}…{shown[-half:]}"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def arm_position(study: StudyRecord, arm: str) -> int:
    """Place of `arm` among the study's arms, which decides its colour; unknown arms come last."""
    names = [record.name for record in study.arms]
    return names.index(arm) if arm in names else len(names)


def arm_color(study: StudyRecord, arm: str) -> str:
    """The arm's colour on a light page, the same in every figure and table."""
    return ARM_COLORS[arm_position(study, arm) % len(ARM_COLORS)][0]


def arm_symbol(study: StudyRecord, arm: str) -> str:
    """The arm's marker symbol; with the colour, distinct for the first 56 arms."""
    return SYMBOLS[arm_position(study, arm) % len(SYMBOLS)]


def metric_name(metric: MetricInfo) -> str:
    """The metric's name with its unit, as it stands inside a sentence."""
    name = metric.title or metric.name
    # "Accuracy" becomes "accuracy", "F1" and "AUC" stay.
    shown = name[0].lower() + name[1:] if name[1:2].islower() else name
    return label(shown + (f" ({metric.unit})" if metric.unit else ""))


def metric_title(metric: MetricInfo) -> str:
    """The metric's name with its unit and direction, as an axis title."""
    better = "higher" if metric.sign > 0 else "lower"
    return f"{metric_name(metric)}, {better} is better"


def axis(title: str = "", **settings: Any) -> dict[str, Any]:
    """An axis with the common look."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "automargin": True,
        **settings,
    }


def categories(names: Sequence[str]) -> dict[str, Any]:
    """Settings of an axis that has `names` at 0, 1, 2, ... and shows them as they are."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [label(name) for name in names],
        "showgrid": False,
    }


def line_shape(**settings: Any) -> Trace:
    """A shape: a dotted line, below the data."""
    return {
        "type": "line",
        "layer": "below",
        "line": {"color": FAINT_INK, "width": 1.5, "dash": "dot"},
        **settings,
    }


def draw(traces: Sequence[Trace], *, height: int, **layout: Any) -> "go.Figure":
    """A plotly figure of `traces` with the common look; `layout` adds to it."""
    import plotly.graph_objects as go

    common: dict[str, Any] = {
        "template": "none",
        "height": height,
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "margin": {"l": 8, "r": 12, "t": 36, "b": 8},
        "hovermode": "closest",
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom",
            "itemsizing": "constant",
        },
    }  # fmt: skip
    return go.Figure(data=list(traces), layout=common | layout)


def error_bar(estimate: float, low: float | None, high: float | None) -> dict[str, Any]:
    """Error bar from `low` to `high`; none where a side is unknown or unbounded."""
    if low is None or high is None or not math.isfinite(low + high):
        return {"type": "data", "visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - estimate],
        "arrayminus": [estimate - low],
    }


def axis_name(prefix: str, place: int) -> str:
    """Plotly's name of the axis of panel `place`: y, y2, y3, ..."""
    return prefix if place == 0 else f"{prefix}{place + 1}"


def panel_domain(place: int, num_panels: int) -> list[float]:
    """Lower and upper end, in parts of the plot's height, of one of the panels from the top."""
    top = 1 - place / num_panels
    return [max(0.0, top - (1 - PANEL_GAP) / num_panels), top - PANEL_GAP / num_panels / 4]


class Panel(NamedTuple):
    """One of several panels below each other."""

    title: str
    color: str = INK
    """Of the title."""
    y_axis: Mapping[str, Any] = {}
    """Settings of its own axis."""


def stacked_panels(panels: Sequence[Panel], x_title: str, **x_axis: Any) -> dict[str, Any]:
    """Layout of panels from the top, `y`, `y2`, ... with one x axis under the lowest of them."""
    domains = [panel_domain(place, len(panels)) for place in range(len(panels))]
    return {
        "xaxis": axis(x_title, anchor=axis_name("y", len(panels) - 1), **x_axis),
        "annotations": [
            _panel_title(panel, domain[1]) for panel, domain in zip(panels, domains, strict=True)
        ],
        **{
            axis_name("yaxis", place): axis(**{"domain": domain, **panel.y_axis})
            for place, (panel, domain) in enumerate(zip(panels, domains, strict=True))
        },
    }


def _panel_title(panel: Panel, top: float) -> Trace:
    """An annotation: a bold title above a panel that ends at `top`."""
    return {
        "text": f"<b>{panel.title}</b>", "showarrow": False, "font": {"color": panel.color},
        "xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": top, "yanchor": "bottom",
    }  # fmt: skip
