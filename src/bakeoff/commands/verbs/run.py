from functools import partial
from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.errors import NothingCompletedError

Threads = Annotated[
    int | None,
    typer.Option(
        help="Threads of each worker; default 1 on a CPU. A study that has begun keeps its number."
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        help="Time for search and confirmation together, such as 2h or 90m; the search ends early"
        " enough to confirm.",
        envvar="BAKEOFF_TIMEOUT",
        metavar="DURATION",
    ),
]
Extend = Annotated[
    bool, typer.Option("--extend", help="Let the file add trials or arms to the stored study.")
]
Source = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Begin each arm of a new study with the best configurations of this stored one.",
        metavar="STUDY",
    ),
]


def run(
    file: options.StudyFile,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    workers: options.Workers = None,
    threads: Threads = None,
    device: options.DeviceOption = "cpu",
    timeout: Timeout = None,
    hang_timeout: options.HangTimeout = None,
    extend: Extend = False,
    source: Source = None,
) -> None:
    """Run a study, or continue it: search, confirm, report.

    Example: study run studies/digits.toml
    """
    from bakeoff.commands.progress import build_progress
    from bakeoff.commands.refresh import RefreshingObserver
    from bakeoff.commands.reporting import report_study
    from bakeoff.commands.stored_studies import say_wait
    from bakeoff.components.metrics import find_metric
    from bakeoff.dashboard import publish
    from bakeoff.session import RunSettings, choose_threads, run_study
    from bakeoff.studyfile import arm_names, load_study_file

    config = load_study_file(file)
    settings = RunSettings.choose(
        output=output,
        storage_url=storage,
        workers=workers,
        threads=choose_threads(config, threads),
        device=device,
        timeout=None if timeout is None else options.parse_duration(timeout),
        hang_seconds=options.parse_hang_timeout(hang_timeout),
        extends=extend,
        source=source,
    )
    arms = arm_names(config.compare, config.search.optimizers, config.search.schedulers)
    metric = find_metric(config.objective, config.data.task).info
    with build_progress(config, arms, metric, settings.workers) as progress:
        refresh = partial(_refresh, config.name, settings.storage_url)
        result = run_study(config, settings, RefreshingObserver(progress, refresh))
    if result.num_trained == 0:
        typer.echo(
            f"nothing to train: all {result.num_trials} trials and {result.num_confirmations}"
            f" confirmation runs of {config.name!r} are done"
        )
    comparison = report_study(config.name, output=output, storage=storage, is_known=True)
    publish(settings.storage_url, comparison, output, on_wait=say_wait)
    if not any(trial.outcome == "complete" for trial in comparison.study.trials):
        raise NothingCompletedError(
            f"study {config.name!r} finished, but no trial completed; the report says why"
        )


def _refresh(name: str, storage_url: str) -> None:
    """Show the verdict so far and the key figures of a running study in the dashboard."""
    from bakeoff.analysis.comparison import compare
    from bakeoff.dashboard import publish_progress
    from bakeoff.storage import Storage

    comparison = compare(Storage(storage_url).load_record(name))
    publish_progress(storage_url, comparison, has_report=False)
