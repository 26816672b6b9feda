"""Chooses where the runs of a study store their checkpoints, and remembers it with the study."""

from bakeoff.driver import Observer
from bakeoff.session.run_settings import RunSettings
from bakeoff.storage import Storage
from bakeoff.storage.places import store_checkpoints, stored_checkpoints
from bakeoff.stores import join

ID_DIGITS = 8


def checkpoint_location(
    storage: Storage, name: str, settings: RunSettings, observer: Observer
) -> str:
    """The location for the checkpoints of a stored study, which the next session finds again.

    Below a place that the user named, every study has a folder of its own, whose name ends with the
    id of the study: several studies of one name may share the place, from several storages.

    Raises:
        DamagedError: What the storage holds of it is damaged.
    """
    # Workers may have another current folder than the driver.
    default = join(str(settings.output.absolute()), name, "checkpoints")
    before = stored_checkpoints(storage, name)
    if settings.checkpoints is None:
        return before or default
    folder = f"{name}-{storage.random_id(name)[:ID_DIGITS]}".rstrip("-")
    location = join(settings.checkpoints, folder)
    if location != before:
        store_checkpoints(storage, name, location)
        _say_change(before or default, location, storage, name, observer)
    return location


def _say_change(
    before: str, location: str, storage: Storage, name: str, observer: Observer
) -> None:
    """Say that runs begin again whose checkpoints are elsewhere, if there may be any."""
    if storage.count_trials(name) and not storage.is_finished(name):
        text = (
            f"checkpoints are stored in {location} from now on; unfinished runs that were saved in"
            f" {before} begin again"
        )
        storage.note(name, text)
        observer.note(text)
