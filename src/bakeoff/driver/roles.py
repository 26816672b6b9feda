"""Whom the driver asks what runs next, and whom it tells what happens."""

from typing import Protocol

from bakeoff.records import Decision, EpochResult, Promotion, TrialPlan, TrialRecord


class Source(Protocol):
    """Decides what runs next and what may go on: the search, or the confirmation."""

    @property
    def num_left(self) -> int:
        """Runs not yet handed out."""
        ...

    def next(self) -> TrialPlan | None:
        """The next run, or None when none can start now."""
        ...

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become run `number`."""
        ...

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Take up a stored run, in the order of the numbers."""
        ...

    def promote(self) -> Promotion | None:
        """The paused run that continues now, or None; asked before `next`."""
        ...

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Whether the run goes on after this epoch, stops, or pauses until it is promoted."""
        ...

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """A continued run tells an epoch that was decided in an earlier session."""
        ...

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Note how a run ended."""
        ...

    def take_notes(self) -> tuple[str, ...]:
        """What should be told and stored since the last call."""
        ...


class Observer(Protocol):
    """Is told what happens, and shows it."""

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """A run starts or continues."""
        ...

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:
        """A run has completed an epoch."""
        ...

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """A run waits after `epoch`, now or since an earlier session, and may be promoted later."""
        ...

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """A run has ended, now or (restored) in an earlier session."""
        ...

    def note(self, text: str) -> None:
        """Something else the user should know."""
        ...
