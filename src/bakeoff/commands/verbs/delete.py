import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import StorageError, UsageError, describe_unknown
from bakeoff.records.durations import plural

if TYPE_CHECKING:
    from bakeoff.storage import Storage


def delete(
    name: options.StudyName,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    checkpoints: options.Checkpoints = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: options.Json = False,
) -> None:
    """Remove a study, its checkpoints and its report; runs of `study train` are kept.

    Example: study delete digits --yes
    """
    from bakeoff.storage.lock import study_lock
    from bakeoff.stores import clear_store

    stored = open_storage(storage, output)
    if not stored.has(name):
        raise UsageError(describe_unknown("study", name, stored.names()))
    checkpoints = _checkpoint_folder(stored, name, checkpoints)
    num_trials = stored.count_trials(name)
    if not yes:
        typer.confirm(
            f"delete study {name!r} with {plural(num_trials, 'trial')} and its report?",
            abort=True,
            err=as_json,
        )
    with study_lock(stored, name):
        open_storage(storage, output, create=True).delete(name)
        kept = _remove_results(output / name)
    if checkpoints and (left := clear_store(checkpoints)):
        typer.echo(left, err=True)
    if as_json:
        print_json({"deleted": name, "trials": num_trials, "kept": kept and str(kept)})
        return
    typer.echo(f"deleted {name!r}" + (f"; the runs in {kept} are kept" if kept else ""))


def _checkpoint_folder(storage: "Storage", name: str, place: str | None) -> str:
    """The location of the checkpoints that are not among the results; empty if there are none.

    Raises:
        UsageError: The user has to name their place.
    """
    from bakeoff.session.checkpoint_place import check_named, folder_of
    from bakeoff.storage.places import stored_checkpoints
    from bakeoff.stores import check_location

    place = None if place is None else check_location(place, "--checkpoints")
    try:
        check_named(storage, name, place)
        if place is None or stored_checkpoints(storage, name) != place:
            return ""
        return folder_of(place, storage, name)
    except StorageError:
        return ""  # a damaged study does not say where they are


def _remove_results(folder: Path) -> Path | None:
    """Remove all files of a study; return the folder of its `study train` runs if there is one."""
    runs = folder / "train"
    if not runs.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return None
    for path in folder.iterdir():
        if path.is_dir() and path != runs:
            shutil.rmtree(path, ignore_errors=True)
        elif path != runs:
            path.unlink()
    return runs
