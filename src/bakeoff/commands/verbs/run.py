import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json

if TYPE_CHECKING:
    from bakeoff.engines.processes import WorkerProcess
    from bakeoff.records import StudyConfig
    from bakeoff.session.run_settings import RunSettings
    from bakeoff.session.study import SessionResult

NAMED_THREADS = re.compile(r"^[^#\n]*?\bthreads\s*=\s*([1-9]\d{0,2})\b", re.MULTILINE)
FIRST_CHARACTERS = 100_000
"""Part of a study file in which a number of threads is looked for before it is parsed."""
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
Engine = Annotated[
    str,
    typer.Option(
        help="Where workers are: processes of this machine, or a Ray cluster. Without an address,"
        " the cluster that RAY_ADDRESS names or that this machine belongs to.",
        envvar="BAKEOFF_ENGINE",
        metavar="local|ray|ray:HOST:PORT",
    ),
]
GpusPerTrial = Annotated[
    float | None,
    typer.Option(
        help="GPUs of each run on a Ray cluster, also a part of one such as 0.5; default 1 with a"
        " GPU as the device."
    ),
]
InsecureCluster = Annotated[
    bool,
    typer.Option("--insecure-cluster", help="Use a Ray cluster that answers without a token."),
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
    checkpoints: options.Checkpoints = None,
    engine: Engine = "local",
    gpus_per_trial: GpusPerTrial = None,
    insecure_cluster: InsecureCluster = False,
    notify: options.Notify = None,
    as_json: options.Json = False,
) -> None:
    """Run a study, or continue it: search, confirm, report.

    Example: study run studies/digits.toml
    """
    from bakeoff.engines.processes import ended_on_error

    early, config, threads = _begin(file, changes, storage, output, threads, device, engine)
    with ended_on_error(early):
        from bakeoff.session.run_settings import RunSettings

        settings = RunSettings.choose(
            output=output,
            storage_url=storage,
            workers=workers,
            threads=threads,
            early=early,
            workers_per_device=workers_per_device,
            device=device,
            devices_per_trial=config.training.devices_per_trial,
            study=config.name,
            timeout=None if timeout is None else options.parse_duration(timeout),
            hang_seconds=options.parse_hang_timeout(hang_timeout),
            extends=extend,
            accepts_code=accept_code,
            source=source,
            user=user,
            checkpoints=checkpoints,
            engine=engine,
            gpus_per_trial=gpus_per_trial,
            insecure_cluster=insecure_cluster,
        )
    _drive(config, settings, notify, storage=storage, as_json=as_json)


def _begin(
    file: Path,
    changes: list[str] | None,
    storage: str | None,
    output: Path,
    threads: int | None,
    device: str,
    engine: str,
) -> "tuple[WorkerProcess | None, StudyConfig, int | None]":
    """The first worker, if it trains on this CPU; the study; and the threads that are named.

    While the worker imports torch, this process imports what takes it nearly as long.
    """
    from bakeoff.engines.processes import ended_on_error, start_early

    folder = str(file.parent) if file.is_file() else None
    likely = threads or _likely_threads(file, changes)
    early = start_early(folder, device=device, threads=likely, engine=engine)
    with ended_on_error(early):
        config, threads = _load(file, changes, storage, output, threads)
    early = early or start_early(config.folder, device=device, threads=threads, engine=engine)
    return early, config, threads


def _likely_threads(file: Path, changes: list[str] | None) -> int | None:
    """The `training.threads` of a setting or of the file, without what takes long to import.

    It may miss it, as in a base of the file; then another worker takes the place of the early one.
    """
    texts = [*(changes or ())]
    with suppress(OSError, ValueError), file.open(encoding="utf-8") as opened:
        texts.append(opened.read(FIRST_CHARACTERS))
    found = filter(None, map(NAMED_THREADS.search, texts))
    return next((int(one[1]) for one in found), None)


def _load(
    file: Path, changes: list[str] | None, storage: str | None, output: Path, threads: int | None
) -> "tuple[StudyConfig, int | None]":
    """The study, and the threads of a worker where the option or the file names them."""
    from bakeoff.commands.stored_studies import load_named_study
    from bakeoff.studyfile.threads import choose_threads

    config = load_named_study(file, changes or (), storage, output)
    return config, choose_threads(config, threads)


def _drive(
    config: "StudyConfig",
    settings: "RunSettings",
    notify: str | None,
    *,
    storage: str | None,
    as_json: bool,
) -> None:
    """Run the study to its end, and say so to those who asked for it."""
    from bakeoff.api import drive_study
    from bakeoff.commands.notify import notifying

    with notifying(notify, config.name) as facts:
        result = drive_study(config, settings)
        _conclude(config.name, result, settings, facts, storage=storage, as_json=as_json)


def _conclude(
    name: str,
    result: "SessionResult",
    settings: "RunSettings",
    facts: dict[str, object],
    *,
    storage: str | None,
    as_json: bool,
) -> None:
    """Write the report of a study that has ended, show it, and add it to the facts of the run."""
    # All of this takes seconds to import, and is not needed before.
    from bakeoff.api import check_any_completed
    from bakeoff.commands.reporting import print_study_report, report_facts, write_study_report
    from bakeoff.commands.stored_studies import say_wait
    from bakeoff.dashboard.publishing import publish

    if result.num_trained == 0:
        typer.echo(
            f"nothing to train: all {result.num_trials} trials and {result.num_confirmations}"
            f" confirmation runs of {name!r} are done",
            err=as_json,
        )
    output = settings.output
    comparison, paths = write_study_report(name, output=output, storage=storage, is_known=True)
    facts.update(report_facts(comparison, paths))
    if as_json:
        print_json(facts)
    else:
        print_study_report(comparison, paths)
    publish(settings.storage_url, comparison, output, on_wait=say_wait)
    check_any_completed(comparison.study)
