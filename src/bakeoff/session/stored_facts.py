"""The facts of a study that has begun, read before anything is created."""

from contextlib import suppress
from pathlib import Path

from bakeoff.errors import EmptyStorageError
from bakeoff.storage import Storage, StudyFacts
from bakeoff.storage.database import check_may_create, parse_storage_url


def stored_facts(storage_url: str, name: str) -> StudyFacts | None:
    """The facts of a stored study, None without it. Writes nothing.

    Raises:
        StorageError: The study is not there and could not be stored, or the storage is unusable.
    """
    url = parse_storage_url(storage_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return None
    storage = None
    with suppress(EmptyStorageError):
        storage = Storage(storage_url)
    check_may_create(url)
    return storage.load_facts(name) if storage is not None and storage.has(name) else None
