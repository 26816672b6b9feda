"""Where the time of a training step goes, measured in the training loop itself."""

import resource
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter

import torch

from bakeoff.records import TrialConfig
from bakeoff.training.batches import steps_per_epoch
from bakeoff.training.evaluation import measure, prepare_to_evaluate
from bakeoff.training.loop import epoch_steps
from bakeoff.training.state import TrainingState, prepare
from bakeoff.training.totals import EpochTotals

NUM_WARMUP_STEPS = 3
"""Steps before the measured ones. The first steps allocate memory and choose algorithms."""
MIN_STEPS = 5
"""Steps that are measured however long they take."""
PARTS = ("data", "forward", "backward", "optimizer", "rest")
KIB = 1024


@dataclass(frozen=True, kw_only=True)
class StepProfile:
    """What a profile measured; `bakeoff.engines.protocol.Profiled` describes each field."""

    parts: Mapping[str, float]
    num_steps: int
    steps_per_epoch: int
    evaluate_seconds: float
    peak_memory_bytes: int


class LapClock:
    """Adds the time since the last lap to the part of a step that just ended."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.parts = dict.fromkeys(PARTS, 0.0)
        self._started = self.now()

    def now(self) -> float:
        """The time at which the device has done all work it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return perf_counter()

    def lap(self, part: str) -> None:
        """End a part of the step."""
        now = self.now()
        self.parts[part] += now - self._started
        self._started = now


def profile(config: TrialConfig, device: str, seconds: float) -> StepProfile:
    """Train for about `seconds`, then evaluate once; no result of this training is kept.

    Raises:
        DataError: As `bakeoff.training.state.prepare`.
        UsageError: As there.
    """
    state = prepare(config, device)
    for number, _ in enumerate(_endless_steps(state), 1):
        if number == NUM_WARMUP_STEPS:
            break
    clock = LapClock(state.device)
    state.lap = clock.lap
    for num_steps, _ in enumerate(_endless_steps(state), 1):
        if num_steps >= MIN_STEPS and sum(clock.parts.values()) >= seconds:
            break
    prepare_to_evaluate(state)
    started = clock.now()
    measure(state, state.splits.validation)
    training = config.training
    return StepProfile(
        parts={part: spent / num_steps for part, spent in clock.parts.items()},
        num_steps=num_steps,
        steps_per_epoch=steps_per_epoch(
            len(state.splits.train), training.batch_size, training.accumulation_steps
        ),
        evaluate_seconds=clock.now() - started,
        peak_memory_bytes=peak_memory_bytes(state.device),
    )


def _endless_steps(state: TrainingState) -> Iterator[None]:
    while True:
        yield from epoch_steps(state, EpochTotals())


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory in use so far: by the process, or on a GPU by its tensors."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIB
