"""Write a comparison as a folder that can be shared: HTML, Markdown, CSV and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.files import remove_others, write_atomically
from bakeoff.records import Comparison, as_plain, json_text
from bakeoff.report.html import render_html
from bakeoff.report.images import check_image_export, remove_images, write_images
from bakeoff.report.markdown import render_markdown
from bakeoff.report.page import Page, build_page
from bakeoff.report.study_tables import trials_table
from bakeoff.report.table import csv_text

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


def write_report(
    comparison: Comparison,
    directory: Path,
    *,
    generated_at: str | None = None,
    image_formats: Sequence[str] = (),
) -> ReportPaths:
    """Write the whole report into `directory`, and remove tables and figures of an earlier one.

    Each file is replaced at once. Equal comparisons give equal bytes, but for `generated_at` in the
    HTML and the Markdown.

    Args:
        comparison: What the report says.
        directory: Made if it does not exist.
        generated_at: Shown as the report's time; None takes the present, in UTC.
        image_formats: `png` and `svg` draw every figure as such a file beside its data, too.

    Raises:
        MissingDependencyError: Images are wanted, and kaleido or a browser is missing; nothing was
            written.
        ImageError: The browser failed; everything but the images was written.
    """
    if image_formats:
        check_image_export()
    now = generated_at or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = build_page(comparison, generated_at=now, image_formats=image_formats)
    paths = ReportPaths(
        html=directory / "index.html",
        markdown=directory / "report.md",
        summary=directory / "summary.json",
        environment=directory / "environment.json",
        tables=_write_tables(page, directory / "tables"),
        figures=_write_figures(page, directory / "figures"),
    )
    write_atomically(paths.summary, json_text(summary_of(comparison)))
    write_atomically(paths.environment, json_text(environment_of(comparison)))
    write_atomically(paths.markdown, render_markdown(page))
    write_atomically(paths.html, render_html(page))
    folder = directory / "figures"
    images = write_images(page, folder, image_formats) if image_formats else ()
    remove_images(folder, images)
    return replace(paths, images=images)


def _write_tables(page: Page, directory: Path) -> tuple[Path, ...]:
    texts = {
        directory / table.file_name: table.csv()
        for table in (*page.tables, page.fairness, trials_table(page.comparison.study))
    }
    return _write_csv(texts, directory)


def _write_figures(page: Page, directory: Path) -> tuple[Path, ...]:
    texts = {
        directory / figure.file_name: csv_text(figure.spec.columns, figure.rows)
        for figure in page.figures
    }
    return _write_csv(texts, directory)


def _write_csv(texts: Mapping[Path, str], directory: Path) -> tuple[Path, ...]:
    for path, text in texts.items():
        write_atomically(path, text)
    remove_others(directory, texts, "*.csv")
    return tuple(texts)


def summary_of(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison as plain data, with the study's settings but without its runs."""
    study = {name: getattr(comparison.study, name) for name in STUDY_PARTS}
    found = {name: getattr(comparison, name) for name in COMPARISON_PARTS}
    summary: dict[str, Any] = as_plain({"study": study, **found})
    return summary


def environment_of(comparison: Comparison) -> dict[str, Any]:
    """Where and how the study was run, as plain data."""
    study = comparison.study
    return {
        "environment": dict(study.environment),
        "protocol": dict(study.protocol),
        "config_hash": study.config_hash,
    }
