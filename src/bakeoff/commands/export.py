"""`study export`: the weights of a run, or of a study's confirmed winner."""

from pathlib import Path

import typer

from bakeoff.analysis.comparison import compare
from bakeoff.commands.output import print_json
from bakeoff.driver.kept_weights import best_run, weights_path
from bakeoff.errors import BakeoffError, StorageError, UsageError, describe_unknown
from bakeoff.production.export import write_export
from bakeoff.production.folder import RunFolder
from bakeoff.records import Comparison, StudyRecord, as_plain
from bakeoff.storage import Storage


def export_weights(
    name: str,
    target: Path,
    *,
    arm: str | None,
    output: Path,
    storage_url: str | None,
    as_json: bool,
) -> None:
    """Write the weights of a run or a study's winner to `target`, and say whose they are.

    Raises:
        UsageError: No such run, study or arm.
        BakeoffError: There are no weights; the message says how to get them.
    """
    folder = find_run(name, output)
    if folder is not None and arm is not None:
        raise UsageError(f"--arm {arm}: {name!r} is a run, and has no arms")
    if folder is not None:
        weights, source = _weights_of_run(folder), f"run {folder.path.name}"
    else:
        weights, source = _weights_of_study(name, arm, output, storage_url)
    paths = write_export(weights, target)
    if as_json:
        print_json({"source": source, **{key: str(path) for key, path in as_plain(paths).items()}})
        return
    typer.echo(f"{source}\n")
    for kind, path in vars(paths).items():
        typer.echo(f"{kind + ':':<8} {path}")


def find_run(name: str, output: Path) -> RunFolder | None:
    """The run called `name`: a folder, or `study/run` under the output folder; None if no run."""
    study, _, run = name.partition("/")
    for path in (Path(name), output / study / "train" / run):
        if RunFolder(path).has_begun:
            return RunFolder(path)
    return None


def _runs_of(study: str, output: Path) -> list[str]:
    """The runs that `study train` made of a study file, as they are named here."""
    folders = sorted((output / study / "train").glob("*"))
    return [f"{study}/{one.name}" for one in folders if RunFolder(one).has_begun]


def _weights_of_run(folder: RunFolder) -> Path:
    if not folder.weights.exists():
        raise BakeoffError(
            f"{folder.path} has no weights: it has not ended, or it diverged;"
            f" `study train {folder.path / 'config.toml'}` goes on with it"
        )
    return folder.weights


def _weights_of_study(
    name: str, arm: str | None, output: Path, storage_url: str | None
) -> tuple[Path, str]:
    """Weights of the arm's best confirmation run, and whose they are as text."""
    comparison = compare(_load_record(name, output, storage_url))
    chosen = arm or leading_arm(comparison)
    study = comparison.study
    if chosen not in [one.name for one in study.arms]:
        raise UsageError(f"--arm: {describe_unknown('arm', chosen, [a.name for a in study.arms])}")
    runs = [one for one in study.confirmations if (one.arm, one.purpose) == (chosen, "confirm")]
    best = best_run(runs, study.objective)
    weights = None if best is None else weights_path(output / name / "weights", best)
    if best is None or weights is None or not weights.exists():
        raise BakeoffError(
            f"study {name!r} kept no weights of {chosen!r}: they are those of its best confirmation"
            " run; `study train` with the chosen configuration of its report makes new ones"
        )
    source = (
        f"{chosen}, {best.purpose}-{best.number} (seed {best.seed}), the best of {len(runs)} runs"
        f" by validation {study.objective.name}, {best.score:.6g}\n{comparison.verdict.headline}"
    )
    return weights, source


def _load_record(name: str, output: Path, storage_url: str | None) -> StudyRecord:
    """The stored study; where there is none, the error names the runs that could be meant."""
    from bakeoff.storage.database import choose_storage_url

    runs = _runs_of(name.partition("/")[0], output)
    if "/" in name and runs:
        raise UsageError(describe_unknown("run", name, runs))
    try:
        return Storage(choose_storage_url(storage_url, output)).load_record(name)
    except (StorageError, UsageError) as error:
        if not runs:
            raise
        raise type(error)(f"{error}; a run of `study train` goes by {' or '.join(runs)}") from None


def leading_arm(comparison: Comparison) -> str:
    """The first of the leading group; before there is a verdict, the best confirmed mean."""
    return (*comparison.verdict.leading, *(arm.arm for arm in comparison.arms))[0]
