from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_rows, print_text
from bakeoff.errors import NothingCompletedError, UsageError
from bakeoff.records import as_plain
from bakeoff.seeding import MAX_SEED

if TYPE_CHECKING:
    from bakeoff.production.run import RunReport
    from bakeoff.ranges import Params
    from bakeoff.report.run_page import RunPage

Seed = Annotated[
    int | None,
    typer.Option(help="Training seed; a trial's seed repeats that trial.", envvar="BAKEOFF_SEED"),
]


def train(
    file: options.StudyFile,
    optimizer: options.Optimizer = None,
    scheduler: options.Scheduler = None,
    learning_rate: options.LearningRate = None,
    weight_decay: options.WeightDecay = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the study file's.")] = None,
    batch_size: options.BatchSize = None,
    settings: options.OtherSettings = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; by default made from its settings.")
    ] = None,
    output: options.Output = options.RESULTS,
    device: options.DeviceOption = "auto",
    threads: options.Threads = None,
    seed: Seed = None,
    accept_code: options.AcceptCode = False,
    as_json: options.Json = False,
) -> None:
    """Train one configuration to the end, or continue it: weights, metrics, learning curves.

    Example: study train studies/digits.toml --optimizer adamw --learning-rate 1e-3
    """
    from bakeoff.production.folder import check_run_name
    from bakeoff.production.one_configuration import Chosen, fix_settings, params_of
    from bakeoff.production.page import write_page
    from bakeoff.production.progress import EpochProgress
    from bakeoff.production.run import default_seed, one_worker, run_folder, train_run
    from bakeoff.studyfile import load_study_file
    from bakeoff.studyfile.threads import choose_threads

    chosen = Chosen(
        optimizer=optimizer,
        scheduler=scheduler,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        epochs=epochs,
        batch_size=batch_size,
        others=tuple(settings or ()),
    )
    config = fix_settings(load_study_file(file), chosen)
    seed = default_seed(config) if seed is None else _check_seed(seed)
    folder = run_folder(output, config, seed, None if name is None else check_run_name(name))
    worker = one_worker(device, choose_threads(config, threads), config, folder)
    typer.echo(f"{folder.path}: {_describe(params_of(config))}", err=True)
    with EpochProgress(config.training.epochs, config.objective) as progress:
        report = train_run(
            config, folder, seed=seed, settings=worker, observer=progress, accepts_code=accept_code
        )
    _print_report(report, write_page(report), as_json=as_json)
    if report.result.outcome != "complete":
        raise NothingCompletedError(f"the run {report.result.outcome}; {folder.page} shows how")


def _check_seed(seed: int) -> int:
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"--seed = {seed}: allowed are 0 to {MAX_SEED}")
    return seed


def _describe(params: "Params") -> str:
    """`adamw.learning_rate 0.001, scheduler cosine`, in the order of `params`."""
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in params.items()
    )


def _summary(report: "RunReport") -> dict[str, object]:
    return {
        "run": str(report.folder.path),
        "epochs": len(report.history),
        **as_plain(report.result),
        "weights": str(report.folder.weights) if report.folder.weights.exists() else None,
        "page": str(report.folder.page),
    }


def _print_report(report: "RunReport", page: "RunPage", *, as_json: bool) -> None:
    if as_json:
        print_json(_summary(report))
        return
    if report.was_finished:
        typer.echo("nothing to train: this run is finished\n")
    if report.result.scored_epoch is not None:
        epoch = f"weights of epoch {report.result.scored_epoch} of {len(report.history)}"
        measured, tested = page.validation_metrics, page.test_metrics
        rows = [
            {"metric": name, "validation": measured[name], "test": tested.get(name)}
            for name, _, _ in page.scores
        ]
        print_rows(rows, title=f"{page.run}, {epoch}\n")
    for heading, found in page.diagnoses:
        typer.echo()
        print_text(f"{heading}: {found.evidence} Try: {found.advice}")
    if report.result.note:
        typer.echo(f"\n{report.result.note}")
    typer.echo(f"\ncurves:  {report.folder.page}")
    if report.folder.weights.exists():
        typer.echo(f"weights: {report.folder.weights}")
