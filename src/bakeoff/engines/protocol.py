"""What driver and workers say to each other: plain data, every message naming its run.

An engine is where runs train. It takes a `Job`, and in return tells `Epoch`, then one of
`Finished`, `Failed`, `Halted` or `Paused`; or `Died` when the worker itself is gone. The driver
answers an epoch that waits for a decision with `reply`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bakeoff.records import EpochResult, Outcome, TrialConfig

Reply = Literal["continue", "stop", "pause"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """Train one run."""

    run: str
    """Name of the run, unique within the study: `search-12`, `confirm-3`."""
    config: TrialConfig
    checkpoint_dir: str
    decision_epochs: tuple[int, ...] = ()
    reads_test: bool = False
    weights_path: str = ""
    """Where the scored epoch's weights are written once the run is complete; empty for nowhere."""
    saves_every_epoch: bool = False
    """Save a checkpoint after every epoch, whatever that costs."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Try a configuration for a few steps, and measure what precision and speed it gets."""

    run: str
    config: TrialConfig


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Train for a while, and measure where the time of a step goes."""

    run: str
    config: TrialConfig
    seconds: float
    """How long, about; a step is finished that has begun."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch has ended; with `waits`, the worker holds until it hears `reply`."""

    run: str
    result: EpochResult
    waits: bool


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The run has ended by itself or as told."""

    run: str
    outcome: Outcome
    test_metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Paused:
    """The run has stopped after a checkpoint and may be submitted again."""

    run: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The run raised; training it again would raise again."""

    run: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True, kw_only=True)
class Halted:
    """The run cannot go on here and now (no room for its checkpoint), but may later."""

    run: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Died:
    """The worker process is gone; the run continues from its checkpoint when submitted again."""

    run: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a probe measured."""

    run: str
    precision: str
    seconds_per_step: Mapping[str, float]
    """By precision, median of a few steps."""
    reason: str
    checkpoint_bytes: int = 0
    """Of this configuration, as is the next."""
    weight_bytes: int = 0
    num_checkpoints: int = 0
    """That a run keeps."""


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """What a profile measured, in seconds per optimizer step unless said otherwise."""

    run: str
    parts: Mapping[str, float]
    """By part: data, forward, backward, optimizer, rest. They add up to the whole step."""
    num_steps: int
    """Steps that were measured."""
    steps_per_epoch: int
    evaluate_seconds: float
    """Of the whole validation set."""
    peak_memory_bytes: int
    """Of the process since it began; on a GPU, of the tensors on it."""

    @property
    def step_seconds(self) -> float:
        """Of one optimizer step."""
        return sum(self.parts.values())

    @property
    def epoch_seconds(self) -> float:
        """Of one epoch with its evaluation."""
        return self.steps_per_epoch * self.step_seconds + self.evaluate_seconds


Event = Epoch | Finished | Paused | Failed | Halted | Died | Probed | Profiled


class Engine(Protocol):
    """A place where runs train."""

    @property
    def num_free(self) -> int:
        """Workers without a run."""
        ...

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the runs under way."""
        ...

    def submit(self, job: Job | Probe | Profile) -> None:
        """Start a run on a free worker."""
        ...

    def events(self, timeout: float) -> Sequence[Event]:
        """What happened since, waiting at most `timeout` seconds for the first event."""
        ...

    def reply(self, run: str, reply: Reply) -> None:
        """Answer an epoch that waits, or ask a run to stop or pause after its epoch."""
        ...

    def kill(self, run: str) -> None:
        """Kill the worker of a run, as a crash would."""
        ...

    def close(self) -> None:
        """End all workers now; runs under way can be submitted again later."""
        ...
