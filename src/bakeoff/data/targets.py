"""Regression targets: their scale, and the losses of a model that always predicts their mean."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bakeoff.records import Loss

HUBER_DELTA = 1.0
"""In standard deviations of the target. Source: the default of torch.nn.HuberLoss"""


@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """Mean and standard deviation of the training targets; all targets are standardised by them."""

    mean: float
    deviation: float
    """1 if all targets are equal."""


def measure_targets(targets: NDArray[np.float32]) -> TargetScale:
    """Return the mean and the standard deviation of `targets` [N], computed in float64."""
    values = targets.astype(np.float64)
    return TargetScale(mean=float(values.mean()), deviation=float(values.std()) or 1.0)


def standardise(targets: NDArray[np.float32], scale: TargetScale) -> NDArray[np.float32]:
    """Return `targets` [N] minus the mean of the scale, in units of its deviation."""
    values = (targets.astype(np.float64) - scale.mean) / scale.deviation
    return values.astype(np.float32)


def losses_of_the_mean(targets: NDArray[np.float32], scale: TargetScale) -> Mapping[Loss, float]:
    """Return the mean losses on `targets` [N] of the training mean, in standardised units."""
    error = np.abs((targets.astype(np.float64) - scale.mean) / scale.deviation)
    huber = np.where(error < HUBER_DELTA, 0.5 * error**2, HUBER_DELTA * (error - 0.5 * HUBER_DELTA))
    return {
        "mse": float((error**2).mean()),
        "l1": float(error.mean()),
        "huber": float(huber.mean()),
    }
