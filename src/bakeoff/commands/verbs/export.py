from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, run_name
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import BakeoffError, StorageError, UsageError, describe_unknown
from bakeoff.records import StudyRecord, as_plain
from bakeoff.records.durations import plural

if TYPE_CHECKING:
    from bakeoff.production.folder import RunFolder


def export(
    name: Annotated[
        str,
        typer.Argument(help="A study; or a run, as STUDY/RUN or by its folder.", metavar="NAME"),
    ],
    target: Annotated[
        Path, typer.Option("--to", "-o", help="File to write.", metavar="FILE.safetensors")
    ] = Path("model.safetensors"),
    arm: Annotated[
        str | None, typer.Option(help="An arm of the study, instead of the leading one.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", help="Folder of results.", envvar="BAKEOFF_OUTPUT")
    ] = options.RESULTS,  # without -o, which is short for --to here
    storage: options.StorageUrl = None,
    as_json: options.Json = False,
) -> None:
    """Write the weights of a run or of a study's confirmed winner, with all that their use needs.

    Example: study export digits -o model.safetensors
    """
    from bakeoff.production.export import write_export

    folder = _find_run(name, output)
    if folder is not None and arm is not None:
        raise UsageError(f"--arm {arm}: {name!r} is a run, and a run has no arms")
    if folder is not None:
        weights, source = _weights_of_run(folder), f"run {folder.path.name}"
    else:
        weights, source = _weights_of_study(_load_record(name, output, storage), arm, output / name)
    paths = write_export(weights, target)
    if as_json:
        print_json({"source": source, **{key: str(path) for key, path in as_plain(paths).items()}})
        return
    typer.echo(f"{source}\n")
    for kind, path in vars(paths).items():
        typer.echo(f"{kind + ':':<8} {path}")


def _find_run(name: str, output: Path) -> "RunFolder | None":
    """The run with this folder, or `study/run` under the output folder; None if there is none."""
    from bakeoff.production.folder import RunFolder

    study, _, run = name.partition("/")
    folders = map(RunFolder, (Path(name), output / study / "train" / run))
    return next((folder for folder in folders if folder.has_begun), None)


def _weights_of_run(folder: "RunFolder") -> Path:
    if not folder.weights.exists():
        raise BakeoffError(
            f"{folder.path} has no weights: the run has not ended, or it diverged;"
            f" `study train {folder.path / 'config.toml'}` continues it"
        )
    return folder.weights


def _weights_of_study(study: StudyRecord, arm: str | None, folder: Path) -> tuple[Path, str]:
    """The weights of the best run of an arm's confirmed configuration, and whose they are."""
    from bakeoff.analysis.comparison import compare
    from bakeoff.driver.kept_weights import best_run, weights_path

    comparison = compare(study)
    arms = [one.name for one in study.arms]
    if arm is not None and arm not in arms:
        raise UsageError(f"--arm: {describe_unknown('arm', arm, arms)}")
    best_first = (*comparison.verdict.leading, *(one.arm for one in comparison.arms))
    chosen = arm or best_first[0]
    configurations = {one.arm: one.chosen_trial for one in comparison.arms}
    runs = [
        one
        for one in study.confirmations
        if (one.arm, one.purpose) == (chosen, "confirm")
        and one.configuration == configurations[chosen]
    ]
    best = best_run(runs, study.objective)
    weights = None if best is None else weights_path(folder / "weights", best)
    if best is None or weights is None or not weights.exists():
        raise BakeoffError(
            f"study {study.name!r} has no weights of {chosen!r}: a study keeps those of the best"
            " confirmation run of each chosen configuration; `study train` with the chosen"
            " configuration of its report makes new ones"
        )
    source = (
        f"{chosen}, {run_name(best)} (seed {best.seed}), the best of {plural(len(runs), 'run')} by"
        f" validation {study.objective.name}, {best.score:.6g}\n{comparison.verdict.headline}"
    )
    return weights, source


def _load_record(name: str, output: Path, storage: str | None) -> StudyRecord:
    """The stored study; if there is none, the error names the runs that could be meant."""
    from bakeoff.production.folder import RunFolder

    study = name.partition("/")[0]
    folders = sorted((output / study / "train").glob("*"))
    runs = [f"{study}/{one.name}" for one in folders if RunFolder(one).has_begun]
    if "/" in name and runs:
        raise UsageError(describe_unknown("run", name, runs))
    try:
        return open_storage(storage, output).load_record(name)
    except (StorageError, UsageError) as error:
        if not runs:
            raise
        raise type(error)(f"{error}; runs of `study train`: {', '.join(runs)}") from None
