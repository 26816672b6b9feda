"""Decides where the runs of a study store their checkpoints.

The place that a user names is stored with the study. It is compared when the study continues, and
never used by itself: whoever can write the storage could otherwise have files sent or removed
anywhere.
"""

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from bakeoff.driver import Observer
from bakeoff.errors import UsageError, one_line
from bakeoff.records.durations import plural
from bakeoff.session.run_settings import RunSettings
from bakeoff.storage import Storage
from bakeoff.storage.places import store_checkpoints, stored_checkpoints
from bakeoff.stores import clear_store, is_url, join

ID_DIGITS = 8
MEGABYTE = 1e6


def checkpoint_location(
    storage: Storage, name: str, settings: RunSettings, observer: Observer
) -> str:
    """The location for the checkpoints of a stored study that is to be continued.

    Raises:
        UsageError: The user has to name the place of unfinished runs again.
        DamagedError: What the storage holds of it is damaged.
    """
    default = default_location(settings.output, name)
    if settings.checkpoints is None:
        check_named(storage, name, settings.checkpoints)
        return default
    before, location = (
        stored_checkpoints(storage, name),
        folder_of(settings.checkpoints, storage, name),
    )
    if settings.checkpoints != before:
        store_checkpoints(storage, name, settings.checkpoints)
        _say_change(before or default, location, storage, name, settings.output, observer)
    return location


def check_named(storage: Storage, name: str, place: str | None) -> None:
    """Refuse another place than the one where an unfinished study stores its checkpoints.

    Raises:
        UsageError: It is another one, or none was named.
        DamagedError: What the storage holds of it is damaged.
    """
    before = stored_checkpoints(storage, name)
    if before not in ("", place) and not storage.is_finished(name):
        shown = one_line(before)
        raise UsageError(
            f"study {name!r} stores its checkpoints in {shown}; name that place again:"
            f" --checkpoints {shown}, or BAKEOFF_CHECKPOINTS"
        )


def folder_of(place: str, storage: Storage, name: str) -> str:
    """The location of a study below a place that the user named.

    Its name ends with a hash of the study's id: studies of one name may share a place, from several
    storages.
    """
    digest = hashlib.sha256(storage.random_id(name).encode()).hexdigest()[:ID_DIGITS]
    return join(place, f"{name}-{digest}")


def default_location(output: Path, name: str) -> str:
    """The location of a study whose user names no place: next to its results."""
    # Workers may have another current folder than the driver.
    return join(str(output.absolute()), name, "checkpoints")


def remove_checkpoints(location: str, output: Path, name: str) -> Iterator[str]:
    """Remove the checkpoints of a study that has ended; say why that is impossible.

    A study that was moved to `location` may have left files in the default place.
    """
    for place in dict.fromkeys((location, default_location(output, name))):
        if left := clear_store(place):
            yield left


def _say_change(
    before: str, location: str, storage: Storage, name: str, output: Path, observer: Observer
) -> None:
    """Say that runs begin again whose checkpoints are elsewhere, if there may be any."""
    if storage.count_trials(name) and not storage.is_finished(name):
        text = (
            f"checkpoints are stored in {location} from now on; unfinished runs that were saved in"
            f" {one_line(before)} begin again{_say_left(before, storage, name, output)}"
        )
        storage.note(name, text)
        observer.note(text)


def _say_left(before: str, storage: Storage, name: str, output: Path) -> str:
    """What happens to the files in the place before, of which no run has any more use.

    That place is known from the storage alone, unless it is the default: nothing is removed there,
    and no service is asked.
    """
    if before == default_location(output, name):
        return ""  # they are removed when the study ends
    left = folder_of(before, storage, name)
    if is_url(before):
        return f"; what they stored stays in {one_line(left)} until you delete that folder"
    sizes = [path.stat().st_size for path in Path(left).rglob("*") if path.is_file()]
    if not sizes:
        return ""
    size = f"{plural(len(sizes), 'file')}, {sum(sizes) / MEGABYTE:.3g} MB"
    return f"; they leave {size}, which `rm -r {one_line(shlex.quote(left))}` removes"
