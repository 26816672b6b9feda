from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_rows, print_text
from bakeoff.commands.verbs.report import Images
from bakeoff.commands.verbs.run import Threads

if TYPE_CHECKING:
    from bakeoff.commands.suites import SuitePlace
    from bakeoff.records import Suite, SuiteFindings

SuiteFile = Annotated[Path, typer.Argument(help="Suite file (TOML).", metavar="FILE")]
Plan = Annotated[
    bool, typer.Option("--plan", help="Say what is left to run would cost, and run no study.")
]
Report = Annotated[
    bool, typer.Option("--report", help="Write the report on what there is, and run nothing.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Run only this workload; may be repeated.", metavar="WORKLOAD"),
]
StopAfter = Annotated[
    str | None,
    typer.Option(
        help="Pause after this time, such as 1h; the same command continues.", metavar="DURATION"
    ),
]


def suite(
    file: SuiteFile,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    workers: options.Workers = None,
    threads: Threads = None,
    device: options.DeviceOption = "auto",
    plan: Plan = False,
    report: Report = False,
    only: Only = None,
    stop_after: StopAfter = None,
    image: Images = None,
    as_json: options.Json = False,
) -> None:
    """Test rules of thumb on several workloads: run their studies, judge every rule.

    Studies that are finished are not run again, and others continue.

    Example: study suite studies/suite/rules.toml --stop-after 1h
    """
    from bakeoff.commands.suites import SuitePlace, plan_suite, run_suite, write_report
    from bakeoff.errors import UsageError, describe_unknown
    from bakeoff.records.durations import format_estimate
    from bakeoff.studyfile.suite_file import load_suite

    if plan and report:
        raise UsageError("--report: does not go with --plan")
    found = load_suite(file)
    names = [one.name for one in found.workloads]
    for one in only or ():
        if one not in names:
            raise UsageError(f"--only: {describe_unknown('workload', one, names)}")
    place = SuitePlace(
        folder=output / found.name,
        device=device,
        workers=workers,
        threads=threads,
        storage=storage,
        say=lambda text: typer.echo(text, err=True),
        stop_after=None
        if stop_after is None
        else options.parse_duration(stop_after, "--stop-after"),
    )
    if plan:
        cost = plan_suite(found, place, only or ())
        if as_json:
            print_json(cost)
            return
        print_rows(cost.rows)
        expected, most = (
            format_estimate(3600 * one) for one in (cost.expected_hours, cost.max_hours)
        )
        typer.echo(f"\nin all about {expected}, at most {most}")
        return
    problems = () if report else run_suite(found, place, only or ())
    findings, page = write_report(found, place, image or ())
    _conclude(found, place, findings, page, problems, as_json=as_json)


def _conclude(
    found: "Suite",
    place: "SuitePlace",
    findings: "SuiteFindings",
    page: Path | None,
    problems: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Print the verdicts, what is left to run and where the report is.

    Raises:
        DataError: Workloads are left out.
    """
    from bakeoff.commands.suites import describe_left, unfinished
    from bakeoff.errors import DataError

    left = unfinished(found, place)
    if as_json:
        facts = {"suite": found.name, "finished": not left, "left": left}
        where = None if page is None else str(page)
        print_json(
            {**facts, "headline": findings.headline, "rules": findings.rules, "report": where}
        )
    else:
        print_text(findings.headline)
        for one in findings.rules:
            print_text(f"- {one.rule.says} {one.sentence}", indent="  ")
        typer.echo()
        print_text(describe_left(left))
        if page is not None:
            typer.echo(f"report: {page}")
    if problems:
        raise DataError(f"left out: {'; '.join(problems)}")
