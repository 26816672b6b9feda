"""Stores with a study who drives it, and how each driver ended."""

from collections.abc import Iterator
from contextlib import contextmanager

from bakeoff.child_process import EndedBySignal
from bakeoff.driver import InterruptedStudyError
from bakeoff.errors import StudyTakenOverError
from bakeoff.storage import Storage
from bakeoff.storage.sessions import Ending, begin_session, end_session

STOPPED = (InterruptedStudyError, KeyboardInterrupt, EndedBySignal)


@contextmanager
def recorded_session(storage: Storage, name: str, user: str) -> Iterator[None]:
    """Store that `user` drives a study while the block runs. The caller holds the study's lock."""
    sessions = begin_session(storage, name, user)
    how: Ending = "finished"
    try:
        yield
    except StudyTakenOverError:
        how = ""  # the study has another driver's session now
        raise
    except STOPPED:
        how = "interrupted"
        raise
    except BaseException:
        how = "failed"
        raise
    finally:
        if how:
            end_session(storage, name, sessions, how)
