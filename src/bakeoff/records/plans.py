"""What a search decides: the next trial, whether a trial continues, and how trials are ranked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bakeoff.ranges import Params
from bakeoff.records.runs import Phase, Purpose

Decision = Literal["continue", "exempt", "stop", "pause", "time_up", "budget_used"]
"""What happens to a trial after an epoch.

`exempt` continues a trial that pruning would have ended. `time_up` (the search's time is over) and
`budget_used` (the arm's seconds are used up) end a trial for reasons that have nothing to do with
the trial itself.
"""

WarmStarts = Mapping[str, Sequence[Params]]
"""Configurations from another study by arm, best first."""


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """A run that a source of trials decided on: what to train, for which arm, with which seed."""

    arm: str
    params: Params
    seed: int
    phase: Phase
    purpose: Purpose = "search"
    configuration: int | None = None
    """Number of the search trial whose configuration a confirmation run repeats."""
    decision_epochs: tuple[int, ...] = ()
    """Epochs after which the run waits for the pruner's decision."""
    repeat: int = 0
    """The search it belongs to, counted from 0."""
    audited: bool = False
    """Whether the trial is exempt from pruning, to measure what pruning is worth."""


class Promotion(NamedTuple):
    """A paused trial continues."""

    number: int
    is_exempt: bool = False
    """Whether pruning would have ended it. It continues because it is audited, or because pruning
    is switched off."""


class Standing(NamedTuple):
    """A trial's rank key among the trials of its arm, for the sampler. The smallest is the best."""

    tier: int
    """0 complete, 1 paused or pruned, 2 diverged."""
    progress: float = 0.0
    """Minus the rung or epoch that an incomplete trial reached; 0 in the other tiers."""
    loss: float = 0.0
    """The score with its sign turned so that smaller is better, or the place in the rung."""


Standings = tuple[Standing, ...]
"""One `Standing` per objective of the study."""
