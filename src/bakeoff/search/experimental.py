"""Parts of Optuna that it calls experimental: used on purpose, and tested here."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import ExperimentalWarning


@contextmanager
def experimental_accepted() -> Iterator[None]:
    """Build one of them without a warning to the user, who did not choose it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
