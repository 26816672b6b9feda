"""Cohorts: the trials that may fairly be compared before they end.

A cohort is an arm and a schedule: a cosine run looks worse than a constant one until its learning
rate has come down, so the two are never compared halfway.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from bakeoff.ranges import Params
from bakeoff.records import EpochResult, TrialRecord

CohortKey = tuple[str, str]
"""Arm and schedule: what must be equal for two trials to be compared early."""
Decision = Literal["continue", "spare", "stop", "pause", "time_up", "spent"]
"""To spare is to continue what pruning would have ended. `time_up` (for the whole search) and
`spent` (the arm's budget) stop without a reason of the trial's own."""
Standing = tuple[float, float, float]
"""Orders the trials of an arm for its sampler: the smallest is the best."""
Standings = tuple[Standing, ...]
"""One for each objective of the study."""


def cohort_key(arm: str, params: Params) -> CohortKey:
    """The cohort of a trial of `arm`."""
    return arm, str(params["scheduler"])


class Promotion(NamedTuple):
    """A paused trial continues."""

    number: int
    is_spared: bool = False
    """Pruning would have ended it; it continues because it is audited, or pruning is off."""


class Cohorts(Protocol):
    """Decides, cohort by cohort, which trials of a study go on."""

    def start(self, key: CohortKey, number: int, *, audited: bool = False) -> None:
        """A new trial joins its cohort; an audited one is never ended by it."""
        ...

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """Note an epoch; `rungs` are the epochs at which this trial is decided on."""
        ...

    def decide(self, key: CohortKey, number: int) -> Decision:
        """Whether the trial, last reported at one of its rungs, goes on."""
        ...

    def take_up(self, key: CohortKey, number: int) -> None:
        """A trial that an earlier session reported is paused."""
        ...

    def promote(self) -> Promotion | None:
        """The paused trial that continues now, if any."""
        ...

    def owed_epochs(self, epochs: int, arm: str | None = None) -> float:
        """About how many epochs are left of what was begun, if nothing new begins.

        Args:
            epochs: Of a whole run.
            arm: Whose; None is all of them.
        """
        ...

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:
        """Note how a trial ended."""
        ...

    def standings(self, arm: str) -> dict[int, Standing]:
        """Where trials without a final score stand, as far as is known before they end."""
        ...
