"""`study report`: of our own studies, and of any other Optuna study."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import typer

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.workloads import compare_workloads
from bakeoff.commands.output import print_table, print_text
from bakeoff.commands.run import print_comparison, print_diagnoses, report_study
from bakeoff.errors import UsageError, one_line
from bakeoff.records import Comparison
from bakeoff.report import write_report, write_workloads_report

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def report_own(
    names: Sequence[str],
    *,
    output: Path,
    storage_url: str | None,
    image_formats: Sequence[str] = (),
) -> None:
    """Write the report of a study of ours; of several, also one across them.

    Raises:
        UsageError: No study is named.
        BakeoffError: The storage cannot be read, or holds no such study.
    """
    if not names:
        raise UsageError("name a study (`study list` shows them), or another program's by --study")
    from bakeoff.storage import Storage
    from bakeoff.storage.database import choose_storage_url

    storage = Storage(choose_storage_url(storage_url, output))
    for name in names:
        storage.load_config(name)  # a wrong name is refused before anything is written
    comparisons = [
        report_study(name, output=output, storage_url=storage_url, image_formats=image_formats)
        for name in dict.fromkeys(names)
    ]
    if len(comparisons) > 1:
        _report_across(comparisons, output)


def _report_across(comparisons: Sequence[Comparison], output: Path) -> None:
    found = compare_workloads(comparisons)
    folder = folder_name("-and-".join(one.study.name for one in comparisons))
    page = write_workloads_report(found, output / folder)
    typer.echo()
    print_text(f"across {len(comparisons)} studies, {found.level}: {found.headline}")
    typer.echo()
    print_table(
        ["arm", "mean rank", "best on", "profile score"],
        [
            [arm.arm, _known(arm.mean_rank), arm.wins, _known(arm.profile_score)]
            for arm in found.arms
        ],
    )
    typer.echo(f"\nreport: {page}")


def _known(value: float) -> float | None:
    """The number, or nothing where no workload counted (NaN)."""
    return None if math.isnan(value) else value


def report_foreign(
    names: Sequence[str],
    *,
    output: Path,
    storage_url: str | None,
    study: str | None,
    arms: tuple[str, ...],
    metric_name: str | None,
    epochs: int | None,
    sampler: str | None,
    delta: float | None,
    image_formats: Sequence[str] = (),
) -> Comparison:
    """Write the report of a study of another program, and say what was found.

    Raises:
        UsageError: The flags do not name a storage, a study and its arms.
        StorageError: The storage cannot be read.
    """
    from bakeoff.foreign import ForeignStudy, load_foreign_study

    if names:
        raise UsageError(f"{names[0]!r} is a study of ours; --study and --arm name another's")
    if storage_url is None:
        raise UsageError("--storage: say where the study is stored, e.g. sqlite:///FILE")
    record = load_foreign_study(
        ForeignStudy(
            location=storage_url,
            name=study,
            arms=arms,
            metric_name=metric_name,
            epochs=epochs,
            sampler=sampler,
            delta=delta,
        )
    )
    comparison = compare(record)
    folder = output / folder_name(record.name)
    paths = write_report(comparison, folder, image_formats=image_formats)
    print_comparison(comparison)
    for caveat in record.caveats:
        print_text(one_line(caveat))
    print_diagnoses(comparison)
    typer.echo(f"\nreport: {paths.html}")
    return comparison


def folder_name(study: str) -> str:
    """A folder's name made of a study's, which may hold anything: `a/b c` gives `a-b-c`."""
    return UNSAFE.sub("-", study).strip("-.")[:100] or "study"
