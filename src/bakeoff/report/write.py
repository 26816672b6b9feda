"""Write a comparison as a folder that can be shared: HTML, Markdown, CSV and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.analysis.workloads import AcrossWorkloads
from bakeoff.files import remove_others, replace_files
from bakeoff.records import Comparison, SuiteFindings, Timing, json_text
from bakeoff.report.answer import answer_table
from bakeoff.report.configurations import FOLDER
from bakeoff.report.html import render_html
from bakeoff.report.images import IMAGE_FORMATS, check_image_export, write_images
from bakeoff.report.markdown import render_markdown
from bakeoff.report.page import Page, build_across_page, build_page
from bakeoff.report.study_tables import trials_table
from bakeoff.report.suite_page import build_suite_page
from bakeoff.report.table import Table, csv_text

COMPARISON_PARTS = (
    "level", "verdict", "arms", "pairs", "flags", "delta", "delta_source", "min_seeds",
    "test_standard_error", "diagnoses", "budget", "effort", "importances",
)  # fmt: skip
STUDY_PARTS = (
    "name", "question", "objective", "further_objectives", "score_rule", "epochs",
    "trials_per_arm", "epochs_per_arm", "seconds_per_arm", "sampler", "pruner", "confirm",
    "startup_trials", "reference",
    "num_validation", "num_test", "shared_sampler", "config_hash", "finished", "foreign", "caveats",
)  # fmt: skip
"""What `summary.json` has of a comparison and of its study."""
ENVIRONMENT_PARTS = ("environment", "protocol", "config_hash")


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """The files of a report."""

    html: Path
    markdown: Path
    summary: Path
    environment: Path
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    images: tuple[Path, ...] = ()
    configurations: tuple[Path, ...] = ()
    """Programs and study files of the configurations, the leading arm's first."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, the page last, so that a copy never lacks what its page shows."""
        return (
            *(*self.tables, *self.figures, *self.images, *self.configurations),
            *(self.environment, self.summary, self.markdown, self.html),
        )


def write_report(
    comparison: Comparison,
    directory: Path,
    *,
    generated_at: str | None = None,
    image_formats: Sequence[str] = (),
) -> ReportPaths:
    """Write the whole report into `directory`, and remove tables and figures of an earlier one.

    All files but images are replaced together. Equal comparisons give equal bytes, except for
    `generated_at` in the HTML and the Markdown.

    Args:
        comparison: What the report says.
        directory: Made if it does not exist.
        generated_at: Shown as the report's time; None takes the present, in UTC.
        image_formats: `png` and `svg` also write every figure as an image file.

    Raises:
        OutputError: A file cannot be written; nothing was changed.
        MissingDependencyError: Images are wanted, and kaleido or a browser is missing; nothing was
            written.
        ImageError: The browser failed; everything but the images was written.
    """
    if image_formats:
        check_image_export()
    page = build_page(comparison, generated_at=generated_at or _now(), image_formats=image_formats)
    study = comparison.study
    summary = {
        "study": {name: getattr(study, name) for name in STUDY_PARTS},
        **{name: getattr(comparison, name) for name in COMPARISON_PARTS},
    }
    environment = {name: getattr(study, name) for name in ENVIRONMENT_PARTS}
    pasted = {
        directory / name: text for one in page.configurations for name, text in one.files.items()
    }
    tables, figures = _write_page(
        page,
        directory,
        extra_tables=(answer_table(page.answer), page.fairness, trials_table(study)),
        data={"summary.json": summary, "environment.json": environment},
        more=pasted,
    )
    for kind in ("py", "toml"):
        remove_others(directory / FOLDER, pasted, f"*.{kind}")
    images = _write_images(page, directory, image_formats)
    return ReportPaths(
        html=directory / "index.html",
        markdown=directory / "report.md",
        summary=directory / "summary.json",
        environment=directory / "environment.json",
        tables=tables,
        figures=figures,
        images=images,
        configurations=tuple(pasted) if any(one.is_program for one in page.configurations) else (),
    )


def write_workloads_report(
    found: AcrossWorkloads, directory: Path, *, generated_at: str | None = None
) -> Path:
    """Write HTML, Markdown, CSV and JSON into `directory`; the HTML's path is returned.

    Args:
        found: What the report says.
        directory: Made if it does not exist; each study's report is expected next to it.
        generated_at: Shown as the report's time; None takes the present, in UTC.
    """
    summary = {
        "level": found.level,
        "headline": found.headline,
        "workloads": [one.study.name for one in found.counted],
        "arms": found.arms,
        "pairs": found.pairs,
        "test": found.test,
        "notes": found.notes,
    }
    page = build_across_page(found, generated_at=generated_at or _now())
    _write_page(page, directory, data={"summary.json": summary})
    return directory / "index.html"


def write_suite_report(
    found: SuiteFindings,
    comparisons: Mapping[str, Comparison],
    directory: Path,
    *,
    generated_at: str | None = None,
    timings: Sequence[Timing] = (),
    image_formats: Sequence[str] = (),
) -> Path:
    """Write HTML, Markdown, CSV and JSON into `directory`; the HTML's path is returned.

    Args:
        found: What the report says.
        comparisons: The studies of the suite by workload.
        directory: Made if it does not exist.
        generated_at: Shown as the report's time; None takes the present, in UTC.
        timings: What was timed.
        image_formats: `png` and `svg` also write every figure as an image file.

    Raises:
        OutputError: A file cannot be written; nothing was changed.
        MissingDependencyError: See `write_report`.
        ImageError: See `write_report`.
    """
    if image_formats:
        check_image_export()
    page = build_suite_page(
        found,
        comparisons,
        generated_at=generated_at or _now(),
        timings=timings,
        image_formats=tuple(image_formats),
    )
    summary = {
        "suite": found.suite.name,
        "headline": found.headline,
        "commit": found.commit,
        "rules": found.rules,
        "notes": found.notes,
        "studies": {name: one.study.name for name, one in comparisons.items()},
        "environments": {name: one.study.environment for name, one in comparisons.items()},
    }
    _write_page(page, directory, data={"summary.json": summary})
    _write_images(page, directory, image_formats)
    return directory / "index.html"


def _write_images(page: Page[Any], directory: Path, formats: Sequence[str]) -> tuple[Path, ...]:
    """Write the figures in these formats, and remove images of an earlier report."""
    folder = directory / "figures"
    images = write_images(page, folder, formats) if formats else ()
    for kind in IMAGE_FORMATS:
        remove_others(folder, images, f"F*.{kind}")
    return images


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _write_page(
    page: Page[Any],
    directory: Path,
    *,
    extra_tables: Sequence[Table] = (),
    data: Mapping[str, object],
    more: Mapping[Path, str] | None = None,
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Write all files but images; paths of the CSV files of its tables and of its figures."""
    tables = {
        directory / "tables" / table.file_name: table.csv()
        for table in (*page.tables, *extra_tables)
    }
    figures = {
        directory / "figures" / figure.file_name: csv_text(figure.spec.columns, figure.rows)
        for figure in page.figures
    }
    others = {
        **{directory / name: json_text(value) for name, value in data.items()},
        directory / "report.md": render_markdown(page),
        directory / "index.html": render_html(page),
    }
    replace_files({**tables, **figures, **others, **(more or {})})
    remove_others(directory / "tables", tables, "*.csv")
    remove_others(directory / "figures", figures, "*.csv")
    return tuple(tables), tuple(figures)
