"""Each module here is a figure of the report: `compute_*` returns the rows that `draw_*` draws.

To add a figure, write a module in this folder with a `FigureSpec` named `FIGURE`. Nothing else is
needed: the report draws it, writes its rows as CSV, and the tests of all figures cover it.
"""

from importlib import import_module
from pkgutil import iter_modules

from bakeoff.records import Comparison
from bakeoff.report.figures.spec import FigureSpec


def find_figures() -> tuple[FigureSpec[Comparison], ...]:
    """Collect the `FIGURE` of every module in this folder, in the order of their numbers."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = [module.FIGURE for module in modules if hasattr(module, "FIGURE")]
    for figure in found:
        if not isinstance(figure, FigureSpec):
            raise TypeError(f"{figure!r}: a FIGURE in {__name__} must be a FigureSpec")
    return tuple(sorted(found, key=lambda spec: int(spec.id.removeprefix("F"))))


ALL_FIGURES = find_figures()
FIGURES = tuple(spec for spec in ALL_FIGURES if not spec.for_several_objectives)
"""The figures of every report."""


def figures_of(comparison: Comparison) -> tuple[FigureSpec[Comparison], ...]:
    """Return the figures of a report, including those that have nothing to draw yet."""
    return ALL_FIGURES if comparison.study.further_objectives else FIGURES


__all__ = ["ALL_FIGURES", "FIGURES", "FigureSpec", "figures_of", "find_figures"]
