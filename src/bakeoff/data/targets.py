"""Regression targets: their scale, and the losses of a model that always predicts their mean.

One target is [N], and T targets are [N, T].
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bakeoff.records import Loss

HUBER_DELTA = 1.0
"""In standard deviations of the target. Source: the default of torch.nn.HuberLoss"""


@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """Mean and standard deviation of the training targets; all targets are standardised by them.

    Each of several targets has its own.
    """

    mean: float | tuple[float, ...]
    deviation: float | tuple[float, ...]
    """1 if all targets are equal."""

    @property
    def error_unit(self) -> float:
        """What standardised errors are multiplied by to be reported.

        It is the deviation of a single target, so that they are in units of the target. Those of
        several targets stay in units of each target's deviation, because only so can they be added.
        """
        return self.deviation if isinstance(self.deviation, float) else 1.0


def measure_targets(targets: NDArray[np.float32]) -> TargetScale:
    """Return mean and standard deviation of `targets` [N] or [N, T], computed in float64."""
    values = targets.astype(np.float64)
    if values.ndim > 1:
        deviations = values.std(axis=0)
        return TargetScale(
            mean=tuple(values.mean(axis=0).tolist()),
            deviation=tuple(np.where(deviations > 0, deviations, 1.0).tolist()),
        )
    return TargetScale(mean=float(values.mean()), deviation=float(values.std()) or 1.0)


def standardise(targets: NDArray[np.float32], scale: TargetScale) -> NDArray[np.float32]:
    """Return `targets` [N] or [N, T] minus the mean of the scale, in units of its deviation."""
    return _standardised(targets, scale).astype(np.float32)


def _standardised(targets: NDArray[np.float32], scale: TargetScale) -> NDArray[np.float64]:
    centred: NDArray[np.float64] = targets.astype(np.float64) - np.array(scale.mean)
    centred /= np.array(scale.deviation)
    return centred


def losses_of_the_mean(targets: NDArray[np.float32], scale: TargetScale) -> Mapping[Loss, float]:
    """Return the mean losses on `targets` [N] or [N, T] of the training mean, standardised."""
    error = np.abs(_standardised(targets, scale))
    huber = np.where(error < HUBER_DELTA, 0.5 * error**2, HUBER_DELTA * (error - 0.5 * HUBER_DELTA))
    return {
        "mse": float((error**2).mean()),
        "l1": float(error.mean()),
        "huber": float(huber.mean()),
    }
