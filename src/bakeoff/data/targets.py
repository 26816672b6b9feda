"""Regression targets: their scale, and the losses of a model that knows nothing but their mean."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bakeoff.records import Loss

HUBER_DELTA = 1.0
"""In deviations of the target. Source: the default of torch.nn.HuberLoss"""


@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """Mean and deviation of the training targets, by which all targets are standardised."""

    mean: float
    deviation: float
    """1 where all targets are equal."""


def measure_targets(targets: NDArray[np.float32]) -> TargetScale:
    """Mean and deviation of `targets` [N], in float64."""
    values = targets.astype(np.float64)
    return TargetScale(mean=float(values.mean()), deviation=float(values.std()) or 1.0)


def standardise(targets: NDArray[np.float32], scale: TargetScale) -> NDArray[np.float32]:
    """`targets` [N] with mean 0 and deviation 1 over the training rows."""
    values = (targets.astype(np.float64) - scale.mean) / scale.deviation
    return values.astype(np.float32)


def losses_of_the_mean(targets: NDArray[np.float32], scale: TargetScale) -> Mapping[Loss, float]:
    """Mean losses on `targets` [N] of predicting the training mean, in standardised units."""
    error = np.abs((targets.astype(np.float64) - scale.mean) / scale.deviation)
    huber = np.where(error < HUBER_DELTA, 0.5 * error**2, HUBER_DELTA * (error - 0.5 * HUBER_DELTA))
    return {
        "mse": float((error**2).mean()),
        "l1": float(error.mean()),
        "huber": float(huber.mean()),
    }
