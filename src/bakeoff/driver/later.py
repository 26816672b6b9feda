"""Stores what follows from the events of a poll, and only then lets anybody else know of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec

from bakeoff.errors import BakeoffError
from bakeoff.storage import Storage

P = ParamSpec("P")


class Later:
    """Calls that are made once everything that led to them is stored.

    Args:
        storage: Where it is stored.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._calls: list[Callable[[], object]] = []

    def __call__(self, method: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Let `method` be called at the end of the `storing` block."""
        self._calls.append(partial(method, *args, **kwargs))

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Store what the block does in one transaction, and then make the calls in their order.

        An error that ends the study does not lose what was done before it.
        """
        ended_by: BakeoffError | None = None
        with self._storage.together():
            try:
                yield
            except BakeoffError as error:
                ended_by = error
        calls, self._calls = self._calls, []
        for call in calls:
            call()
        if ended_by is not None:
            raise ended_by
