"""The ledger: what each arm may spend, what it was dealt, what it has been charged."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bakeoff.records import TrialRecord


@dataclass(frozen=True, kw_only=True)
class Charges:
    """What an arm has been charged so far: every trial, whatever became of it."""

    trials: int = 0
    epochs: int = 0
    seconds: float = 0.0


@dataclass
class Ledger:
    """The budget of every arm in trials, and what has been charged against it."""

    budget: int
    charges: dict[str, Charges] = field(default_factory=dict)
    dealt: dict[str, int] = field(default_factory=dict)
    """Trials handed out, running ones included."""
    is_closed: bool = False
    """Whether no more are handed out, although budget is left."""

    @classmethod
    def open(cls, arms: Sequence[str], budget: int) -> "Ledger":
        """A ledger in which nothing has been charged."""
        return cls(
            budget=budget, charges=dict.fromkeys(arms, Charges()), dealt=dict.fromkeys(arms, 0)
        )

    def next_arm(self) -> str | None:
        """The arm with the largest deficit, first in order on ties; None if all are spent."""
        arm = max(self.dealt, key=lambda name: self.budget - self.dealt[name])
        return arm if self.deals(arm) else None

    def deals(self, arm: str) -> bool:
        """Whether the arm still draws new trials."""
        return not self.is_closed and self.dealt[arm] < self.budget

    def charge(self, arm: str, record: TrialRecord) -> None:
        """Book a finished trial."""
        before = self.charges[arm]
        self.charges[arm] = Charges(
            trials=before.trials + 1,
            epochs=before.epochs + record.epochs_run,
            seconds=before.seconds + record.train_seconds + record.evaluate_seconds,
        )
