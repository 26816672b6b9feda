"""T9: what mattered inside each arm."""

from bakeoff.analysis.importance import MIN_TRIALS, MIN_TRIALS_FOR_TOP
from bakeoff.records import Comparison, Importance
from bakeoff.report.numbers import MISSING, share_text
from bakeoff.report.table import Cell, Column, Table, count_cell, text_cell

Row = tuple[Cell, ...]


def importance_table(comparison: Comparison) -> Table:
    """Per arm and searched parameter: its two shares with their ranges; empty without enough."""
    columns = (
        Column(key="arm", heading="Arm"),
        Column(key="parameter", heading="Parameter"),
        *_share_columns("whole", "Moves the score"),
        *_share_columns("top", "Leads to the best tenth"),
        Column(key="n", heading="Trials", numeric=True),
        Column(key="n_with", heading="With the parameter", numeric=True),
    )
    return Table(
        id="T9",
        slug="importances",
        title="What mattered inside each arm",
        columns=columns,
        rows=tuple(_row(found) for found in comparison.importances),
        note=(
            "Shares of an arm sum to 1 and are relative to the ranges searched. Moves the score:"
            " over the whole space, bad regions included; loss of accuracy of random forests when"
            f" the values are shuffled (from {MIN_TRIALS} trials with a known score). Leads to the"
            " best tenth: how differently the values are distributed there (PED-ANOVA, from"
            f" {MIN_TRIALS_FOR_TOP} trials). In brackets the least and greatest of five forests or"
            " resamples, which is no confidence interval. A sampler that learns has drawn more"
            " trials where it was good, which blurs both."
        ),
    )


def _share_columns(key: str, heading: str) -> tuple[Column, ...]:
    return (
        Column(key=key, heading=heading, numeric=True, shown=False),
        Column(key=f"{key}_low", heading=f"{heading}, least", numeric=True, shown=False),
        Column(key=f"{key}_high", heading=f"{heading}, greatest", numeric=True, shown=False),
        Column(key=f"{key}_text", heading=heading, numeric=True, stored=False),
    )


def _row(found: Importance) -> Row:
    return (
        text_cell(found.arm),
        text_cell(found.parameter),
        *_share_cells(found.whole),
        *_share_cells(found.top),
        count_cell(found.n),
        count_cell(found.n_with),
    )


def _share_cells(shares: tuple[float, float, float] | None) -> Row:
    if shares is None:
        return (*(Cell(None, MISSING) for _ in range(4)),)
    middle, low, high = map(share_text, shares)
    numbers = (Cell(share, share_text(share)) for share in shares)
    return (*numbers, Cell(None, f"{middle} [{low}, {high}]"))
