"""Where the runs of a study store their checkpoints, and, until they are taken, their weights."""

from functools import cached_property
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.stores import clear_store, join, open_store
from bakeoff.stores.run_weights import take_weights


class RunStores:
    """The stores of the runs, each below the one location of the study.

    Args:
        location: See `bakeoff.stores.open_store`.
    """

    def __init__(self, location: str) -> None:
        self._location = location

    def location_of(self, run: str) -> str:
        """Where a run stores its files."""
        return join(self._location, run)

    @cached_property
    def found(self) -> frozenset[str]:
        """The runs of earlier sessions that left files.

        Raises:
            StoreError: The store does not answer.
        """
        try:
            keys = open_store(self._location).keys()
        except StoreError:
            raise
        except OSError as error:
            reason = error.strerror or error
            raise StoreError(f"{self._location}: cannot be listed ({reason})") from error
        return frozenset(key.partition("/")[0] for key in keys)

    def take_weights(self, run: str, attempt: int, identity: str, target: Path) -> bool:
        """Move the weights of a run to `target`; return whether there are any.

        Raises:
            ValueError: They are damaged.
            OSError: The store cannot be read, or `target` not be written.
        """
        return take_weights(open_store(self.location_of(run)), attempt, identity, target)

    def discard(self, run: str) -> str:
        """Remove the files of a run; return why that is impossible, or an empty text."""
        reason = clear_store(self.location_of(run))
        return f"{reason}; its checkpoints are not used again" if reason else ""
