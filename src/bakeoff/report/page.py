"""What stands on the page: tables, figures and texts, before any markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bakeoff.records import Comparison, Diagnosis, DiagnosisKind, Flag, Severity
from bakeoff.report.configurations import PastableConfiguration, pastable_configurations
from bakeoff.report.fairness_table import fairness_facts, fairness_table
from bakeoff.report.figures import FigureSpec, figures_of
from bakeoff.report.table import Table
from bakeoff.report.tables import build_tables
from bakeoff.report.tuning_tables import KNOWN
from bakeoff.report.verdict_tables import LEVELS, results_table

SEVERITIES: dict[Severity, str] = {
    "blocks": "No claim can be made",
    "provisional": "Any claim is provisional",
    "withholds": "Statements from search scores are withheld",
    "note": "Please note",
}
"""What a flag does to the verdict, worst first."""

DIAGNOSES: dict[DiagnosisKind, str] = {
    "overfitting": "Overfitting",
    "underfitting": "Underfitting",
    "still_improving": "Still improving at the end",
    "unstable": "Unstable",
    "diverging_above": "Diverging above a learning rate",
    "slow_to_converge": "Slow to converge",
    "plateaued_early": "Plateaued early",
    "waiting_for_data": "Waiting for data",
}
"""What a diagnosis is called."""


OBSERVED_COLUMNS = ("arm", "search_best", "default_score")
CONFIRMED_COLUMNS = (
    "arm", "num_seeds", "test_mean", "test_ci", "worst", "search_best", "selection_gap"
)  # fmt: skip
"""Columns of T2 at a glance, before and after confirmation."""


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """A figure with its rows; without rows it is not drawn."""

    spec: FigureSpec[Any]
    rows: tuple[Any, ...]
    caption: str

    @property
    def file_name(self) -> str:
        """Name of the CSV with the figure's rows."""
        return f"{self.name}.csv"

    @property
    def name(self) -> str:
        """Name of the figure's files, without their kind."""
        return f"{self.spec.id}-{self.spec.slug}"


@dataclass(frozen=True)
class Page:
    """Everything a template shows."""

    comparison: Comparison
    generated_at: str
    tables: tuple[Table, ...]
    figures: tuple[ReportFigure, ...]
    configurations: tuple[PastableConfiguration, ...]
    image_formats: tuple[str, ...] = ()
    """In which the figures stand beside their data, too."""

    @property
    def title(self) -> str:
        """The study's question, or its name where none was asked."""
        study = self.comparison.study
        return study.question.strip() or f"Comparison {study.name}"

    @property
    def level_text(self) -> str:
        """What the level of evidence means."""
        return LEVELS[self.comparison.level]

    @cached_property
    def flags(self) -> list[tuple[str, list[Any]]]:
        """Flags grouped by what they do to the verdict, worst first."""
        groups = (
            (text, [flag for flag in self.comparison.flags if flag.severity == severity])
            for severity, text in SEVERITIES.items()
        )
        return [(text, flags) for text, flags in groups if flags]

    @property
    def flags_by_id(self) -> list[list[Flag]]:
        """Flags with those of the same number together, in their order."""
        numbers = dict.fromkeys(flag.id for flag in self.comparison.flags)
        return [[f for f in self.comparison.flags if f.id == number] for number in numbers]

    @property
    def first_figure(self) -> ReportFigure | None:
        """The figure that carries the answer (F1), where there is anything to draw."""
        return self.figures[0] if self.figures and self.figures[0].rows else None

    @property
    def diagnoses(self) -> list[tuple[str, Diagnosis]]:
        """What the curves show, each with its name."""
        return [(DIAGNOSES[found.kind], found) for found in self.comparison.diagnoses]

    @property
    def edge_marks(self) -> list[tuple[str, Any]]:
        """Chosen values near a bound that somebody chose, with their arm."""
        return [(arm.arm, mark) for arm in self.comparison.arms for mark in arm.boundaries]

    @property
    def glance(self) -> Table:
        """The columns of T2 that answer the question."""
        return glance_table(self.comparison)

    @cached_property
    def fairness(self) -> Table:
        """What each arm got."""
        return fairness_table(self.comparison)

    @property
    def fairness_facts(self) -> tuple[str, ...]:
        """What was the same for all arms, as sentences."""
        return fairness_facts(self.comparison)

    @property
    def known_budget(self) -> Table:
        """The rows of T4 whose estimates are known."""
        return self.table("T4").where("note", KNOWN)

    def table(self, identity: str) -> Table:
        """The table called `identity`, such as `T2`."""
        return next(table for table in self.tables if table.id == identity)


def glance_table(comparison: Comparison) -> Table:
    """The columns of T2 that answer the question; without confirmation, what was observed."""
    results = results_table(comparison)
    if not any(arm.confirmed for arm in comparison.arms):
        observed = ("arm", "search_best") if comparison.study.foreign else OBSERVED_COLUMNS
        return results.shown(*observed)
    return results.shown(*CONFIRMED_COLUMNS)


def build_page(
    comparison: Comparison, *, generated_at: str, image_formats: Sequence[str] = ()
) -> Page:
    """Compute everything the report shows."""
    return Page(
        comparison=comparison,
        generated_at=generated_at,
        tables=build_tables(comparison),
        figures=tuple(_build_figure(spec, comparison) for spec in figures_of(comparison)),
        configurations=pastable_configurations(comparison),
        image_formats=tuple(image_formats),
    )


def _build_figure(spec: FigureSpec[Comparison], comparison: Comparison) -> ReportFigure:
    rows: Sequence[Any] = spec.compute(comparison)
    caption = spec.caption(comparison) if rows else ""
    return ReportFigure(spec=spec, rows=tuple(rows), caption=caption)
