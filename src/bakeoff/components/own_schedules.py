"""Finds a schedule by its name: a registered one, or a function of the user's own."""

from collections.abc import Callable

from bakeoff.components.parameters import own_parameters
from bakeoff.components.schedulers import SCHEDULERS, SchedulerSpec
from bakeoff.components.signatures import read_own_code
from bakeoff.errors import UsageError, describe_unknown
from bakeoff.ranges import ParamValue
from bakeoff.registry import is_reference, resolve, users_code


def find_scheduler(name: str) -> SchedulerSpec:
    """The registered schedule, or the user's own as `package.module:name`.

    Nothing is imported before the factor is computed. A function of the user's covers the whole
    run, warm-up included, and gets the parameters that the study file lists and no others.

    Raises:
        UsageError: `name` is neither; the message offers the nearest name.
    """
    if name in SCHEDULERS:
        return SCHEDULERS[name]
    if not is_reference(name):
        problem = describe_unknown(SCHEDULERS.kind, name, SCHEDULERS.names)
        raise UsageError(f"{problem}, or your own as package.module:name")
    own = read_own_code(name)
    return SchedulerSpec(
        name=name,
        description="a function of yours",
        source=name,
        parameters=own_parameters(own, {}),
        factor=_OwnFactor(name),
        has_own_warmup=True,
        own=own,
    )


class _OwnFactor:
    """The user's function, which is imported when the first factor is computed."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._compute: Callable[..., float] | None = None

    def __call__(self, progress: float, **params: ParamValue) -> float:
        if self._compute is None:
            found = resolve(self._reference)
            if not callable(found):
                raise TypeError(f"{type(found).__name__} cannot be called")
            self._compute = found
        with users_code():
            return self._compute(progress, **params)
