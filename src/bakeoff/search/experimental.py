"""The parts of Optuna that it calls experimental are used on purpose and tested here."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import ExperimentalWarning


@contextmanager
def experimental_accepted() -> Iterator[None]:
    """Hide Optuna's warning from users, who did not choose the experimental part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
