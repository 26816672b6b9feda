"""Gives every figure the same look: one colour and symbol per arm, safe text, one layout.

Figures are drawn for a light page. `DARK` maps each colour used here to its counterpart on a dark
page, so that a page can follow the reader's colour scheme.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar
from zlib import crc32

from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.records import MetricInfo, Outcome, StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

Item = TypeVar("Item")
Figure: TypeAlias = "go.Figure"
"""A plotly figure; plotly is imported when the first figure is drawn."""
Trace: TypeAlias = dict[str, Any]
"""A plotly trace, shape or annotation as a dictionary."""

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
    ("#8d13f4", "#9445ef"),
    ("#fd24cd", "#f615c6"),
    ("#95173e", "#b5596a"),
    ("#1c2789", "#596fbb"),
    ("#5b6c00", "#7d9034"),
    ("#9284d6", "#9e8afa"),
    ("#fa256a", "#fa256a"),
    ("#155003", "#9cf189"),
    ("#84675d", "#af9186"),
    ("#9d2398", "#b740b1"),
    ("#631c50", "#d76cb7"),
    ("#17726d", "#597c7a"),
    ("#718a9c", "#cee9fd"),
    ("#c661dc", "#dc5ef8"),
)
"""Each colour on a light and on a dark page, with a contrast of at least 3 to that page.

Registered optimizers have the colours in the order of their registry, whatever else is compared.
Any two colours are at least 0.07 apart in OKLab on both pages.

Source: the first six hues are those of Okabe and Ito, "Color Universal Design" (2008),
https://jfly.uni-koeln.de/color/, darkened or lightened to the contrast that WCAG 2.2, 1.4.11 asks.
Each further pair is the one of 200,000 random pairs of one hue that is farthest from those before.
"""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "star", "hexagon")
OUTCOME_SYMBOLS: Mapping[Outcome, str] = {
    "complete": "circle", "pruned": "circle-open", "diverged": "x", "infeasible": "hash-open"
}  # fmt: skip
"""Marker symbol of a search trial, by how it ended."""

FAINT = "59"
"""Opacity of about one third, as the last two digits of a colour."""
BAND_OPACITY = "26"
"""Opacity of a confidence band that other bands may overlap, as the last two digits of a colour."""

_DARK_TWINS = {INK: "#e6e4df", FAINT_INK: "#a3a9b1", GRID: "#33383f", **dict(ARM_COLORS)}
DARK: Mapping[str, str] = {
    BAND: "rgba(163, 169, 177, 0.18)",
    **{
        light + opacity: dark + opacity
        for light, dark in _DARK_TWINS.items()
        for opacity in ("", FAINT, BAND_OPACITY)
    },
}
"""The counterpart on a dark page of every colour that a figure may use."""

LOG_TICKS = [step * 10**power for power in range(7) for step in (1, 2, 5)]
"""Labelled values of a logarithmic axis of counts; plotly alone labels 20 and 50 as 2 and 5."""

PANEL_GAP = 0.2
"""Share of a panel's height that is left free for its title."""
MARGIN_SHARE = 0.08
"""Margin of a score axis, as a share of the range of the scores."""
MAX_DRAWN = 500
"""Trials of an arm that a figure draws; more would make the page slow and hide each other."""
MAX_SPREAD = 10
"""Where a metric is unbounded, an axis ends this many median distances below the best score."""

MAX_LABEL = 40
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif'
UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line separators, lone surrogates, and marks that reverse the direction."""


def printable(text: str) -> str:
    """Return `text` on one line, with a space for each character that cannot be shown."""
    return UNPRINTABLE.sub(" ", text)


def label(text: str) -> str:
    """Return `text` as a figure label, escaped so that plotly does not interpret tags in it.

    A label longer than `MAX_LABEL` characters loses its middle: names that begin alike, such as
    those of one package, often differ at their end.
    """
    shown = printable(text)
    if len(shown) > MAX_LABEL:
        half = MAX_LABEL // 2
        shown = f"{shown[: half - 1]}…{shown[-half:]}"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def arm_position(study: StudyRecord, arm: str) -> int:
    """Return the index of `arm` among the study's arms; unknown arms come last."""
    names = [record.name for record in study.arms]
    return names.index(arm) if arm in names else len(names)


def color_number(study: StudyRecord, arm: str) -> int:
    """Return the place in `ARM_COLORS` of the arm's colour."""
    numbers = _color_numbers(tuple(record.name for record in study.arms))
    return numbers[arm] if arm in numbers else _usual_number(arm)


@lru_cache(maxsize=64)
def _color_numbers(arms: tuple[str, ...]) -> Mapping[str, int]:
    """Give each arm its usual colour, or the next free colour if another arm has that one.

    Registered optimizers always have their usual colour. With more arms than colours, some share
    one; their symbols differ then.
    """
    numbers: dict[str, int] = {}
    for arm in sorted(arms, key=lambda arm: arm not in OPTIMIZERS):
        usual, taken = _usual_number(arm), set(numbers.values())
        places = [(usual + step) % len(ARM_COLORS) for step in range(len(ARM_COLORS))]
        numbers[arm] = next((place for place in places if place not in taken), usual)
    return numbers


def _usual_number(arm: str) -> int:
    """Return the number of the arm's optimizer (`adam` of `adam+cosine`), or one by its name."""
    optimizer = arm.partition("+")[0].strip().lower()
    if optimizer in OPTIMIZERS:
        return OPTIMIZERS.names.index(optimizer)
    return crc32(arm.encode("utf-8", "replace")) % len(ARM_COLORS)


def arm_color(study: StudyRecord, arm: str) -> str:
    """Return the arm's colour on a light page, the same in every figure, table and study."""
    return ARM_COLORS[color_number(study, arm)][0]


def arm_symbol(study: StudyRecord, arm: str) -> str:
    """Return the arm's marker symbol, which goes with its colour; arms of one colour differ in it.

    With the colour it is distinct for the first 140 arms.
    """
    number = color_number(study, arm)
    alike = [one.name for one in study.arms if color_number(study, one.name) == number]
    place = alike.index(arm) if arm in alike else 0
    return SYMBOLS[(number + place) % len(SYMBOLS)]


def metric_label(metric: MetricInfo) -> str:
    """Return the metric's title with its unit, escaped, as the text of an axis."""
    name = metric.title or metric.name
    # "Accuracy" becomes "accuracy", "F1" and "AUC" stay.
    shown = name[0].lower() + name[1:] if name[1:2].islower() else name
    return label(shown + (f" ({metric.unit})" if metric.unit else ""))


def metric_title(metric: MetricInfo) -> str:
    """Return the metric's title with its unit and direction, as the title of an axis."""
    better = "higher" if metric.sign > 0 else "lower"
    return f"{metric_label(metric)}, {better} is better"


def axis(title: str = "", **settings: Any) -> dict[str, Any]:
    """Return an axis with the common look."""
    return {
        "title": {"text": title, "standoff": 8}, "gridcolor": GRID, "linecolor": GRID,
        "zeroline": False, "automargin": True, **settings,
    }  # fmt: skip


def log_count_axis(title: str) -> dict[str, Any]:
    """Return a logarithmic axis of counts."""
    return axis(f"{title} (log scale)", type="log", tickmode="array", tickvals=LOG_TICKS)


def categories(names: Sequence[str]) -> dict[str, Any]:
    """Return settings of an axis that has `names` at 0, 1, 2, ... and shows them unchanged."""
    return {
        "tickmode": "array", "tickvals": list(range(len(names))),
        "ticktext": [label(name) for name in names], "showgrid": False,
    }  # fmt: skip


def score_margin(worst: float, best: float) -> float:
    """Return the margin beyond scores from `worst` to `best` on an axis; it is never 0."""
    return MARGIN_SHARE * (best - worst) or 0.01 * (abs(best) or 1.0)


def scatter(
    rows: Sequence[Any],
    mode: str,
    *,
    x: str | Sequence[Any],
    y: str | Sequence[Any],
    hover: Callable[[Any], str] | None = None,
    color: str | None = None,
    **settings: Any,
) -> Trace:
    """Return a scatter trace of a figure's rows.

    Args:
        rows: One row for each point.
        mode: Plotly's mode, such as `lines+markers`.
        x: Name of the field that is drawn, as in plotly express, or one value for each point.
        y: The same for the other axis.
        hover: Text shown for a row; None turns off hovering.
        color: Colour of the `line` and the `marker` in the settings, where they have no other.
        settings: Plotly's own settings of the trace.
    """
    for part in {"line", "marker"} & settings.keys() if color else ():
        settings[part] = {"color": color} | settings[part]
    if hover is None:
        settings["hoverinfo"] = "skip"
    else:
        settings |= {"hoverinfo": "text", "hovertext": [hover(row) for row in rows]}
    xs, ys = (
        [getattr(row, of) for row in rows] if isinstance(of, str) else list(of) for of in (x, y)
    )
    return {"type": "scatter", "mode": mode, "x": xs, "y": ys, **settings}


def legend_entry(arm: str, *, shown: bool) -> dict[str, Any]:
    """Return settings of one of several traces that share the legend entry of an arm."""
    return {"name": label(arm), "legendgroup": label(arm), "showlegend": shown}


def line_shape(**settings: Any) -> Trace:
    """Return a shape: a dotted line, below the data."""
    look = {"color": FAINT_INK, "width": 1.5, "dash": "dot"}
    return {"type": "line", "layer": "below", "line": look, **settings}


def draw(traces: Sequence[Trace], *, height: int, **layout: Any) -> Figure:
    """Return a plotly figure of `traces` with the common look; `layout` adds to it."""
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


def error_bar(row: Any, **look: Any) -> dict[str, Any]:
    """Return the error bar of a row, hidden if `ci_low` or `ci_high` is unknown or unbounded."""
    if row.ci_low is None or row.ci_high is None or not math.isfinite(row.ci_low + row.ci_high):
        return {"type": "data", "visible": False, **look}
    sides = {"array": [row.ci_high - row.estimate], "arrayminus": [row.estimate - row.ci_low]}
    return {"type": "data", "symmetric": False, **sides, **look}


def axis_name(prefix: str, place: int) -> str:
    """Return plotly's name of the axis of panel `place`: y, y2, y3, ..."""
    return prefix if place == 0 else f"{prefix}{place + 1}"


def panel_domain(place: int, num_panels: int) -> list[float]:
    """Return both ends of a panel, counted from the top, as shares of the figure's height."""
    top = 1 - place / num_panels
    return [max(0.0, top - (1 - PANEL_GAP) / num_panels), top - PANEL_GAP / num_panels / 4]


class Panel(NamedTuple):
    """One of several panels below each other."""

    title: str
    color: str = INK
    """The colour of the title."""
    y_axis: Mapping[str, Any] = {}
    """Settings of the panel's own axis."""


def stacked_panels(panels: Sequence[Panel], x_title: str, **x_axis: Any) -> dict[str, Any]:
    """Lay out panels from the top, `y`, `y2`, ..., with one x axis under the lowest of them."""
    domains = [panel_domain(place, len(panels)) for place in range(len(panels))]
    return {
        "xaxis": axis(x_title, anchor=axis_name("y", len(panels) - 1), **x_axis),
        "annotations": [
            panel_title(f"<b>{panel.title}</b>", panel.color, y=domain[1])
            for panel, domain in zip(panels, domains, strict=True)
        ],
        **{
            axis_name("yaxis", place): axis(**{"domain": domain, **panel.y_axis})
            for place, (panel, domain) in enumerate(zip(panels, domains, strict=True))
        },
    }


def panel_title(text: str, color: str, *, y: float, x: float = 0, **font: Any) -> Trace:
    """Return an annotation: the title above a panel whose upper left corner is (x, y)."""
    return {
        "text": text, "showarrow": False, "font": {"color": color, **font}, "xref": "paper",
        "x": x, "xanchor": "left", "yref": "paper", "y": y, "yanchor": "bottom",
    }  # fmt: skip


def grouped(rows: Iterable[Any], *fields: str) -> dict[Any, list[Any]]:
    """Group rows by the value of a field, or the values of several, in order of appearance."""
    key = attrgetter(*fields)
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def solid_and_dotted(rows: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Split a curve into its supported part and the rest, which begins where that part ends."""
    solid = [row for row in rows if row.supported]
    return solid, rows[max(0, len(solid) - 1) :]


def thinned(items: Sequence[Item], most: int = MAX_DRAWN) -> list[Item]:
    """Return at most `most` items, evenly spread, with the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(place * step)] for place in range(most)]


def thinned_text(counts: Iterable[int]) -> str:
    """Write a caption's sentence on trials that are not drawn; it is empty if all are drawn."""
    most = max(counts, default=0)
    drawn = f"{MAX_DRAWN} are drawn, evenly spread; the CSV file has every trial."
    return f" Of {most:,} trials of an arm, {drawn}" if most > MAX_DRAWN else ""


def score_limits(scores: Iterable[float], metric: MetricInfo) -> tuple[float, list[float]]:
    """Return the edge at which runs without a score are drawn, and the limits of an axis.

    The axis of an unbounded metric leaves out scores that are far worse than the usual ones.
    """
    signed = [metric.sign * score for score in scores]
    finite = [score for score in signed if math.isfinite(score)] or [0.0]
    best, worst = max(finite), min(finite)
    if not math.isfinite(metric.low if metric.sign > 0 else metric.high):
        worst = max(worst, best - MAX_SPREAD * (best - median(finite)))
    margin = score_margin(worst, best)
    edge = metric.sign * (worst - margin)
    return edge, sorted([metric.sign * (worst - 2 * margin), metric.sign * (best + margin)])


def on_axis(score: float | None, edge: float, sign: int) -> float:
    """Return `score`, or the edge of the axis if it is worse, missing or not finite."""
    if score is None or not math.isfinite(score):
        return edge
    return sign * max(sign * score, sign * edge)
