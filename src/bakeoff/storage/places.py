"""Where a study stores the checkpoints of its runs, if the user named a place."""

from bakeoff.storage.checksums import opened, sealed
from bakeoff.storage.contents import naming
from bakeoff.storage.reading import parse, read_study_attributes
from bakeoff.storage.studies import Storage

CHECKPOINTS_KEY = "bakeoff:checkpoints"


def stored_checkpoints(storage: Storage, name: str) -> str:
    """The place that was named for the checkpoints of a stored study; empty if none was.

    Raises:
        DamagedError: It does not match its checksum.
    """
    study_id = storage.connection.study_id(name)
    engine = storage.optuna_storage.engine
    attrs = storage.connection.call(read_study_attributes, engine, study_id, "system")
    if CHECKPOINTS_KEY not in attrs:
        return ""
    with naming(name, CHECKPOINTS_KEY):
        return str(opened(parse(attrs[CHECKPOINTS_KEY], CHECKPOINTS_KEY), "its place")["location"])


def store_checkpoints(storage: Storage, name: str, location: str) -> None:
    """Store the place that was named for the checkpoints of a study."""
    study_id = storage.connection.study_id(name)
    write = storage.optuna_storage.set_study_system_attr
    storage.connection.call(write, study_id, CHECKPOINTS_KEY, sealed({"location": location}))
