"""The grid of an arm: every combination of a few values of each parameter."""

import math
from collections.abc import Mapping
from itertools import product

from bakeoff.ranges import Choice, FloatRange, IntRange, Params, ParamValue
from bakeoff.studyfile.arm_parameters import Setting, is_active, names_of


def grid_values(setting: Setting, points: int) -> tuple[ParamValue, ...]:
    """At most `points` values of a range, including its bounds; all values of a choice.

    They are evenly spaced, on the scale of the range; a single point is the
    middle. Whole numbers are rounded to the range's steps, and each occurs once.
    """
    match setting:
        case FloatRange():
            return tuple(dict.fromkeys(_at(setting, part) for part in _parts(points)))
        case IntRange():
            steps = (
                round((_at(setting, one) - setting.low) / setting.step) for one in _parts(points)
            )
            return tuple(dict.fromkeys(setting.low + step * setting.step for step in steps))
        case Choice():
            return setting.choices
        case _:
            return (setting,)


def _parts(points: int) -> tuple[float, ...]:
    return (0.5,) if points == 1 else tuple(index / (points - 1) for index in range(points))


def _at(setting: FloatRange | IntRange, part: float) -> float:
    """The value at a fraction of the way from low to high; the bounds are exact."""
    low, high = setting.low, setting.high
    if part in (0.0, 1.0):
        return high if part else low
    if setting.log:
        return float(low * (high / low) ** part)
    if isinstance(setting, FloatRange) and setting.log_from_one:
        return float(1 - (1 - low) * ((1 - high) / (1 - low)) ** part)
    return low + (high - low) * part


class Grid:
    """Every configuration of an arm by index, where each range has only a few values.

    The last parameter of the space changes fastest. A configuration is computed from its index,
    because a grid may have more points than fit into memory.
    """

    def __init__(self, space: Mapping[str, Setting], points: int) -> None:
        """Compute the size of the grid.

        Args:
            space: Setting of each parameter of an arm, including optimizer and scheduler.
            points: Values per range.
        """
        owners = product(names_of(space["optimizer"]), names_of(space["scheduler"]))
        self._parts = [
            _axes(space, optimizer, scheduler, points) for optimizer, scheduler in owners
        ]
        self._sizes = [math.prod(map(len, axes.values())) for axes in self._parts]
        self.size = sum(self._sizes)

    def __getitem__(self, index: int) -> Params:
        """Configuration `index`, counted from 0.

        Raises:
            IndexError: The index is not below `size`.
        """
        if not 0 <= index < self.size:
            raise IndexError(index)
        part = 0
        while index >= self._sizes[part]:
            index -= self._sizes[part]
            part += 1
        axes, params = self._parts[part], dict[str, ParamValue]()
        for name in reversed(axes):
            index, place = divmod(index, len(axes[name]))
            params[name] = axes[name][place]
        return {name: params[name] for name in axes}


def _axes(
    space: Mapping[str, Setting], optimizer: str, scheduler: str, points: int
) -> dict[str, tuple[ParamValue, ...]]:
    """Values of each parameter that applies to this optimizer and scheduler."""
    chosen = {"optimizer": optimizer, "scheduler": scheduler}
    return {
        name: grid_values(chosen.get(name, setting), points)
        for name, setting in space.items()
        if is_active(name, chosen)
    }
