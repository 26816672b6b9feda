"""What a report page shows: tables, figures and texts, before any markup."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from bakeoff.analysis.wording import join, plural
from bakeoff.analysis.workloads import AcrossWorkloads
from bakeoff.errors import describe_error
from bakeoff.records import (
    BoundaryMark,
    Comparison,
    Diagnosis,
    DiagnosisKind,
    Flag,
    Severity,
    StudyRecord,
)
from bakeoff.report.answer import Answer, build_answer, without_scope
from bakeoff.report.configurations import PastableConfiguration, pastable_configurations
from bakeoff.report.cost_tables import effort_table, fairness_facts, fairness_table, ledger_table
from bakeoff.report.figures import FigureSpec, figures_of
from bakeoff.report.figures.spec import Subject
from bakeoff.report.figures.style import Figure
from bakeoff.report.figures.workload_ranks import ACROSS_FIGURES
from bakeoff.report.glossary import used_words
from bakeoff.report.numbers import duration_text
from bakeoff.report.objective_tables import objective_tables
from bakeoff.report.search_tables import (
    budget_table,
    importance_table,
    pruning_table,
    robustness_table,
)
from bakeoff.report.study_tables import configurations_table, protocol_table
from bakeoff.report.table import Table
from bakeoff.report.verdict_tables import LEVELS, pairs_table, results_table, verdict_table
from bakeoff.report.workload_tables import across_tables

SEVERITIES: dict[Severity, str] = {
    "blocks": "No claim can be made",
    "provisional": "Any claim is provisional",
    "withholds": "Statements from search scores are withheld",
    "note": "Please note",
}
"""The effect of a flag on the verdict, worst first."""

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
"""The name of each kind of diagnosis."""

OPEN_FIGURES = ("F1", "F2")
"""Figures that are not folded: the scores and the differences between them."""

ACROSS_LEVELS: Mapping[str, str] = {
    "L3": "across workloads: the ranks of confirmed configurations were tested over the workloads",
    "L1": "each workload on its own: there are too few workloads for a test across them",
    "L0": "exploratory: no workload has confirmed runs of all arms",
}


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """A figure with its rows; without rows it is not drawn."""

    spec: FigureSpec[Any]
    rows: tuple[Any, ...]
    caption: str
    failure: str = ""
    """Why its rows could not be computed; empty if they could."""

    @property
    def is_open(self) -> bool:
        """Whether a page shows it without being asked."""
        return self.spec.id in OPEN_FIGURES

    def drawn(self, subject: object) -> "tuple[Figure | None, str]":
        """The drawing, or why there is none: no single figure may keep a report from its reader."""
        if not self.rows:
            return None, self.failure
        try:
            return self.spec.draw(self.rows, subject), ""
        except Exception as error:  # noqa: BLE001 - a figure may fail in any way on an odd study
            return None, describe_error(error, names_own=True)

    @property
    def name(self) -> str:
        """Name of the figure's files, without the suffix."""
        return f"{self.spec.id}-{self.spec.slug}"

    @property
    def file_name(self) -> str:
        """Name of the CSV file with the figure's rows."""
        return f"{self.name}.csv"


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Subject]):
    """Everything a template shows, on one study or on several."""

    template: str
    """Name of the HTML and Markdown templates, without the suffix."""
    subject: Subject
    """What the report is about."""
    study: StudyRecord | None
    """The study whose order of arms decides their colours; None without any arm."""
    title: str
    level_text: str
    """What the level of evidence means."""
    generated_at: str
    tables: tuple[Table, ...]
    figures: tuple[ReportFigure, ...]
    image_formats: tuple[str, ...] = ()
    """Formats in which figures are also written as image files."""

    def table(self, identity: str) -> Table:
        """The table called `identity`, such as `T2`."""
        return next(table for table in self.tables if table.id == identity)


@dataclass(frozen=True, kw_only=True)
class StudyPage(Page[Comparison]):
    """The report on one study."""

    glance: Table
    """The columns of T2 that answer the question."""
    fairness: Table
    """What each arm got."""
    fairness_facts: tuple[str, ...]
    """What was the same for all arms, as sentences."""
    configurations: tuple[PastableConfiguration, ...]
    answer: Answer

    @property
    def sentences(self) -> list[str]:
        """The verdict's sentences without the scope, which is said once for all of them."""
        verdict = self.subject.verdict
        return [
            without_scope(one.replace(f"; this applies to {verdict.scope}", ""))
            for one in verdict.sentences
        ]

    @property
    def words(self) -> list[tuple[str, str]]:
        """The words of level, tables and captions that a reader need not know, explained."""
        headings = (column.heading for one in self.tables for column in one.columns)
        texts = (self.subject.level, *headings, *(one.note for one in self.tables))
        return list(used_words(" ".join([*texts, *(one.caption for one in self.figures)])))

    @property
    def words_hint(self) -> str:
        """What the folded sentences hold."""
        return plural(len(self.subject.verdict.sentences), "sentence")

    @property
    def fairness_hint(self) -> str:
        """What the folded section on fairness holds."""
        flags = plural(len(self.subject.flags), "flag")
        return f"budgets, outcomes, values at an edge, {flags}"

    @property
    def effort_hint(self) -> str:
        """What the search cost, in few words."""
        arms = self.subject.arms
        trials = plural(sum(arm.num_trials for arm in arms), "trial")
        seconds = sum(arm.train_seconds + arm.evaluate_seconds for arm in arms)
        took = f", {duration_text(seconds)}" if math.isfinite(seconds) else ""
        return f"the search: {trials}{took}"

    @property
    def diagnoses_hint(self) -> str:
        """How many hints there are."""
        return plural(len(self.subject.diagnoses), "hint")

    @property
    def flags(self) -> list[tuple[str, list[Flag]]]:
        """Flags grouped by their effect on the verdict, worst first."""
        groups = (
            (text, [flag for flag in self.subject.flags if flag.severity == severity])
            for severity, text in SEVERITIES.items()
        )
        return [(text, flags) for text, flags in groups if flags]

    @property
    def first_figure(self) -> ReportFigure | None:
        """The figure that carries the answer (F1), where there is anything to draw."""
        return self.figures[0] if self.figures and self.figures[0].rows else None

    @property
    def diagnoses(self) -> list[tuple[str, Diagnosis]]:
        """What the curves show, each with its name."""
        return [(DIAGNOSES[found.kind], found) for found in self.subject.diagnoses]

    @property
    def edge_marks(self) -> list[tuple[str, BoundaryMark]]:
        """Arms and their chosen values near a bound that somebody chose."""
        return [(arm.arm, mark) for arm in self.subject.arms for mark in arm.boundaries]


def glance_table(comparison: Comparison) -> Table:
    """The columns of T2 that answer the question; without confirmation, what was observed."""
    if any(arm.confirmed for arm in comparison.arms):
        keys = "num_seeds test_mean test_ci worst search_best selection_gap"
    else:
        keys = "search_best" if comparison.study.foreign else "search_best default_score"
    return results_table(comparison).shown("arm", *keys.split())


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


def build_page(
    comparison: Comparison, *, generated_at: str, image_formats: Sequence[str] = ()
) -> StudyPage:
    """Compute everything that the report on one study shows."""
    study = comparison.study
    configurations = pastable_configurations(comparison)
    return StudyPage(
        template="report",
        subject=comparison,
        study=study,
        title=study.question.strip() or f"Comparison {study.name}",
        level_text=LEVELS[comparison.level],
        generated_at=generated_at,
        tables=build_tables(comparison),
        figures=_build_figures(figures_of(comparison), comparison),
        image_formats=tuple(image_formats),
        glance=glance_table(comparison),
        fairness=fairness_table(comparison),
        fairness_facts=fairness_facts(comparison),
        configurations=configurations,
        answer=build_answer(comparison, configurations),
    )


def build_across_page(found: AcrossWorkloads, *, generated_at: str) -> Page[AcrossWorkloads]:
    """Compute everything that the report on several studies shows."""
    return Page(
        template="workloads",
        subject=found,
        study=found.comparisons[0].study,
        title=f"Which of {join(found.arm_names)} ranks highest across workloads?",
        level_text=ACROSS_LEVELS[found.level],
        generated_at=generated_at,
        tables=across_tables(found),
        figures=_build_figures(ACROSS_FIGURES, found),
    )


def _build_figures(specs: Iterable[FigureSpec[Any]], subject: object) -> tuple[ReportFigure, ...]:
    return tuple(build_figure(spec, subject) for spec in specs)


def build_figure(spec: FigureSpec[Any], subject: object) -> ReportFigure:
    """A figure with its rows, or with the reason why they could not be computed."""
    try:
        rows = tuple(spec.compute(subject))
        caption = spec.caption(subject) if rows else ""
    except Exception as error:  # noqa: BLE001 - as in `ReportFigure.drawn`
        return ReportFigure(
            spec=spec, rows=(), caption="", failure=describe_error(error, names_own=True)
        )
    return ReportFigure(spec=spec, rows=rows, caption=caption)
