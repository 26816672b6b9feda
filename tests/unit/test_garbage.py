"""When Python's garbage collection rests."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from bakeoff.garbage import keep_until_exit, without_collection


class _Ring:
    """Refers to itself, so that only the collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_collection_rests_and_goes_on() -> None:
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="here"), without_collection():
        raise ValueError("here")
    assert gc.isenabled()


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.usefixtures("_thawed")
def test_kept_objects_are_not_collected() -> None:
    ring = weakref.ref(_Ring())
    keep_until_exit()
    gc.collect()
    assert ring() is not None
    gc.unfreeze()
    gc.collect()
    assert ring() is None
