"""Writes the figures of a report as PNG or SVG files, drawn by an installed Chrome or Chromium."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, MissingDependencyError
from bakeoff.report.figures.style import Figure
from bakeoff.report.page import Page, ReportFigure

IMAGE_FORMATS = ("png", "svg")
WIDTH = 1000
PNG_SCALE = 2
"""Pixels per point, so that a PNG is sharp in print and on dense screens."""
PAPER = "#ffffff"


class ImageError(BakeoffError):
    """The browser did not draw a figure; the message says why."""


def check_image_export() -> None:
    """Check that kaleido and a browser are installed.

    Raises:
        MissingDependencyError: One of them is missing; the message says how to install it.
    """
    try:
        from choreographer.browsers.chromium import ChromeNotFoundError
        from kaleido import Kaleido
    except ImportError:
        raise MissingDependencyError(
            "images need kaleido; install it with `pip install 'bakeoff[png]'`"
        ) from None
    try:
        Kaleido()
    except ChromeNotFoundError:
        raise MissingDependencyError(
            "images need Chrome or Chromium, and none was found; install one"
            " (`apt-get install chromium`) or name it in BROWSER_PATH"
        ) from None


def write_images(page: Page[Any], directory: Path, formats: Sequence[str]) -> tuple[Path, ...]:
    """Draw every figure that has data, on white, with its question as title.

    Args:
        page: What the report shows.
        directory: Where the CSV files of the figures are.
        formats: Some of `IMAGE_FORMATS`.

    Raises:
        MissingDependencyError: See `check_image_export`.
        ImageError: The browser failed.
    """
    check_image_export()
    import kaleido

    drawn = [
        _order(figure, drawing, directory / f"{figure.name}.{kind}")
        for figure in page.figures
        for kind in formats
        if (drawing := figure.drawn(page.subject)[0]) is not None
    ]
    try:
        # the figures contain no formula; without this setting MathJax would be downloaded
        kaleido.write_fig_from_object_sync(drawn, kopts={"mathjax": False})
    except Exception as error:  # a browser may fail in any way
        raise ImageError(f"images: the browser failed ({type(error).__name__}: {error})") from error
    return tuple(order["path"] for order in drawn)


def _order(figure: ReportFigure, drawn: "Figure", path: Path) -> dict[str, Any]:
    """What kaleido draws, and into which file."""
    height = int(drawn.layout.height) + 50
    drawn.update_layout(
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        height=height,
        margin={"t": 90, "l": 20, "r": 20, "b": 20},
        title={
            "text": figure.spec.question, "x": 0.01, "y": 1, "yanchor": "top", "pad": {"t": 16},
            "font": {"size": 17},
        },
    )  # fmt: skip
    kind = path.suffix.removeprefix(".")
    scale = PNG_SCALE if kind == "png" else 1
    options = {"format": kind, "width": WIDTH, "height": height, "scale": scale}
    return {"fig": drawn, "path": path, "opts": options}
