"""A tree-structured Parzen estimator (TPE) over one arm.

The trials are split into the best and the rest. Each part becomes a density over the arm's space,
with a kernel for every trial and one kernel that is flat over the whole space. Candidates are drawn
from the density of the best trials. The candidate with the highest ratio of this density to the
density of the rest is proposed.

Optuna also has this sampler. Ours differs in two points:

- The width of a kernel follows from the numbers of trials and of parameters (Scott's rule). Optuna
  uses the distance to the neighbours along each parameter alone, which is misleading with several
  parameters, and shrinks with every trial.
- The parameters of a schedule are modelled jointly with the parameters that all trials have. If a
  trial lacks a parameter, its kernel is flat along that parameter.

Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011), section 4. Watanabe,
"Tree-Structured Parzen Estimator" (2023), https://arxiv.org/abs/2304.11127 compares the variants.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bakeoff.ranges import Choice, FloatRange, IntRange, Params, ParamValue, Range, is_searched
from bakeoff.records import ArmRecord
from bakeoff.search import normal
from bakeoff.studyfile.arm_parameters import is_active

Array = NDArray[np.float64]
Rng = np.random.Generator

BEST_SHARE = 0.1
MOST_BEST = 25
"""The best tenth of the trials, but at most so many, form the good part. Both are Optuna's."""
NUM_CANDIDATES = 24
BANDWIDTH = 0.2
"""Standard deviation of a kernel among very few trials, as a share of the range."""
NUM_FRESH = 25
"""The latest trials have full weight; earlier trials have less weight the older they are."""
UNKNOWN = math.nan
"""The coordinate of a parameter that a trial does not have."""


class ParzenSampler:
    """Proposes configurations of one arm."""

    def __init__(self, arm: ArmRecord) -> None:
        self._arm = arm
        self._axes = {
            name: make_axis(setting) for name, setting in arm.space.items() if is_searched(setting)
        }

    def propose(self, points: Array, order: Sequence[int], rng: Rng) -> Params:
        """The most promising of `NUM_CANDIDATES` candidates.

        Args:
            points: The known trials as `encode` returns them, the oldest first.
            order: The indices of the trials, the best first.
            rng: The generator that draws the candidates.
        """
        num_best = min(math.ceil(BEST_SHARE * len(order)), MOST_BEST)
        points = points.reshape(len(order), len(self._axes))
        best, rest = (
            Mixture(points[sorted(part)], list(self._axes.values()))
            for part in (order[:num_best], order[num_best:])
        )
        candidates = [self._decode(point) for point in best.draw(NUM_CANDIDATES, rng)]
        found = self.encode(candidates)
        return candidates[int(np.argmax(best.log_density(found) - rest.log_density(found)))]

    def encode(self, trials: Sequence[Params]) -> Array:
        """The coordinates of every trial, [number of trials, number of axes]."""
        rows = [
            [
                axis.encode(trial[name]) if name in trial else UNKNOWN
                for name, axis in self._axes.items()
            ]
            for trial in trials
        ]
        return np.array(rows, dtype=np.float64).reshape(len(trials), len(self._axes))

    def _decode(self, point: Array) -> Params:
        """The configuration at a point; coordinates of inactive parameters are dropped."""
        drawn = dict(zip(self._axes, point.tolist(), strict=True))
        params: dict[str, ParamValue] = {}
        for name, setting in self._arm.space.items():
            if is_active(name, params):
                params[name] = (
                    self._axes[name].decode(drawn[name])
                    if name in self._axes
                    else only_value(setting)
                )
        return params


def only_value(setting: Range | ParamValue) -> ParamValue:
    """The value of a parameter that is not searched."""
    match setting:
        case Choice():
            return setting.choices[0]
        case FloatRange() | IntRange():
            return setting.low
        case _:
            return setting


class Line:
    """Maps numbers to coordinates in [0, 1], on the scale of the range.

    A whole number covers an interval as wide as its step, so that the first and the last number are
    as likely as the others.
    """

    num_values = 0
    """It is not a choice."""

    def __init__(self, setting: FloatRange | IntRange) -> None:
        margin = setting.step / 2 if isinstance(setting, IntRange) else 0.0
        self._setting = setting
        self._low = setting.scaled(setting.low - margin)
        self._length = setting.scaled(setting.high + margin) - self._low

    def encode(self, value: ParamValue) -> float:
        """The coordinate of a value; a value outside the range maps to the nearer end."""
        setting = self._setting
        inside = min(max(float(value), setting.low), setting.high)
        return (setting.scaled(inside) - self._low) / self._length

    def decode(self, coordinate: float) -> ParamValue:
        """The value at a coordinate."""
        setting = self._setting
        scaled = self._low + coordinate * self._length
        if isinstance(setting, FloatRange):
            return setting.unscaled(scaled)
        value = math.exp(scaled) if setting.log else scaled
        value = setting.low + round((value - setting.low) / setting.step) * setting.step
        return min(max(value, setting.low), setting.high)


class Names:
    """Maps choices to 0, 1, ..."""

    def __init__(self, setting: Choice) -> None:
        self._choices = setting.choices
        self.num_values = len(setting.choices)

    def encode(self, value: ParamValue) -> float:
        """The index of a choice."""
        return float(self._choices.index(value))

    def decode(self, coordinate: float) -> ParamValue:
        """The choice with an index."""
        return self._choices[int(coordinate)]


Axis = Line | Names


def make_axis(setting: FloatRange | IntRange | Choice) -> Axis:
    """The axis of a range or of choices."""
    return Names(setting) if isinstance(setting, Choice) else Line(setting)


class Mixture:
    """The density of a kernel around each point and one flat kernel over the whole space.

    Args:
        points: [n, number of axes], the oldest first. A coordinate is NaN if the trial lacks the
            parameter; its kernel is flat along that axis.
        axes: The axes of the coordinates.
    """

    def __init__(self, points: Array, axes: Sequence[Axis]) -> None:
        num_points, num_axes = points.shape
        self._axes = axes
        self._centres = np.vstack([points, np.full((1, num_axes), UNKNOWN)])
        weights = np.append(age_weights(num_points), 1.0)
        self._weights = weights / weights.sum()
        self._width = BANDWIDTH * max(num_points, 1) ** (-1 / (num_axes + 4))
        self._leak = 1 / (num_points + 1)
        """The weight of every choice in a kernel; the trial's own choice has 1 more."""

    def draw(self, count: int, rng: Rng) -> Array:
        """Draw points with a coordinate on every axis, [count, number of axes]."""
        uniform = rng.random((count, 1 + len(self._axes)))
        shares = np.cumsum(self._weights)
        kernels = np.searchsorted(shares / shares[-1], uniform[:, 0], side="right")
        columns = [
            self._draw_choice(centres, axis.num_values, numbers)
            if axis.num_values
            else self._draw_number(centres, numbers)
            for centres, axis, numbers in zip(
                self._centres[kernels].T, self._axes, uniform.T[1:], strict=True
            )
        ]
        return np.array(columns).reshape(len(self._axes), count).T

    def _draw_choice(self, centres: Array, num_values: int, uniform: Array) -> Array:
        weights = self._leak + (np.arange(num_values) == centres[:, None])
        shares = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        return np.asarray((shares / shares[:, -1:] <= uniform[:, None]).sum(axis=1), dtype=float)

    def _draw_number(self, centres: Array, uniform: Array) -> Array:
        low, high = normal.cdf((0 - centres) / self._width), normal.cdf((1 - centres) / self._width)
        at = centres + self._width * normal.quantile(low + uniform * (high - low))
        return np.where(np.isnan(centres), uniform, np.clip(at, 0.0, 1.0))

    def log_density(self, points: Array) -> Array:
        """The log density at points [m, number of axes]; a missing coordinate is NaN."""
        kernels = np.log(self._weights) + np.zeros((len(points), 1))
        for index, axis in enumerate(self._axes):
            at, centres = points[:, index, None], self._centres[:, index]
            terms = (
                self._log_choice(at, centres, axis.num_values)
                if axis.num_values
                else self._log_number(at, centres)
            )
            kernels += np.where(np.isnan(at), 0.0, terms)
        highest = kernels.max(axis=1, keepdims=True)
        return np.asarray(np.log(np.exp(kernels - highest).sum(axis=1)) + highest[:, 0])

    def _log_choice(self, at: Array, centres: Array, num_values: int) -> Array:
        total = 1 + num_values * self._leak
        own = np.where(
            at == centres, math.log((1 + self._leak) / total), math.log(self._leak / total)
        )
        return np.where(np.isnan(centres), -math.log(num_values), own)

    def _log_number(self, at: Array, centres: Array) -> Array:
        inside = normal.cdf((1 - centres) / self._width) - normal.cdf((0 - centres) / self._width)
        scale = np.log(self._width * math.sqrt(2 * math.pi) * inside)
        log_kernel = -0.5 * ((at - centres) / self._width) ** 2 - scale
        return np.where(np.isnan(centres), 0.0, log_kernel)


def age_weights(num_points: int) -> Array:
    """The weights of the points, the oldest first: they rise to 1, which the latest points have.

    Source: optuna.samplers.TPESampler's default weights
    """
    num_old = max(0, num_points - NUM_FRESH)
    weights = np.ones(num_points, dtype=np.float64)
    weights[:num_old] = np.linspace(1 / max(num_points, 1), 1.0, num_old)
    return weights
