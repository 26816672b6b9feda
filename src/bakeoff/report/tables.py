"""All tables of a report, in reading order."""

from bakeoff.records import Comparison
from bakeoff.report.importance_table import importance_table
from bakeoff.report.ledger_table import ledger_table
from bakeoff.report.objective_tables import objective_tables
from bakeoff.report.pruning_table import pruning_table
from bakeoff.report.study_tables import configurations_table, effort_table, protocol_table
from bakeoff.report.table import Table
from bakeoff.report.tuning_tables import budget_table, robustness_table
from bakeoff.report.verdict_tables import pairs_table, results_table, verdict_table


def build_tables(comparison: Comparison) -> tuple[Table, ...]:
    """Tables T1 to T11, and T12 and T13 of studies with several objectives.

    Verdict, results, pairs, budget, effort, robustness, protocol, settings, importances,
    pruning, ledger; fronts, objectives.
    """
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
