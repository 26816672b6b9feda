"""Checks for flags: confirmation runs that failed, and a test set that gives no score."""

from collections.abc import Iterator

from bakeoff.analysis.findings import Findings
from bakeoff.analysis.problems import Problem, list_values
from bakeoff.analysis.wording import join, metric_name, p_value


def failed_units(findings: Findings) -> Iterator[Problem]:
    """Units that diverged or collapsed, and pairs of arms that were shown to differ in them."""
    failed: dict[str, str] = {}
    for pair in findings.pairs:
        for arm, count, num in zip(
            pair.names, pair.result.failed, pair.result.num_units, strict=True
        ):
            if count:
                failed[arm] = f"{count} of {num}"
    if not failed:
        return
    shown = [
        f"{join(pair.names)} ({p_value(pair.result.failure_p)})"
        for pair in findings.pairs
        if pair.result.failure_p < pair.result.alpha
    ]
    units = "searches had runs that" if findings.over_searches else "confirmation runs"
    difference = (
        f" The arms differ in how often runs fail: {join(shown)} (Boschloo, Holm)." if shown else ""
    )
    yield Problem(
        f"These {units} diverged or ended far below the others of their arm:"
        f" {list_values(failed)}.{difference}",
        failed,
    )


def undefined_test_score(findings: Findings) -> Iterator[Problem]:
    """Whether the test set was read and has no value of the objective."""
    if findings.blocked_by == "undefined_on_test":
        yield Problem(
            f"No run that ended has a {metric_name(findings.record.objective)} on the test set; its"
            " samples may all be of one class."
        )
