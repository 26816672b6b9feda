"""The report's figures, one file each: `compute_*` gives its rows, `draw_*` draws those rows.

To add a figure, write a file with its `FigureSpec` and add it to `FIGURES`: the report draws it,
writes its rows as CSV and tests it.
"""

from bakeoff.records import Comparison
from bakeoff.report.figures.best_arm import BEST_ARM
from bakeoff.report.figures.best_of_k import BEST_OF_K
from bakeoff.report.figures.confirmed_scores import CONFIRMED_SCORES
from bakeoff.report.figures.learning_curves import LEARNING_CURVES
from bakeoff.report.figures.learning_rates import LEARNING_RATES
from bakeoff.report.figures.pair_differences import PAIR_DIFFERENCES
from bakeoff.report.figures.parameters import PARAMETERS
from bakeoff.report.figures.pareto_front import PARETO_FRONT
from bakeoff.report.figures.pruning_audit import PRUNING_AUDIT
from bakeoff.report.figures.score_distribution import SCORE_DISTRIBUTION
from bakeoff.report.figures.search_progress import SEARCH_PROGRESS
from bakeoff.report.figures.spec import FigureSpec

FIGURES: tuple[FigureSpec[Comparison], ...] = (
    CONFIRMED_SCORES,
    PAIR_DIFFERENCES,
    BEST_OF_K,
    SEARCH_PROGRESS,
    BEST_ARM,
    LEARNING_RATES,
    SCORE_DISTRIBUTION,
    LEARNING_CURVES,
    PARAMETERS,
    PRUNING_AUDIT,
)


def figures_of(comparison: Comparison) -> tuple[FigureSpec[Comparison], ...]:
    """The figures of a report: one more where a study has several objectives."""
    return (*FIGURES, PARETO_FRONT) if comparison.study.further_objectives else FIGURES


__all__ = ["FIGURES", "FigureSpec", "figures_of"]
