"""Reports that can be shared: `write_report` writes a comparison as HTML, Markdown and CSV."""

from bakeoff.report.write import (
    ReportPaths,
    write_report,
    write_suite_report,
    write_workloads_report,
)

__all__ = ["ReportPaths", "write_report", "write_suite_report", "write_workloads_report"]
