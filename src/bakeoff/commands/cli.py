"""The command `study`: one function per verb, which imports what it needs when it runs.

Flags say where and how much, never what: that is the study file's. Results go to stdout, progress
and errors to stderr.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bakeoff.commands.cli_runs import run_app
from bakeoff.commands.options import (
    RESULTS,
    Device,
    DeviceOption,
    ForeignSampler,
    ImageFormat,
    Json,
    NameArgument,
    Output,
    StorageOption,
    StudyFileArgument,
    StudyThreads,
    Timeout,
    Workers,
)
from bakeoff.errors import BakeoffError, one_line
from bakeoff.version import __version__

app = typer.Typer(
    name="study",
    help="Which optimizer and schedule for my PyTorch model and my data, how sure are we, and what"
    " did it cost?",
    no_args_is_help=True,
    context_settings={"max_content_width": 120},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
    file: StudyFileArgument,
    output: Output = RESULTS,
    storage: StorageOption = None,
    workers: Workers = None,
    threads: StudyThreads = None,
    device: DeviceOption = Device.CPU,
    timeout: Timeout = None,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Let the file add trials or arms to the stored study."),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Begin each arm of a new study with the best configurations of this stored one.",
            metavar="STUDY",
        ),
    ] = None,
) -> None:
    """Run a study, or continue it: search, confirm, report.

    Example: study run studies/digits.toml
    """
    from bakeoff.commands.run import run_and_report

    run_and_report(
        file,
        output=output,
        storage_url=storage,
        workers=workers,
        threads=threads,
        device=device.value,
        timeout=timeout,
        extends=extend,
        source=source,
    )


app.add_typer(run_app)


@app.command()
def plan(
    file: StudyFileArgument,
    workers: Workers = None,
    device: DeviceOption = Device.CPU,
    as_json: Json = False,
) -> None:
    """Say what a study would cost and could find out, from a probe of a few seconds.

    Example: study plan studies/fashion-cnn.toml
    """
    from bakeoff.commands.run import plan_study

    plan_study(file, workers=workers, device=device.value, as_json=as_json)


@app.command()
def status(
    name: NameArgument,
    output: Output = RESULTS,
    storage: StorageOption = None,
    as_json: Json = False,
) -> None:
    """Show a study's arms, budgets, best scores and what is running.

    Example: study status digits
    """
    from bakeoff.commands.show import show_status

    show_status(name, output=output, storage_url=storage, as_json=as_json)


@app.command("list")
def list_studies(
    output: Output = RESULTS, storage: StorageOption = None, as_json: Json = False
) -> None:
    """List the stored studies.

    Example: study list
    """
    from bakeoff.commands.show import show_studies

    show_studies(output=output, storage_url=storage, as_json=as_json)


@app.command()
def show(
    name: NameArgument,
    run: Annotated[
        str | None,
        typer.Argument(
            help="One trial by its number, or a run such as confirm-3, epoch by epoch.",
            metavar="RUN",
        ),
    ] = None,
    output: Output = RESULTS,
    storage: StorageOption = None,
    as_json: Json = False,
) -> None:
    """Show a study's trials and confirmation runs, or one of them epoch by epoch.

    Example: study show digits 12

    Example: study show digits confirm-3
    """
    from bakeoff.commands.show import show_trials

    show_trials(name, run, output=output, storage_url=storage, as_json=as_json)


@app.command()
def report(
    names: Annotated[
        list[str] | None, typer.Argument(help="Name of a stored study.", metavar="NAME")
    ] = None,
    output: Output = RESULTS,
    storage: StorageOption = None,
    study: Annotated[
        str | None, typer.Option(help="A study that another program stored with Optuna.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Its parameter whose values are compared.")
    ] = None,
    metric_name: Annotated[
        str | None, typer.Option(help="What its objective is called; of several, which one.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs its runs were planned for.")
    ] = None,
    sampler: Annotated[
        ForeignSampler | None, typer.Option(help="What drew its trials, if you know.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(min=0, help="Its smallest difference that matters.")
    ] = None,
    image: Annotated[
        list[ImageFormat] | None, typer.Option(help="Draw the figures as such files, too.")
    ] = None,
) -> None:
    """Write a study's report anew: HTML, Markdown, CSV and JSON.

    Of several studies also one report across them, with a verdict from six workloads on. Of any
    other Optuna study too, which is only read: SQLite, PostgreSQL or journal file.

    Example: study report digits

    Example: study report --storage sqlite:///their.db --study tuning --arm optimizer
    """
    from bakeoff.commands.report import report_foreign, report_own

    formats = [kind.value for kind in image or ()]
    if study is None and not arm:
        report_own(names or [], output=output, storage_url=storage, image_formats=formats)
        return
    report_foreign(
        names or [],
        output=output,
        storage_url=storage,
        study=study,
        arms=tuple(arm or ()),
        metric_name=metric_name,
        epochs=epochs,
        sampler=None if sampler is None else sampler.value,
        delta=delta,
        image_formats=formats,
    )


@app.command()
def dashboard(
    output: Output = RESULTS,
    storage: StorageOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other machines need a token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(help="What a browser must show once.", envvar="BAKEOFF_TOKEN"),
    ] = None,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Let the pages change notes and delete studies.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
) -> None:
    """Serve optuna-dashboard and the reports on this machine.

    Example: study dashboard --port 8080
    """
    from bakeoff.dashboard import serve_dashboard
    from bakeoff.dashboard.access import Access

    serve_dashboard(
        output=output,
        storage_url=storage,
        port=port,
        access=Access(host=host, token=token, allow_writes=allow_writes),
        open_browser=not no_browser,
    )


@app.command()
def optimizers(as_json: Json = False) -> None:
    """List the optimizers with their default ranges and where those come from.

    Example: study optimizers
    """
    from bakeoff.commands.catalog import list_optimizers

    list_optimizers(as_json=as_json)


@app.command()
def schedulers(as_json: Json = False) -> None:
    """List the learning-rate schedules with their default ranges.

    Example: study schedulers
    """
    from bakeoff.commands.catalog import list_schedulers

    list_schedulers(as_json=as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the models; your own goes in as package.module:function.

    Example: study models
    """
    from bakeoff.commands.catalog import list_models

    list_models(as_json=as_json)


@app.command()
def metrics(as_json: Json = False) -> None:
    """List the metrics of each task, which a study may be judged by.

    Example: study metrics
    """
    from bakeoff.commands.catalog import list_metrics

    list_metrics(as_json=as_json)


@app.command()
def datasets(as_json: Json = False) -> None:
    """List the data sets, and the forms that your own can have: npz, folder, csv, text, function.

    Example: study datasets
    """
    from bakeoff.commands.catalog import list_datasets

    list_datasets(as_json=as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors.

    Example: study schema > study.schema.json
    """
    from bakeoff.studyfile import study_schema

    typer.echo(study_schema())


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE")] = Path(
        "study.toml"
    ),
) -> None:
    """Write a commented study file to start from.

    Example: study init my-study.toml
    """
    from bakeoff.commands.upkeep import write_starter

    write_starter(path)


@app.command()
def validate(file: StudyFileArgument) -> None:
    """Check a study file without running or importing anything it refers to.

    Example: study validate studies/digits.toml
    """
    from bakeoff.studyfile import load_study_file

    config = load_study_file(file)
    typer.echo(f"{file}: study {config.name!r} is valid")


@app.command()
def delete(
    name: NameArgument,
    output: Output = RESULTS,
    storage: StorageOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a study, its checkpoints and its report; runs of `study train` stay.

    Example: study delete digits --yes
    """
    from bakeoff.commands.upkeep import delete_study

    delete_study(name, output=output, storage_url=storage, confirmed=yes)


@app.command()
def doctor(output: Output = RESULTS, storage: StorageOption = None, as_json: Json = False) -> None:
    """Check this machine: versions, cores, data sets, storage, disk.

    Example: study doctor
    """
    from bakeoff.commands.upkeep import check_machine

    check_machine(output=output, storage_url=storage, as_json=as_json)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"bakeoff {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that `errors` gives each kind of failure."""
    try:
        app(args=arguments, prog_name="study")
    except BakeoffError as error:
        typer.echo(f"study: {one_line(error)}", err=True)
        sys.exit(error.exit_code)
