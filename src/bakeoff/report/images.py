"""The report's figures as PNG or SVG files, drawn by a Chrome or Chromium that is installed."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, MissingDependencyError
from bakeoff.report.page import Page, ReportFigure

IMAGE_FORMATS = ("png", "svg")
WIDTH = 1000
PNG_SCALE = 2
"""Pixels per point, so that a PNG is sharp in print and on dense screens."""
PAPER = "#ffffff"


class ImageError(BakeoffError):
    """The browser did not draw a figure; the message says why."""


def check_image_export() -> None:
    """Find kaleido and a browser.

    Raises:
        MissingDependencyError: One of them is not installed; the message says how to get it.
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
        directory: Where the CSV files of the figures are; made if it does not exist.
        formats: Of `IMAGE_FORMATS`.

    Raises:
        MissingDependencyError: See `check_image_export`.
        ImageError: The browser failed.
    """
    check_image_export()
    import kaleido

    directory.mkdir(parents=True, exist_ok=True)
    drawn = [
        (figure, directory / image_name(figure, kind))
        for figure in page.figures
        for kind in formats
        if figure.rows
    ]
    # no formula is typeset, so nothing is fetched for it
    settings = {"mathjax": False}
    try:
        kaleido.write_fig_from_object_sync(
            [_order(figure, page, path) for figure, path in drawn], kopts=settings
        )
    except Exception as error:  # a browser may fail in any way
        raise ImageError(f"images: the browser failed ({type(error).__name__}: {error})") from error
    return tuple(path for _, path in drawn)


def remove_images(directory: Path, kept: Iterable[Path]) -> None:
    """Remove images of an earlier report, except those in `kept`."""
    names = {path.name for path in kept}
    for kind in IMAGE_FORMATS:
        for path in directory.glob(f"F*.{kind}"):
            if path.name not in names:
                path.unlink()


def image_name(figure: ReportFigure, kind: str) -> str:
    """Name of a figure's image."""
    return f"{figure.name}.{kind}"


def _order(figure: ReportFigure, page: Page[Any], path: Path) -> dict[str, Any]:
    """What kaleido is to draw, and where to."""
    drawn = figure.spec.draw(figure.rows, page.subject)
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
