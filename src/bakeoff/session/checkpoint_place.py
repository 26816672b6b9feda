"""Decides where the runs of a study store their checkpoints.

The place that a user names is stored with the study. It is compared when the study continues, and
never used by itself: whoever can write the storage could otherwise have files sent or removed
anywhere.
"""

import hashlib

from bakeoff.driver import Observer
from bakeoff.errors import UsageError, one_line
from bakeoff.session.run_settings import RunSettings
from bakeoff.storage import Storage
from bakeoff.storage.places import store_checkpoints, stored_checkpoints
from bakeoff.stores import join

ID_DIGITS = 8


def checkpoint_location(
    storage: Storage, name: str, settings: RunSettings, observer: Observer
) -> str:
    """The location for the checkpoints of a stored study that is to be continued.

    Raises:
        UsageError: The user has to name the place of unfinished runs again.
        DamagedError: What the storage holds of it is damaged.
    """
    # Workers may have another current folder than the driver.
    default = join(str(settings.output.absolute()), name, "checkpoints")
    if settings.checkpoints is None:
        check_named(storage, name, settings.checkpoints)
        return default
    before, location = (
        stored_checkpoints(storage, name),
        folder_of(settings.checkpoints, storage, name),
    )
    if settings.checkpoints != before:
        store_checkpoints(storage, name, settings.checkpoints)
        _say_change(before or default, location, storage, name, observer)
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


def _say_change(
    before: str, location: str, storage: Storage, name: str, observer: Observer
) -> None:
    """Say that runs begin again whose checkpoints are elsewhere, if there may be any."""
    if storage.count_trials(name) and not storage.is_finished(name):
        text = (
            f"checkpoints are stored in {location} from now on; unfinished runs that were saved in"
            f" {one_line(before)} begin again"
        )
        storage.note(name, text)
        observer.note(text)
