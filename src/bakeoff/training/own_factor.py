"""Tries a schedule of the user's own before it trains anything."""

from math import isfinite
from numbers import Real

from bakeoff.components.own_calls import SCHEDULER
from bakeoff.components.schedulers import SchedulerSpec
from bakeoff.errors import UsageError
from bakeoff.ranges import Params
from bakeoff.registry import expecting, resolve

NUM_TRIED = 64
"""Parts into which progress is divided; the factor is computed at the bounds of each."""


def check_factor(spec: SchedulerSpec, params: Params) -> None:
    """Make sure that the user's function gives a factor from the beginning of a run to its end.

    Args:
        spec: A schedule of the user's own.
        params: Its parameters.

    Raises:
        UsageError: It cannot be called so, gives something else than a finite factor of at least
            0, or another one each time; the message says what was expected and found.
    """
    where, found = f"scheduler {spec.name!r}", resolve(spec.name)
    expected = f"{where}: expected a call with {SCHEDULER.called_with}, here {_shown(params)}"
    for part in range(NUM_TRIED + 1):
        progress = part / NUM_TRIED
        with expecting(expected, found):
            factor: object = spec.factor(progress, **params)
            again: object = spec.factor(progress, **params)
        is_number = isinstance(factor, Real) and not isinstance(factor, bool)
        if not is_number or not isfinite(factor) or factor < 0:  # type: ignore[arg-type,operator]
            raise UsageError(
                f"{where}: expected {SCHEDULER.gives}, found {factor!r} at progress {progress:g}"
                f" with {_shown(params)}"
            )
        if factor != again:
            raise UsageError(
                f"{where}: expected a pure function of the progress, found {factor!r} and then"
                f" {again!r} at progress {progress:g}; a run that resumes could not repeat it"
            )


def _shown(params: Params) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in params.items()) or "no parameters"
