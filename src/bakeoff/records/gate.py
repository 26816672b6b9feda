"""The parts of a gate: runs of a baseline and of current code, and what comparing them shows."""

from dataclasses import dataclass
from typing import Literal

from bakeoff.records.runs import Outcome
from bakeoff.records.study import MetricInfo

GateDecision = Literal["worse", "not_worse", "cannot_tell"]


@dataclass(frozen=True, kw_only=True)
class GateRun:
    """One seed of a gate, trained to its end."""

    seed: int
    outcome: Outcome
    score: float | None
    """The validation objective of the scored epoch; None if the run did not complete."""
    epoch: int | None = None
    """The scored epoch."""
    digest: str = ""
    """SHA-256 over everything that was measured in every epoch, except times."""
    reason: str = ""
    """What happened to it where it is not complete: `diverged in epoch 3`, `failed: ...`."""


@dataclass(frozen=True, kw_only=True)
class GateFinding:
    """The comparison of K seeds of the current code with the same seeds of the baseline.

    Differences are current minus baseline, signed so that higher is better.
    """

    decision: GateDecision
    num_pairs: int
    margin: float
    """The largest loss that is accepted, in units of the objective."""
    mean: float
    sd: float
    """Standard deviation of the differences over seeds."""
    ci: tuple[float, float]
    """Interval of the mean difference, of which each end has the error rate of the gate."""
    p_worse: float
    """One-sided p of the test that the loss is not larger than the margin."""
    p_not_worse: float
    """One-sided p of the test that the loss is not smaller than the margin."""
    detectable: float
    """A loss larger than the margin by this much is found with probability 0.8."""
    seeds_to_tell: int | None
    """Estimated seeds that would decide, where these do not; None if it is not known."""
    collapsed: tuple[int, ...]
    """Places of the seeds whose score is far below the other scores of the current code."""


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """What a gate found: all that its report may say."""

    study: str
    metric: MetricInfo
    decision: GateDecision
    verdict: str
    """The decision with its evidence, in sentences."""
    margin: float
    margin_source: str
    baseline: str
    """Where the baseline was read from."""
    baseline_commit: str
    commit: str
    baseline_runs: tuple[GateRun, ...]
    """The runs that were planned to be compared."""
    runs: tuple[GateRun, ...]
    """Those of the current code. They end with the first one that did not complete."""
    finding: GateFinding | None
    """None if a run did not complete."""
    changed_settings: tuple[str, ...]
    """Settings that differ from the baseline's, as `key: before -> after`."""
    changed_environment: tuple[str, ...]
    """Packages, machine and code that differ, as `heading: before -> after`."""
    num_validation: int | None

    @property
    def pairs(self) -> tuple[tuple[GateRun, GateRun | None], ...]:
        """Every run of the baseline with that of the current code, or None if there is none."""
        current = {run.seed: run for run in self.runs}
        return tuple((run, current.get(run.seed)) for run in self.baseline_runs)

    @property
    def num_equal(self) -> int:
        """Seeds on which both measured the same bits in every epoch."""
        return sum(run is not None and run.digest == base.digest for base, run in self.pairs)
