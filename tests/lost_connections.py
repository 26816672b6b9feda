"""A storage that loses its connection in the transactions that a test names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from optuna.exceptions import StorageInternalError

from bakeoff.storage import Storage

LOSSES = ("lost before", "lost within", "lost answer")
"""Before anything is written, after everything is written but not stored, or after it is stored."""


def lose_connections(storage: Storage) -> list[str]:
    """Let the storage lose its connection; return the list of the losses that are to come.

    Each transaction takes the last entry from the list, if there is one.
    """
    engine, losses = storage.optuna_storage.engine, list[str]()
    begin = engine.begin

    @contextmanager
    def losing(*arguments: Any) -> Iterator[sqlalchemy.Connection]:
        loss = losses.pop() if losses else ""
        if loss == "lost before":
            raise StorageInternalError("connection lost")
        with begin(*arguments) as connection:
            yield connection
            if loss == "lost within":
                raise StorageInternalError("connection lost")
        if loss == "lost answer":
            raise StorageInternalError("connection lost")

    vars(engine)["begin"] = losing
    return losses
