import math
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_rows, print_text
from bakeoff.errors import UsageError, one_line
from bakeoff.stores import check_location

if TYPE_CHECKING:
    from bakeoff.foreign import ForeignStudy
    from bakeoff.records import Comparison
    from bakeoff.report import ReportPaths


class ImageFormat(StrEnum):
    """Formats of image files."""

    PNG = "png"
    SVG = "svg"


UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
OptunaStudy = Annotated[
    str | None, typer.Option(help="A study that another program stored with Optuna.")
]
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="A CSV file with one run per row, as Weights & Biases and MLflow export them.",
        metavar="FILE",
    ),
]
MetricName = Annotated[
    str | None,
    typer.Option(
        "--metric-name",
        "--metric",
        help="Name of its objective, or of its column; if it has several, the one to compare by.",
    ),
]
MetricDirection = Annotated[
    Literal["maximize", "minimize"] | None,
    typer.Option(help="Whether larger or smaller values of a CSV file's metric are better."),
]
Sampler = Annotated[
    Literal["random", "qmc", "grid", "tpe", "gp", "cmaes", "nsga"] | None,
    typer.Option(help="The sampler that drew its trials, if you know it."),
]
Images = Annotated[
    list[ImageFormat] | None,
    typer.Option(help="Formats in which figures are also written as image files."),
]
CopyTo = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL, such as s3://bucket/reports, below which the report is also copied.",
        metavar="FOLDER|URL",
    ),
]


def report(
    names: Annotated[
        list[str] | None, typer.Argument(help="Name of a stored study.", metavar="NAME")
    ] = None,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    study: OptunaStudy = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="The parameter of that study whose values to compare.")
    ] = None,
    csv: CsvFile = None,
    metric_name: MetricName = None,
    direction: MetricDirection = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs that its runs were planned for.")
    ] = None,
    sampler: Sampler = None,
    delta: Annotated[
        float | None, typer.Option(min=0, help="Its smallest difference that matters.")
    ] = None,
    image: Images = None,
    copy_to: CopyTo = None,
    as_json: options.Json = False,
) -> None:
    """Write a study's report again: HTML, Markdown, CSV and JSON.

    With several studies, also write one report across them, which gives a verdict from six
    workloads on. Studies of other programs that use Optuna can be reported, too; they are only
    read, from SQLite, PostgreSQL or a journal file.

    Example: study report digits

    Example: study report --storage sqlite:///their.db --study tuning --arm optimizer

    Example: study report --csv runs.csv --arm optimizer --metric accuracy
    """
    if copy_to is not None:
        copy_to = check_location(copy_to, "--copy-to")
    if study is None and not arm and csv is None:
        _report_own(names or [], output, storage, image or (), copy_to, as_json=as_json)
        return
    from bakeoff.foreign import ForeignStudy

    foreign = ForeignStudy(
        location=_foreign_location(names or [], storage, study, csv),
        direction=direction,
        name=study,
        arms=tuple(arm or ()),
        metric_name=metric_name,
        epochs=epochs,
        sampler=sampler,
        delta=delta,
    )
    _report_foreign(foreign, output, image or (), copy_to, as_json=as_json)


def _foreign_location(
    names: Sequence[str], storage: str | None, study: str | None, csv: Path | None
) -> str:
    """Where the study of another program, or the file of its runs, is."""
    if names:
        raise UsageError(
            f"{names[0]!r} names a study of bakeoff; --study and --arm name one of another program"
        )
    if csv is not None and study is not None:
        raise UsageError("--study: names a study in a storage; --csv names a file of runs")
    if csv is not None:
        return f"csv:{csv}"
    if storage is None:
        raise UsageError("--storage: say where the study is stored, e.g. sqlite:///FILE")
    return storage


def _report_own(
    names: Sequence[str],
    output: Path,
    storage: str | None,
    image_formats: Sequence[str],
    copy_to: str | None,
    *,
    as_json: bool,
) -> None:
    from bakeoff.commands.reporting import (
        check_copy,
        print_study_report,
        report_facts,
        write_study_report,
    )
    from bakeoff.commands.stored_studies import open_storage

    if not names:
        raise UsageError("name a study (`study list` shows them), or another program's by --study")
    stored = open_storage(storage, output)
    for name in names:
        stored.load_config(name)  # refuses a wrong name before anything is written
        if copy_to is not None:
            check_copy(output / name, copy_to)
    found = []
    for name in dict.fromkeys(names):
        written = write_study_report(
            name, output=output, storage=storage, image_formats=image_formats
        )
        found.append(written)
        if not as_json:
            print_study_report(*written)
        _copy(written[1], copy_to, as_json=as_json)
    facts = [report_facts(*one) for one in found] if as_json else []
    if len(found) > 1:
        across = _report_across([comparison for comparison, _ in found], output, as_json=as_json)
        if as_json:
            print_json({"studies": facts, "across": across})
    elif as_json:
        print_json(facts[0])


def _copy(paths: "ReportPaths", place: str | None, *, as_json: bool) -> None:
    """Copy a report, and say where it is."""
    from bakeoff.commands.reporting import copy_report

    if place is not None:
        typer.echo(f"copied to {copy_report(paths, place)}", err=as_json)


def _report_across(
    comparisons: "Sequence[Comparison]", output: Path, *, as_json: bool
) -> dict[str, object]:
    from bakeoff.analysis.workloads import compare_workloads
    from bakeoff.report import write_workloads_report

    found = compare_workloads(comparisons)
    folder = folder_name("-and-".join(one.study.name for one in comparisons))
    page = write_workloads_report(found, output / folder)
    rows = [
        {
            "arm": arm.arm,
            "mean rank": _known(arm.mean_rank),
            "best on": arm.wins,
            "profile score": _known(arm.profile_score),
        }
        for arm in found.arms
    ]
    if not as_json:
        typer.echo()
        print_text(f"across {len(comparisons)} studies, {found.level}: {found.headline}")
        typer.echo()
        print_rows(rows)
        typer.echo(f"\nreport: {page}")
    return {
        "level": found.level,
        "headline": found.headline,
        "arms": rows,
        "report": str(page),
    }


def _known(value: float) -> float | None:
    """The number; None where no workload counted (NaN)."""
    return None if math.isnan(value) else value


def _report_foreign(
    study: "ForeignStudy",
    output: Path,
    image_formats: Sequence[str],
    copy_to: str | None,
    *,
    as_json: bool,
) -> None:
    from bakeoff.analysis.comparison import compare
    from bakeoff.analysis.draws import describe_best_pruned
    from bakeoff.commands.reporting import (
        check_copy,
        print_comparison,
        print_diagnoses,
        print_report,
        report_facts,
    )
    from bakeoff.foreign import load_foreign_study
    from bakeoff.report import write_report

    record = load_foreign_study(study)
    folder = output / folder_name(record.name)
    if copy_to is not None:
        check_copy(folder, copy_to)
    comparison = compare(record)
    paths = write_report(comparison, folder, image_formats=image_formats)
    _copy(paths, copy_to, as_json=as_json)
    if as_json:
        print_json(report_facts(comparison, paths))
        return
    print_comparison(comparison)
    for caveat in (*filter(None, [describe_best_pruned(record)]), *record.caveats):
        print_text(one_line(caveat))
    print_diagnoses(comparison)
    print_report(paths)


def folder_name(study: str) -> str:
    """A safe folder name for a study whose name may hold anything: `a/b c` gives `a-b-c`."""
    return UNSAFE.sub("-", study).strip("-.")[:100] or "study"
