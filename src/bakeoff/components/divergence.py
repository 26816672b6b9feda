"""Describes why a run diverged."""

from math import isfinite

from bakeoff.records import EpochResult


def describe_divergence(result: EpochResult) -> str:
    """Describe the last epoch of a diverged run."""
    epoch = result.epoch
    if result.steps == 0 and result.skipped_steps:
        return f"every step of epoch {epoch} was skipped: the gradients overflowed fp16"
    if isfinite(result.train_loss) and all(map(isfinite, result.metrics.values())):
        return f"the gradients overflowed fp16 again and again in epoch {epoch}"
    return f"not finite in epoch {epoch}"
