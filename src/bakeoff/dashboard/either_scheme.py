"""Recolours a figure for a page whose colour scheme may change after the figure was stored.

optuna-dashboard draws a stored figure unchanged, on a light or a dark card. So the paper is
transparent, lines have colours that stand out from both, and text takes the colour of the text
around it.
"""

from collections.abc import Mapping
from typing import Any

from bakeoff.report.figures import style

NEUTRAL = "#808080"
"""A grey with a contrast of at least 3.9 to the dashboard's cards, #ffffff and #1e1e1e."""

ARMS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#b5588d",
    "#b87900",
    "#808080",
    "#9a4cf6",
    "#db2fb2",
    "#f9557c",
    "#4a64e7",
    "#7d9034",
    "#9284d6",
    "#eb005f",
    "#297d0f",
    "#b07661",
    "#d961d2",
    "#8e5c7d",
    "#537674",
    "#6399be",
    "#9649a7",
)
"""The twin of each of `style.ARM_COLORS`, with a contrast of at least 3 to both cards."""

EITHER: Mapping[str, str] = {
    style.GRID: "rgba(128, 128, 128, 0.25)",
    style.BAND: "rgba(128, 128, 128, 0.18)",
    **{
        color + opacity: twin + opacity
        for color, twin in (
            (style.INK, NEUTRAL),
            (style.FAINT_INK, NEUTRAL),
            *((light, twin) for (light, _), twin in zip(style.ARM_COLORS, ARMS, strict=True)),
        )
        for opacity in ("", style.FAINT, style.BAND_OPACITY)
    },
}
"""Replacements of the colours of our figures that do not stand out from both cards."""

BEFORE, AFTER = '<span style="color:currentColor">', "</span>"


def for_either_scheme(figure: style.Figure) -> style.Figure:
    """Return `figure` with colours that are legible on a light and on a dark page."""
    import plotly.graph_objects as go

    plain = _recolored(figure.to_plotly_json(), "")
    for trace in plain["data"]:
        if "name" in trace:
            trace["name"] = inherited(trace["name"])
    layout = plain["layout"]
    titles = [axis["title"] for axis in _axes(layout) if axis.get("title", {}).get("text")]
    for title in filter(None, [layout.get("title"), *titles]):
        title["text"] = inherited(title["text"])
    for axis in _axes(layout):
        axis |= {"tickprefix": BEFORE, "ticksuffix": AFTER}
        if "tickvals" in axis:  # these are drawn without prefix and suffix
            texts = axis.get("ticktext", [f"{value:g}" for value in axis["tickvals"]])
            axis["ticktext"] = [inherited(text) for text in texts]
    return go.Figure(plain)


def inherited(text: str) -> str:
    """Return `text`, which may contain plotly's markup, in the colour of the page's text."""
    return f"{BEFORE}{text}{AFTER}"


def _axes(layout: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [value for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))]


def _recolored(value: Any, key: str) -> Any:
    """Return a copy of `value` with every colour replaced that has a replacement."""
    if isinstance(value, Mapping):
        return {name: _recolored(item, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_recolored(item, key) for item in value]
    is_color = isinstance(value, str) and key.endswith("color")
    return EITHER.get(value, value) if is_color else value
