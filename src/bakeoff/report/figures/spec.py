"""Defines what a figure is, and reads from the records what several figures need."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bakeoff.records import Comparison
from bakeoff.report.figures.style import Figure

Row = tuple[Any, ...]
Subject = TypeVar("Subject")
"""What a figure is about: one comparison, or several studies together."""

MIN_DRAWS = 5
"""With fewer random trials of an arm, not even the best of k = 1 is supported."""


@dataclass(frozen=True, kw_only=True)
class FigureSpec(Generic[Subject]):
    """One figure: the question it answers, its rows, its drawing and its caption.

    The rows are named tuples. They are also the figure's CSV file, so everything that is drawn is
    also written down. A figure without rows is not drawn, and the report shows `needs` instead.
    """

    id: str
    """`F` and a number; figures are shown in the order of their numbers."""
    slug: str
    """Short name in file names."""
    question: str
    row_type: type[Row]
    compute: Callable[[Subject], Sequence[Any]]
    draw: Callable[[Sequence[Any], Subject], Figure]
    caption: Callable[[Subject], str]
    needs: str
    """What is missing where there are no rows."""
    for_several_objectives: bool = False
    """Whether only a study with several objectives has this figure."""
    on_dashboard: bool = False
    """Whether it is also shown in optuna-dashboard."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of a row's fields."""
        return tuple(getattr(self.row_type, "_fields", ()))


def seeds_text(comparison: Comparison) -> str:
    """Write the number of confirmation seeds for captions, arm by arm where arms differ."""
    arms = ((one.arm, one.confirmed) for one in comparison.arms)
    return f"K = {counts_text([(arm, len(runs.seeds) if runs else 0) for arm, runs in arms])}"


def counts_text(counts: Sequence[tuple[str, int]], *, are_all: bool = True) -> str:
    """Write numbers for captions: `8 in every arm`, or the number of each arm if they differ.

    Args:
        counts: Arm and number, in order.
        are_all: Whether these are all arms of the study; otherwise each is listed.
    """
    if counts and len({count for _, count in counts}) == 1 and are_all:
        return f"{counts[0][1]} in every arm"
    return ", ".join(f"{count} for {arm}" for arm, count in counts)
