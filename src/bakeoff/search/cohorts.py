"""Cohorts: the trials that may fairly be compared before they end.

A cohort is an arm and a schedule: a cosine run looks worse than a constant one until its learning
rate has come down, so the two are never compared halfway.
"""

from collections.abc import Sequence
from typing import Protocol

from bakeoff.ranges import Params
from bakeoff.records import Decision, EpochResult, Promotion, Standing, TrialConfig, TrialRecord

CohortKey = tuple[str, str]
"""Arm and schedule: what must be equal for two trials to be compared early."""


def cohort_key(arm: str, params: Params) -> CohortKey:
    """The cohort of a trial of `arm`."""
    return arm, str(params["scheduler"])


class Cohorts(Protocol):
    """Decides, cohort by cohort, which trials of a study go on."""

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """The epochs after which a trial may be stopped or paused.

        They are never the first epoch, never in warm-up, and never the last epoch, when there is
        nothing left to save.
        """
        ...

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
