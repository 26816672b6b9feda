"""Where the time of a step goes, measured on the training loop itself.

While a profile runs, the functions that a step calls are replaced by ones that also look at the
clock. What is not in one of them (clipping, gradient norms, the schedule) is the rest.
"""

import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.batches import steps_per_epoch
from bakeoff.training.epoch_batches import Batch, training_batches
from bakeoff.training.evaluation import evaluate, settle
from bakeoff.training.state import TrainingState, prepare

NUM_WARMUP_STEPS = 3
"""Steps before the measured ones: the first allocate memory and choose algorithms."""
MIN_STEPS = 5
"""Steps that are measured however long they take."""
PARTS = ("data", "forward", "backward", "optimizer")
KIB = 1024


@dataclass(frozen=True, kw_only=True)
class StepProfile:
    """What a profile measured; `bakeoff.engines.protocol.Profiled` says what each means."""

    parts: Mapping[str, float]
    num_steps: int
    steps_per_epoch: int
    evaluate_seconds: float
    peak_memory_bytes: int


class _EnoughError(Exception):
    """Ends an epoch of which enough was measured."""


class _Clock:
    """Adds up the seconds of each part, between the first batch and the end of the last step."""

    def __init__(self, state: TrainingState, seconds: float) -> None:
        self._device = state.device
        self._batches_per_step = state.config.training.accumulation_steps
        self._seconds = seconds
        self.parts = dict.fromkeys(PARTS, 0.0)
        self.num_steps = 0
        self.total = 0.0

    def now(self) -> float:
        """The time when all work handed to the device is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return perf_counter()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time added to `part`."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            started = self.now()
            try:
                return function(*args, **kwargs)
            finally:
                self.parts[part] += self.now() - started

        return call

    def timed_batches(
        self, batches: Callable[[TrainingState], Iterator[Batch]]
    ) -> Callable[[TrainingState], Iterator[Batch]]:
        """Batches whose fetching is timed, until enough steps have been made."""

        def fetch(state: TrainingState) -> Iterator[Batch]:
            began, at_start = self.now(), self.total
            following = iter(batches(state))
            self.parts["data"] += self.now() - began
            for index in range(sys.maxsize):
                self.total = at_start + self.now() - began
                if index % self._batches_per_step == 0:
                    self._count_step(index)
                started = self.now()
                batch = next(following, None)
                self.parts["data"] += self.now() - started
                if batch is None:
                    break
                yield batch
            self.num_steps += index % self._batches_per_step > 0  # the last, smaller group
            self.total = at_start + self.now() - began

        return fetch

    def _count_step(self, index: int) -> None:
        self.num_steps += index > 0
        if self.num_steps >= MIN_STEPS and self.total >= self._seconds:
            raise _EnoughError


def profile(config: TrialConfig, device: str, seconds: float) -> StepProfile:
    """Train for about so many seconds, then evaluate once; nothing of it is kept.

    Raises:
        DataError: As `bakeoff.training.state.prepare`.
        UsageError: As there.
    """
    state = prepare(config, device)
    _warm_up(state)
    clock = _Clock(state, seconds)
    with _watched(state, clock):
        while clock.num_steps < MIN_STEPS or clock.total < seconds:
            try:
                loop.train_epoch(state)
            except _EnoughError:
                break
    settle(state)
    started = clock.now()
    evaluate(state, state.splits.validation)
    parts = {part: spent / clock.num_steps for part, spent in clock.parts.items()}
    rest = clock.total / clock.num_steps - sum(parts.values())
    training = config.training
    return StepProfile(
        parts={**parts, "rest": max(0.0, rest)},
        num_steps=clock.num_steps,
        steps_per_epoch=steps_per_epoch(
            len(state.splits.train), training.batch_size, training.accumulation_steps
        ),
        evaluate_seconds=clock.now() - started,
        peak_memory_bytes=peak_memory_bytes(state.device),
    )


def _warm_up(state: TrainingState) -> None:
    clock = _Clock(state, 0.0)
    clock.num_steps = MIN_STEPS - NUM_WARMUP_STEPS
    with _watched(state, clock):
        try:
            loop.train_epoch(state)
        except _EnoughError:
            return


@contextmanager
def _watched(state: TrainingState, clock: _Clock) -> Iterator[None]:
    """Within it, the parts of a step are timed."""
    with ExitStack() as stack:
        for owner, name, part in (
            (state.model, "forward", "forward"),
            (state.criterion, "forward", "forward"),
            (Tensor, "backward", "backward"),
            (state.optimizer, "step", "optimizer"),
        ):
            stack.enter_context(_replaced(owner, name, clock.timed(part, getattr(owner, name))))
        fetch = clock.timed_batches(training_batches)
        stack.enter_context(_replaced(loop, "training_batches", fetch))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Within it, `owner` has `value` under `name`."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory in use so far: by the process, or on a GPU by its tensors."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIB
