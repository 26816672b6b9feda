"""What a check for a flag found, and how it is listed."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bakeoff.analysis.wording import join
from bakeoff.records import Severity


class Problem(NamedTuple):
    """What a check found."""

    detail: str
    arms: Iterable[str] = ()
    """Arms it concerns; empty means all."""
    severity: Severity | None = None
    """Where it differs from the severity of the flag."""
    pairs: Iterable[tuple[str, str]] = ()
    """Pairs of arms it concerns; empty means all pairs of `arms`."""


def list_values(values: Mapping[str, int | str]) -> str:
    """`sgd 5 and adam 8`."""
    return join([f"{arm} {value}" for arm, value in values.items()])
