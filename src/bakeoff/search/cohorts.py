"""Cohorts: the trials that may fairly be compared before they end.

A cohort is an arm and a schedule. A cosine run looks worse than a constant one until its learning
rate has come down, so trials with different schedules are never compared halfway.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bakeoff.ranges import Params
from bakeoff.records import (
    Decision,
    EpochResult,
    Promotion,
    Standings,
    TrialConfig,
    TrialRecord,
)

CohortKey = tuple[str, str]
"""Arm and schedule: what must be equal for two trials to be compared early."""


def cohort_key(arm: str, params: Params) -> CohortKey:
    """The cohort of a trial of `arm`."""
    return arm, str(params["scheduler"])


class Cohorts(Protocol):
    """Decides, cohort by cohort, which trials of a study continue."""

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """The epochs after which a trial may be stopped or paused.

        They are never the first epoch, never in warm-up, and never the last epoch, when there is
        nothing left to save.
        """

    def start(self, key: CohortKey, number: int, *, audited: bool = False) -> None:
        """A new trial joins its cohort. An audited trial is exempt from pruning."""

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """Note an epoch; `rungs` are the trial's decision epochs."""

    def decide(self, key: CohortKey, number: int) -> Decision:
        """Decide whether a trial continues that has just reported one of its rungs."""

    def restore_paused(self, key: CohortKey, number: int) -> None:
        """A trial that an earlier session reported is paused."""

    def promote(self) -> Promotion | None:
        """Continue the paused trial whose turn it is, if there is one."""

    def pending_epochs(self, epochs: int, arm: str | None = None) -> float:
        """Estimate how many epochs the unfinished trials still take.

        Args:
            epochs: Planned epochs of a trial.
            arm: The arm whose trials count; None counts all.
        """

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:
        """Note how a trial ended."""

    def ranks(
        self, arm: str, ended: Mapping[int, Standings], *, audited: bool = False
    ) -> dict[int, Standings]:
        """The ranks of an arm's trials for the sampler, by number.

        Args:
            arm: The arm.
            ended: The ranks of the trials that have a final one.
            audited: Whether the trial that is proposed from them is exempt from pruning.
        """
