"""What one epoch's steps add up to."""

from collections.abc import Iterator
from math import nan
from operator import mul
from time import perf_counter
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

MAX_WAITING = 1024
"""Steps whose numbers are collected at once."""


class Step(NamedTuple):
    """What one step did; the tensors are scalars that were not waited for."""

    loss: Tensor
    grad_norm: Tensor
    """Before clipping."""
    stepped: bool


class EpochTotals:
    """Sums over one epoch's steps; no step waits for its numbers or spends time adding them."""

    def __init__(self) -> None:
        self._waiting: list[Step] = []
        self._num_samples: list[int] = []
        self._loss_sum = 0.0
        self._grad_norm_sum = 0.0
        self._samples = 0
        self.steps = 0
        self.skipped_steps = 0
        self.learning_rate = nan
        self.data_seconds = 0.0

    def add(self, step: Step, num_samples: int, learning_rate: float) -> None:
        """Count a step; one that was skipped had no finite gradient and only counts as that."""
        if not step.stepped:
            self.skipped_steps += 1
            return
        self._waiting.append(step)
        self._num_samples.append(num_samples)
        self.steps += 1
        self.learning_rate = learning_rate
        if len(self._waiting) == MAX_WAITING:
            self._collect()

    def timed(self, batches: Iterator[Item]) -> Iterator[Item]:
        """`batches`, the time spent waiting for each added to `data_seconds`."""
        while True:
            started = perf_counter()
            batch = next(batches, None)
            self.data_seconds += perf_counter() - started
            if batch is None:
                return
            yield batch

    def means(self) -> tuple[float, float]:
        """Mean loss over samples and mean gradient norm over steps; NaN if no step was made."""
        if self.steps == 0:
            return nan, nan
        self._collect()
        return self._loss_sum / self._samples, self._grad_norm_sum / self.steps

    def _collect(self) -> None:
        if not self._waiting:
            return
        losses = torch.stack([step.loss for step in self._waiting]).tolist()
        grad_norms = torch.stack([step.grad_norm for step in self._waiting]).tolist()
        self._loss_sum += sum(map(mul, losses, self._num_samples))
        self._grad_norm_sum += sum(grad_norms)
        self._samples += sum(self._num_samples)
        self._waiting.clear()
        self._num_samples.clear()
