"""The messages between the driver and the workers: plain data that names the run.

An engine trains runs. For a `Job` it returns one `Epoch` per epoch and then one of `Finished`,
`Failed`, `Halted`, `Paused`, or `Died` if the worker process itself is gone. Some epochs wait until
the driver has answered them with `reply`.

A run is started again when its worker or its driver is lost. Each start is an attempt with a number
of its own, and the driver ignores the events of earlier attempts: a machine that could not be
reached for a while may still send some.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bakeoff.records import EpochResult, Outcome, TrialConfig

HANG_SECONDS = 1800.0
"""By default, a run without a step for this long, or without an evaluated batch for four times as
long, counts as hung, and its worker is killed."""
LossCause = Literal["worker", "node"]
"""Whether a worker ended alone, perhaps because of its run, or with the machine it was on."""
Reply = Literal["continue", "stop", "pause", "suspend"]
"""`pause` saves a checkpoint after the epoch in progress, and `suspend` after the step in progress.
Both end with `Paused`."""


@dataclass(frozen=True, kw_only=True)
class _Message:
    run: str
    """Name of the run, unique within the study: `search-12`, `confirm-3`."""
    attempt: int = 1
    """The start of the run that this belongs to. It rises with every start."""


@dataclass(frozen=True, kw_only=True)
class Job(_Message):
    """Train one run."""

    config: TrialConfig
    checkpoints: str
    """The location of the store of its checkpoints; see `bakeoff.stores`."""
    identity: str = ""
    """What its checkpoints belong to: study, run, configuration and data; empty means the name."""
    decision_epochs: tuple[int, ...] = ()
    reads_test: bool = False
    keeps_weights: bool = False
    """Whether a complete run stores the scored epoch's weights next to its checkpoints."""
    rivals: str = ""
    """Runs of a stack that end together and name the same store the weights of the best only."""
    score_to_reach: float | None = None
    """A run with a worse score stores no weights, because the driver has better ones."""
    saves_every_epoch: bool = False
    """Save a checkpoint after every epoch, however long that takes."""
    has_lost_worker: bool = False
    """Whether it has lost a worker, which it may have ended itself."""


@dataclass(frozen=True, kw_only=True)
class Stack(_Message):
    """Train several runs as one. Their events come as `Members`, and then one `Stacked`."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True, kw_only=True)
class MemberReply:
    """The driver's reply to one run of a stack."""

    run: str
    reply: Reply


@dataclass(frozen=True, kw_only=True)
class Join(MemberReply):
    """A run that trains in the stack from its next epoch on.

    The stack may end before the message arrives, and then the run never begins.
    """

    job: Job


@dataclass(frozen=True, kw_only=True)
class Probe(_Message):
    """Train a configuration for a few steps and measure which precision is fastest."""

    config: TrialConfig
    others: tuple[TrialConfig, ...] = ()
    """Configurations with other optimizers, each of which is tried for one step."""
    stack_width: int = 0
    """Number of runs for which training as a stack is tried; 0 does not try it."""
    search_width: int = 0
    """The same for trials of the search, of which fewer train at once."""
    least_gain: float = 0.0
    """The gain for which stacks are worth it; 0 where they are wanted whatever they gain."""


@dataclass(frozen=True, kw_only=True)
class Profile(_Message):
    """Train for a while and measure how long each part of a step takes."""

    config: TrialConfig
    seconds: float
    """Approximate duration. A step that has begun is finished."""


@dataclass(frozen=True, kw_only=True)
class Started(_Message):
    """A worker has received the run."""

    place: str
    """Where it is: a node of a cluster, or a device of this machine."""


@dataclass(frozen=True, kw_only=True)
class Epoch(_Message):
    """An epoch has ended."""

    result: EpochResult
    waits: bool
    """Whether the worker waits for a `reply`."""


@dataclass(frozen=True, kw_only=True)
class Finished(_Message):
    """The run has ended by itself or because of a reply."""

    outcome: Outcome
    test_metrics: Mapping[str, float]
    test_without: tuple[float, ...] = ()
    """The objective on the test set without each group of its samples, [G]."""
    loading: str = ""
    """With how many processes its worker fetches samples, as text, once this was measured."""


@dataclass(frozen=True, kw_only=True)
class Paused(_Message):
    """The run has stopped with a checkpoint and may be submitted again."""


@dataclass(frozen=True, kw_only=True)
class Failed(_Message):
    """The run raised an error and would raise it again."""

    outcome: Outcome
    reason: str
    breaks_worker: bool = False
    """Whether its worker cannot train again, such as after an error in a kernel of a GPU."""


@dataclass(frozen=True, kw_only=True)
class Halted(_Message):
    """The run cannot continue now, because its checkpoint cannot be written, but may later."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Died(_Message):
    """The worker process is gone. The run resumes from its checkpoint when submitted again."""

    reason: str
    cause: LossCause = "worker"
    node: str = ""
    """The machine it was on; empty for the driver's own."""
    was_training: bool = True
    """Whether the run had been prepared: data read, model built, checkpoint loaded."""


@dataclass(frozen=True, kw_only=True)
class Probed(_Message):
    """The result of a `Probe`."""

    precision: str
    seconds_per_step: Mapping[str, float]
    """Median of a few steps by precision."""
    reason: str
    checkpoint_bytes: int = 0
    """Size of a checkpoint of this configuration."""
    weight_bytes: int = 0
    """Size of its trainable weights."""
    channels_last: bool = False
    """Whether its convolutions are stored channels last."""
    num_checkpoints: int = 0
    """Number of checkpoints that a run keeps."""
    code: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files of the user's that were imported, by path."""
    ranks: str = ""
    """How several devices train a run together; empty with one."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """The pretrained weights, as text by heading; empty without any."""
    stack_gain: float = 0.0
    """Time of runs one by one over their time as a stack; 0 if they cannot train as one."""
    search_gain: float = 0.0
    """The same for a stack of `search_width` trials."""
    stack_reason: str = ""
    """What was measured of stacks, or why runs cannot train as one."""


@dataclass(frozen=True, kw_only=True)
class Profiled(_Message):
    """The result of a `Profile`."""

    parts: Mapping[str, float]
    """Seconds per optimizer step by part: data, forward, backward, optimizer, rest."""
    num_steps: int
    """Number of steps that were measured."""
    steps_per_epoch: int
    evaluate_seconds: float
    """Time to evaluate the whole validation set."""
    peak_memory_bytes: int
    """Peak memory of the process since it started; on a GPU, of the tensors on it."""

    @property
    def step_seconds(self) -> float:
        """Duration of one optimizer step."""
        return sum(self.parts.values())

    @property
    def epoch_seconds(self) -> float:
        """Duration of one epoch including its evaluation."""
        return self.steps_per_epoch * self.step_seconds + self.evaluate_seconds


MemberEvent = Epoch | Finished | Paused | Failed | Halted
"""What a run of a stack reports."""


@dataclass(frozen=True, kw_only=True)
class Members(_Message):
    """What some runs of a stack report at the same time."""

    events: tuple[MemberEvent, ...]


@dataclass(frozen=True, kw_only=True)
class Stacked(_Message):
    """All runs of a stack have ended, and each has reported how, but for those that came late."""


Event = Started | MemberEvent | Died | Probed | Profiled | Members | Stacked
Task = Job | Stack | Probe | Profile
"""What an engine can be given to do."""
INTERIM = (Started, Epoch, Members)
"""Events after which a worker continues its task."""


class Engine(Protocol):
    """Runs jobs in workers."""

    @property
    def num_free(self) -> int:
        """Number of jobs that can be submitted now."""

    def submit(self, job: Task) -> None:
        """Start a run on a free worker."""

    def events(self, timeout: float) -> Sequence[Event]:
        """New events. Waits at most `timeout` seconds for the first one."""

    def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer an epoch that waits, or ask a run to stop, pause or be suspended."""

    def kill(self, run: str) -> None:
        """Kill the worker of a run, as a crash would."""

    def close(self) -> None:
        """Kill all workers. Their runs can be submitted again and resume from their checkpoints."""
