import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bakeoff.commands import options
from bakeoff.errors import UsageError

if TYPE_CHECKING:
    from bakeoff.records import StudyConfig

CONTEXT_SETTINGS = {"ignore_unknown_options": True}
"""The options of `study run` are checked by that verb."""
PAUSE = "5m"

System = Annotated[
    Literal["slurm"], typer.Argument(metavar="slurm", help="The system that runs batch jobs.")
]
Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE [OPTIONS OF study run]", help="Study file, and any option of `study run`."
    ),
]
Nodes = Annotated[
    int, typer.Option(min=1, help="Number of nodes; with more than one, workers run under Ray.")
]
Gpus = Annotated[int, typer.Option("--gpus-per-node", min=0, help="Number of GPUs of each node.")]
Cpus = Annotated[
    int | None,
    typer.Option(
        "--cpus-per-node", min=1, help="Number of cores of each node; default: the site's."
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="Time limit of each start as SLURM takes it, such as 12:00:00; default: the"
        " partition's. At the limit the job returns to the queue and continues.",
    ),
]
PauseBefore = Annotated[
    str,
    typer.Option(
        "--pause-before",
        metavar="DURATION",
        help="How long before the time limit the study pauses: longer than an epoch.",
    ),
]
Directives = Annotated[
    list[str] | None,
    typer.Option(
        "--sbatch",
        metavar="OPTION=VALUE",
        help="Any other option of sbatch, as in partition=gpu; may be repeated.",
    ),
]
Script = Annotated[
    Path | None, typer.Option("--script", help="File to write; default <study>.sbatch.")
]


def cluster(
    system: System,
    arguments: Arguments,
    nodes: Nodes = 1,
    gpus_per_node: Gpus = 0,
    cpus_per_node: Cpus = None,
    time_limit: TimeLimit = None,
    pause_before: PauseBefore = PAUSE,
    directives: Directives = None,
    script: Script = None,
) -> None:
    """Write the batch script with which a cluster runs a study to its end.

    Example: study cluster slurm --gpus-per-node 2 --time-limit 12:00:00 studies/digits.toml
    """
    from bakeoff.commands.slurm_script import SlurmJob, build_script, parse_directives
    from bakeoff.commands.stored_studies import load_named_study
    from bakeoff.files import write_atomically

    run = _options_of_run(arguments)
    job = SlurmJob(
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        cpus_per_node=cpus_per_node,
        time_limit=time_limit,
        pause_seconds=int(options.parse_duration(pause_before, "--pause-before")),
        chooses_workers=run["workers_per_device"] is None,
        directives=parse_directives(directives or ()),
    )
    if nodes > 1 and run.get("engine", "local") != "local":
        raise UsageError("--engine: the script starts Ray on its nodes and names it itself")
    _check_storage(run["storage"], run["output"])
    study = load_named_study(run["file"], run["changes"] or (), run["storage"], run["output"])
    command = list(arguments)
    if nodes > 1 and gpus_per_node and run["device"] == "auto" and run["gpus_per_trial"] is None:
        # The driver sees a cluster before it sees its GPUs, and would take the CPU.
        command += ["--device", "cuda"]
        run["device"] = "cuda"
    _check_options(run, study, is_cluster=nodes > 1)
    file = script or Path(f"{study.name}.sbatch")
    text = build_script(study.name, command, job, folder=Path.cwd(), python=sys.executable)
    write_atomically(file, text)
    typer.echo(f"wrote {file}; `sbatch {file}` submits it, and `study list` shows its progress")
    del system


def _options_of_run(arguments: list[str]) -> dict[str, Any]:
    """The values that `study run` takes from its arguments, by the names of its parameters."""
    from bakeoff.commands.cli import load_verb

    context = load_verb("run").make_context("study run", list(arguments))
    return dict(context.params)


def _check_options(run: Mapping[str, Any], study: "StudyConfig", *, is_cluster: bool) -> None:
    """Refuse what `study run` would refuse, but for what only the nodes of the job can tell.

    Raises:
        BakeoffError: A value makes no sense, or a package is missing.
    """
    from bakeoff.commands.notify import Notifier
    from bakeoff.engines.devices import parse_device
    from bakeoff.engines.ray_settings import choose_cluster
    from bakeoff.session.run_settings import check_counts
    from bakeoff.storage.sessions import choose_user
    from bakeoff.stores import check_location

    check_counts(
        threads=run["threads"],
        workers=run["workers"],
        workers_per_device=run["workers_per_device"],
    )
    parse_device(run["device"])
    choose_cluster(
        "ray" if is_cluster else run["engine"],
        run["device"],
        "",
        limit=run["workers"],
        gpus_per_trial=run["gpus_per_trial"],
        accepts_open=run["insecure_cluster"],
        devices_per_trial=study.training.devices_per_trial,
    )
    if run["timeout"] is not None:
        options.parse_duration(run["timeout"])
    options.parse_hang_timeout(run["hang_timeout"])
    if run["checkpoints"] is not None:
        check_location(run["checkpoints"], "--checkpoints")
    if run["user"] is not None:
        choose_user(run["user"])
    if run["notify"] is not None:
        Notifier(run["notify"], study.name)


def _check_storage(url: str | None, output: Path) -> None:
    """Refuse a SQLite file on a file system of several machines, before a job waits for hours.

    Raises:
        UsageError: The storage is such a file.
    """
    from bakeoff.storage.database import (
        NETWORK_FILESYSTEMS,
        choose_storage_url,
        filesystem_type,
        parse_storage_url,
        sqlite_path,
    )

    path = sqlite_path(parse_storage_url(choose_storage_url(url, output)))
    if path is None:
        return
    kind = filesystem_type(path.absolute().parent)
    if kind in NETWORK_FILESYSTEMS:
        raise UsageError(
            f"--storage: {path} is on {kind}, where SQLite loses data; set BAKEOFF_STORAGE to"
            " postgresql://..."
        )
