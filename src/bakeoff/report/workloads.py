"""The report on several studies together: what holds across workloads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.analysis.wording import join, metric_phrase
from bakeoff.analysis.workloads import AcrossWorkloads
from bakeoff.files import remove_others, write_atomically
from bakeoff.records import as_plain, json_text
from bakeoff.report.figures.workload_ranks import ACROSS_FIGURES
from bakeoff.report.html import render_workloads_html
from bakeoff.report.markdown import render_workloads_markdown
from bakeoff.report.numbers import p_text
from bakeoff.report.page import ReportFigure
from bakeoff.report.table import (
    Cell,
    Column,
    Table,
    count_cell,
    csv_text,
    number_cell,
    text_cell,
)

LEVEL_TEXTS: Mapping[str, str] = {
    "L3": "across workloads: ranks of confirmed configurations were tested over the workloads",
    "L1": "each workload on its own: too few workloads for a test across them",
    "L0": "exploratory: no workload has confirmed runs of all arms",
}


@dataclass(frozen=True)
class AcrossPage:
    """Everything the templates show."""

    found: AcrossWorkloads
    generated_at: str
    tables: tuple[Table, ...]
    figures: tuple[ReportFigure, ...]
    image_formats: tuple[str, ...] = ()
    """None: the figures stand in the page and as data."""

    @property
    def title(self) -> str:
        """The question all studies share."""
        return f"Which of {join(self.found.arm_names)} ranks highest across workloads?"

    @property
    def level_text(self) -> str:
        """What the level of evidence means."""
        return LEVEL_TEXTS[self.found.level]


def write_workloads_report(
    found: AcrossWorkloads, directory: Path, *, generated_at: str | None = None
) -> Path:
    """Write HTML, Markdown, CSV and JSON into `directory`; the HTML's path is returned.

    Args:
        found: What the report says.
        directory: Made if it does not exist; each study's report is linked beside it.
        generated_at: Shown as the report's time; None takes the present, in UTC.
    """
    page = build_across_page(
        found, generated_at or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    )
    texts = {
        **{directory / "tables" / table.file_name: table.csv() for table in page.tables},
        **{
            directory / "figures" / figure.file_name: csv_text(figure.spec.columns, figure.rows)
            for figure in page.figures
        },
        directory / "summary.json": json_text(summary_of(found)),
        directory / "report.md": render_workloads_markdown(page),
        directory / "index.html": render_workloads_html(page),
    }
    for path, text in texts.items():
        write_atomically(path, text)
    for folder in ("tables", "figures"):
        remove_others(directory / folder, texts, "*.csv")
    return directory / "index.html"


def build_across_page(found: AcrossWorkloads, generated_at: str) -> AcrossPage:
    """Compute everything the report shows."""
    figures = []
    for spec in ACROSS_FIGURES:
        rows: tuple[Any, ...] = tuple(spec.compute(found))
        caption = spec.caption(found) if rows else ""
        figures.append(ReportFigure(spec=spec, rows=rows, caption=caption))
    return AcrossPage(
        found=found,
        generated_at=generated_at,
        tables=(arms_table(found), pairs_table(found), workloads_table(found)),
        figures=tuple(figures),
    )


def summary_of(found: AcrossWorkloads) -> dict[str, Any]:
    """What was found, as plain data."""
    summary: dict[str, Any] = as_plain(
        {
            "level": found.level,
            "headline": found.headline,
            "workloads": [one.study.name for one in found.counted],
            "arms": found.arms,
            "pairs": found.pairs,
            "test": found.test,
            "notes": found.notes,
        }
    )
    return summary


def arms_table(found: AcrossWorkloads) -> Table:
    """Per arm: mean rank, workloads won, profile score."""
    return Table(
        id="A1",
        slug="arms",
        title="Arms across workloads",
        columns=(
            Column(key="arm", heading="Arm"),
            Column(key="mean_rank", heading="Mean rank", numeric=True),
            Column(key="wins", heading="Best on", numeric=True),
            Column(key="num_workloads", heading="Workloads", numeric=True),
            Column(key="profile_score", heading="Profile score", numeric=True),
        ),
        rows=tuple(
            (
                text_cell(arm.arm),
                number_cell(arm.mean_rank),
                count_cell(arm.wins),
                count_cell(len(found.counted)),
                number_cell(arm.profile_score),
            )
            for arm in found.arms
        ),
        note=(
            "Ranks are of confirmed test means, 1 is best. Profile score: area under the profile of"
            " epochs to the target between 1 and 4 times the best arm's, 1 where an arm is always"
            " the fastest."
        ),
    )


def pairs_table(found: AcrossWorkloads) -> Table:
    """Per pair of arms: difference of mean ranks and its p value."""
    return Table(
        id="A2",
        slug="pairs",
        title="Pairs of arms across workloads",
        columns=(
            Column(key="a", heading="Arm A"),
            Column(key="b", heading="Arm B"),
            Column(key="rank_difference", heading="B's mean rank minus A's", numeric=True),
            Column(key="p", heading="p, all pairs", numeric=True),
            Column(key="shown", heading="Shown"),
        ),
        rows=tuple(
            (
                text_cell(pair.a),
                text_cell(pair.b),
                number_cell(pair.rank_difference),
                Cell(pair.p, p_text(pair.p)),
                Cell(pair.shown, "yes" if pair.shown else "no"),
            )
            for pair in found.pairs
        ),
    )


def workloads_table(found: AcrossWorkloads) -> Table:
    """Per workload and arm: confirmed mean, rank, and epochs to the target over the best arm's."""
    rows = []
    for line, comparison in enumerate(found.counted):
        metric = comparison.study.objective
        for place, arm in enumerate(found.arm_names):
            rows.append(
                (
                    text_cell(comparison.study.name),
                    text_cell(arm),
                    text_cell(metric_phrase(metric)),
                    number_cell(metric.sign * float(found.scores[line, place])),
                    number_cell(float(found.ranks[line, place])),
                    number_cell(float(np.round(found.ratios[line, place], 12))),
                )
            )
    return Table(
        id="A3",
        slug="workloads",
        title="Every workload",
        columns=(
            Column(key="workload", heading="Workload"),
            Column(key="arm", heading="Arm"),
            Column(key="metric", heading="Metric"),
            Column(key="test_mean", heading="Test mean", numeric=True),
            Column(key="rank", heading="Rank", numeric=True),
            Column(key="epochs_ratio", heading="Epochs to target / best", numeric=True),
        ),
        rows=tuple(rows),
    )
