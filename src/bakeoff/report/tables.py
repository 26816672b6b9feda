"""All tables of a report, in reading order."""

from bakeoff.records import Comparison
from bakeoff.report.cost_tables import effort_table, ledger_table
from bakeoff.report.objective_tables import objective_tables
from bakeoff.report.search_tables import (
    budget_table,
    importance_table,
    pruning_table,
    robustness_table,
)
from bakeoff.report.study_tables import configurations_table, protocol_table
from bakeoff.report.table import Table
from bakeoff.report.verdict_tables import pairs_table, results_table, verdict_table


def build_tables(comparison: Comparison) -> tuple[Table, ...]:
    """Tables T1 to T11, then T12 and T13 of studies with several objectives."""
    return (
        verdict_table(comparison),
        results_table(comparison),
        pairs_table(comparison),
        budget_table(comparison),
        effort_table(comparison),
        robustness_table(comparison),
        protocol_table(comparison),
        configurations_table(comparison),
        importance_table(comparison),
        pruning_table(comparison),
        ledger_table(comparison),
        *objective_tables(comparison),
    )
