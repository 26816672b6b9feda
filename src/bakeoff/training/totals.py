"""Running totals of one epoch's steps."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from math import nan
from operator import mul
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

MAX_WAITING = 1024
"""Steps whose losses and norms are copied from the device at once."""


class Step(NamedTuple):
    """What one step did; the tensors are scalars that may still be computed on the device."""

    loss: Tensor
    grad_norm: Tensor
    """The norm before clipping."""
    skipped: Tensor | None
    """Above 0 if the gradient scaler skipped the step; None without a scaler."""


class EpochTotals:
    """Sums over one epoch's steps, added up in bulk so that no step waits for the device."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Step, int]] = []
        self._loss_sum = 0.0
        self._grad_norm_sum = 0.0
        self._samples = 0
        self._skipped_loss_sum = 0.0
        self.steps = 0
        """Steps that were made, as far as the device was asked; `means` asks about all."""
        self.skipped_steps = 0
        self.drawn = 0
        """Samples of all steps, those of skipped ones included."""
        self.learning_rate = nan
        self.data_seconds = 0.0
        self.seconds = 0.0
        """Training time of the epoch so far, as the caller measured it."""

    def add(self, step: Step, num_samples: int, learning_rate: float) -> None:
        """Count a step; of a skipped one, which had no finite gradient, only the loss is used."""
        self.drawn += num_samples
        self._waiting.append((step, num_samples))
        self.learning_rate = learning_rate
        if len(self._waiting) == MAX_WAITING:
            self._collect()

    def timed(self, batches: Iterator[Item]) -> Iterator[Item]:
        """Yield `batches` and add the time spent waiting for each to `data_seconds`."""
        while True:
            started = perf_counter()
            batch = next(batches, None)
            self.data_seconds += perf_counter() - started
            if batch is None:
                return
            yield batch

    def means(self) -> tuple[float, float]:
        """Mean loss over samples and mean gradient norm over steps.

        If every step was skipped, the loss is that of the skipped ones and the norm is NaN: fp16's
        scaler begins too high and lowers its scale until the gradients fit.
        """
        if self._waiting:
            self._collect()
        if self.steps == 0:
            return (self._skipped_loss_sum / self.drawn if self.drawn else nan), nan
        return self._loss_sum / self._samples, self._grad_norm_sum / self.steps

    def state_dict(self) -> dict[str, Any]:
        """The totals within an epoch, as plain values and tensors."""
        steps, num_samples = zip(*self._waiting, strict=True) if self._waiting else ((), ())
        return {
            # Waiting steps are kept apart: adding them up now would round the sums differently.
            "losses": stacked([step.loss for step in steps]) if steps else None,
            "grad_norms": stacked([step.grad_norm for step in steps]) if steps else None,
            "skipped": _flags([step.skipped for step in steps]),
            "num_samples": list(num_samples),
            "sums": [self._loss_sum, self._grad_norm_sum, self._samples],
            "counts": [self.steps, self.skipped_steps, self.drawn],
            "skipped_loss_sum": self._skipped_loss_sum,
            "learning_rate": self.learning_rate,
            "seconds": [self.seconds, self.data_seconds],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        if state["num_samples"]:
            counts = state["num_samples"]
            skipped = state.get("skipped")
            skips = [None] * len(counts) if skipped is None else skipped
            steps = zip(state["losses"], state["grad_norms"], skips, counts, strict=True)
            self._waiting = [(Step(loss, norm, skip), num) for loss, norm, skip, num in steps]
        self._loss_sum, self._grad_norm_sum, self._samples = state["sums"]
        self.steps, self.skipped_steps, self.drawn = state["counts"]
        self._skipped_loss_sum = state.get("skipped_loss_sum", 0.0)
        self.learning_rate = state["learning_rate"]
        self.seconds, self.data_seconds = state["seconds"]

    def _collect(self) -> None:
        """Add the waiting steps to the sums."""
        steps, num_samples = zip(*self._waiting, strict=True)
        losses = stacked([step.loss for step in steps]).tolist()
        norms = stacked([step.grad_norm for step in steps]).tolist()
        skipped = _flags([step.skipped for step in steps])
        is_skipped = [False] * len(steps) if skipped is None else (skipped > 0).tolist()
        made = [not skip for skip in is_skipped]
        self._loss_sum += sum(map(mul, compress(losses, made), compress(num_samples, made)))
        self._grad_norm_sum += sum(compress(norms, made))
        self._samples += sum(compress(num_samples, made))
        self._skipped_loss_sum += sum(
            map(mul, compress(losses, is_skipped), compress(num_samples, is_skipped))
        )
        self.steps += sum(made)
        self.skipped_steps += sum(is_skipped)
        self._waiting.clear()


def _flags(flags: Sequence[Tensor | None]) -> Tensor | None:
    """The flags of all steps, [N]; None without a scaler, or without a step."""
    known = [flag.reshape(()) for flag in flags if flag is not None]
    return stacked(known) if known else None


def stacked(scalars: Sequence[Tensor]) -> Tensor:
    """The scalars as [N], on the device of the last one; a checkpoint gave some on the CPU."""
    device = scalars[-1].device
    return torch.stack([one if one.device == device else one.to(device) for one in scalars])
