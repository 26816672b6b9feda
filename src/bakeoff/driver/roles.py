"""The interfaces that the driver works with: a source of runs, and an observer of events."""

from typing import Protocol

from bakeoff.records import Decision, EpochResult, Promotion, TrialPlan, TrialRecord


class Source(Protocol):
    """Decides which run is next and which runs continue: the search, or the confirmation."""

    @property
    def num_left(self) -> int:
        """Number of runs that have not been started yet."""

    def next(self) -> TrialPlan | None:
        """The next run, or None if no run can start now."""

    def started(self, number: int, plan: TrialPlan) -> None:
        """Note that `plan` was started as run `number`."""

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Restore a stored run and return its plan. Called in the order of the numbers."""

    def promote(self) -> Promotion | None:
        """The paused run that continues now, or None. Called before `next`."""

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Whether the run continues after this epoch, stops, or pauses until it is promoted."""

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Note an epoch of a resumed run that an earlier session already decided on."""

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Note how a run ended."""

    def take_notes(self) -> tuple[str, ...]:
        """Texts to show and store that are new since the last call."""


class Observer(Protocol):
    """Shows the events of a study."""

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """A run starts or continues."""

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:
        """A run has completed an epoch."""

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """A run paused after `epoch`, now or in an earlier session, and may be promoted later."""

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """A run has ended, now or (`restored`) in an earlier session."""

    def note(self, text: str) -> None:
        """Anything else that the user should know."""
