from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json

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
Checkpoints = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL, such as s3://bucket/folder, in which runs store their checkpoints;"
        " default: where the study has them, or <output>/<study>/checkpoints.",
        envvar="BAKEOFF_CHECKPOINTS",
        metavar="FOLDER|URL",
    ),
]

User = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Your name, which is stored with the study and shown by `study list`; default: the"
        " account's.",
        envvar="BAKEOFF_USER",
        metavar="NAME",
    ),
]


def run(
    file: options.StudyFile,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    workers: options.Workers = None,
    workers_per_device: options.WorkersPerDevice = None,
    threads: Threads = None,
    device: options.DeviceOption = "auto",
    timeout: Timeout = None,
    hang_timeout: options.HangTimeout = None,
    changes: options.Changes = None,
    extend: Extend = False,
    accept_code: options.AcceptCode = False,
    source: Source = None,
    user: User = None,
    checkpoints: Checkpoints = None,
    notify: options.Notify = None,
    as_json: options.Json = False,
) -> None:
    """Run a study, or continue it: search, confirm, report.

    Example: study run studies/digits.toml
    """
    from bakeoff.api import check_any_completed, drive_study
    from bakeoff.commands.notify import notifying
    from bakeoff.commands.stored_studies import load_named_study, say_wait
    from bakeoff.session.run_settings import RunSettings, choose_threads

    config = load_named_study(file, changes or (), storage, output)
    settings = RunSettings.choose(
        output=output,
        storage_url=storage,
        workers=workers,
        threads=choose_threads(config, threads),
        workers_per_device=workers_per_device,
        device=device,
        study=config.name,
        timeout=None if timeout is None else options.parse_duration(timeout),
        hang_seconds=options.parse_hang_timeout(hang_timeout),
        extends=extend,
        accepts_code=accept_code,
        source=source,
        user=user,
        checkpoints=checkpoints,
    )
    with notifying(notify, config.name) as facts:
        result = drive_study(config, settings)
        if result.num_trained == 0:
            typer.echo(
                f"nothing to train: all {result.num_trials} trials and {result.num_confirmations}"
                f" confirmation runs of {config.name!r} are done",
                err=as_json,
            )
        # What writes reports takes seconds to import, and is not needed before.
        from bakeoff.commands.reporting import (
            print_study_report,
            report_facts,
            write_study_report,
        )
        from bakeoff.dashboard import publish

        comparison, paths = write_study_report(
            config.name, output=output, storage=storage, is_known=True
        )
        facts.update(report_facts(comparison, paths))
        if as_json:
            print_json(facts)
        else:
            print_study_report(comparison, paths)
        publish(settings.storage_url, comparison, output, on_wait=say_wait)
        check_any_completed(comparison.study)
