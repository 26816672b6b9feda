"""T10: what pruning would have done to trials that it was not allowed to end."""

from bakeoff.analysis.pruning import PruningRegret, pruning_regrets
from bakeoff.records import Comparison
from bakeoff.report.numbers import interval_text, share_text
from bakeoff.report.table import Cell, Column, Table, count_cell, number_cell, text_cell

Row = tuple[Cell, ...]


def pruning_table(comparison: Comparison) -> Table:
    """Per arm: audited trials, those pruning would have ended, and how many of the best."""
    return Table(
        id="T10",
        slug="pruning",
        title="What pruning would have done to audited trials",
        columns=(
            Column(key="arm", heading="Arm"),
            Column(key="n", heading="Audited", numeric=True),
            Column(key="would_end", heading="Would have ended", numeric=True),
            Column(key="top", heading="Best tenth", numeric=True),
            Column(key="top_would_end", heading="Of those, would have ended", numeric=True),
            Column(key="regret", heading="Regret", numeric=True),
            Column(key="ci_low", heading="95 % CI low", numeric=True, shown=False),
            Column(key="ci_high", heading="95 % CI high", numeric=True, shown=False),
            Column(key="ci", heading="95 % CI", numeric=True, stored=False),
        ),
        rows=tuple(_row(found) for found in pruning_regrets(comparison.study)),
        note=(
            "Audited trials were chosen before they began and ended however they looked. Regret:"
            " share of the best tenth by final score, at least one trial an arm, that pruning would"
            " have ended; Wilson interval."
        ),
    )


def _row(found: PruningRegret) -> Row:
    low, high = found.ci
    return (
        text_cell(found.arm),
        count_cell(found.n),
        count_cell(found.would_end),
        count_cell(found.top),
        count_cell(found.top_would_end),
        Cell(found.regret, share_text(found.regret)),
        number_cell(low),
        number_cell(high),
        Cell(None, interval_text(low, high)),
    )
