"""Checks that several parts of a study file share; every error begins with the key."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from bakeoff.errors import StudyFileError, UsageError, describe_unknown


@contextmanager
def named(key: str) -> Iterator[None]:
    """Put the key before the message of a usage error.

    Raises:
        StudyFileError: The block raised a usage error.
    """
    try:
        yield
    except UsageError as error:
        raise StudyFileError(f"{key}: {error}") from None


def check_known(key: str, kind: str, name: object, known: Collection[str]) -> None:
    """Refuse a name that is not known.

    Raises:
        StudyFileError: The message lists the known names and suggests the nearest.
    """
    if name not in known:
        raise StudyFileError(f"{key}: {describe_unknown(kind, name, known)}")


def check_once(key: str, names: Sequence[str]) -> None:
    """Refuse a list in which a name occurs twice.

    Raises:
        StudyFileError: The message has the name.
    """
    for name in names:
        if names.count(name) > 1:
            raise StudyFileError(f"{key}: {name!r} is listed twice")
