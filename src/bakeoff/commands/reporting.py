"""Writes the report of a stored study, and prints what the study found."""

import math
from collections.abc import Sequence
from pathlib import Path

import typer

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pareto_fronts import objective_sentences
from bakeoff.commands.output import print_table, print_text
from bakeoff.commands.stored_studies import open_storage
from bakeoff.records import Comparison
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report import write_report


def report_study(
    name: str, *, output: Path, storage: str | None, image_formats: Sequence[str] = ()
) -> Comparison:
    """Write a stored study's report; print the verdict, the arms and where the report is.

    Raises:
        BakeoffError: The storage cannot be read or has no such study, or images are requested and
            cannot be drawn.
    """
    comparison = compare(open_storage(storage, output).load_record(name))
    paths = write_report(comparison, output / name, image_formats=image_formats)
    print_comparison(comparison)
    for sentence in objective_sentences(comparison.study):
        typer.echo(f"\n{sentence}")
    print_diagnoses(comparison)
    typer.echo(f"\nreport: {paths.html}")
    return comparison


def print_comparison(comparison: Comparison) -> None:
    """Print the verdict's headline and a table of the arms."""
    typer.echo(f"\n{comparison.verdict.headline}")
    if comparison.verdict.next_step:
        typer.echo(comparison.verdict.next_step)
    typer.echo()
    metric = comparison.study.objective.name
    rows: list[list[object]] = []
    for arm in comparison.arms:
        row: list[object] = [arm.arm, arm.num_trials, arm.search_best]
        if arm.confirmed is None:
            rows.append([*row, None, None, ""])
        else:
            interval = _interval(arm.confirmed.test_ci)
            rows.append([*row, len(arm.confirmed.seeds), arm.confirmed.test_mean, interval])
    headings = ["arm", "trials", f"best {metric} in search", "seeds", f"test {metric}"]
    print_table([*headings, f"{CONFIDENCE_TEXT} interval"], rows)


def print_diagnoses(comparison: Comparison) -> None:
    """Print what the arms' learning curves suggest and what to try; nothing if they are healthy."""
    if comparison.diagnoses:
        typer.echo("\nwhat the curves suggest:")
    for diagnosis in comparison.diagnoses:
        kind = diagnosis.kind.replace("_", " ")
        text = f"  {diagnosis.arm}, {kind}: {diagnosis.evidence} Try: {diagnosis.advice}"
        print_text(text, indent="    ")


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}" if all(map(math.isfinite, bounds)) else ""
