"""All tables of a report, in reading order."""

from bakeoff.records import Comparison
from bakeoff.report.study_tables import configurations_table, effort_table, protocol_table
from bakeoff.report.table import Table
from bakeoff.report.verdict_tables import pairs_table, results_table, verdict_table


def build_tables(comparison: Comparison) -> tuple[Table, ...]:
    """T1 verdict, T2 results, T3 pairs, T5 effort, T7 protocol, T8 chosen configurations."""
    return (
        verdict_table(comparison),
        results_table(comparison),
        pairs_table(comparison),
        effort_table(comparison),
        protocol_table(comparison),
        configurations_table(comparison),
    )
