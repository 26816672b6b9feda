"""The ledger: the budget of each arm, the trials it was assigned, and what it has been charged.

Epochs are charged when they are reported. The epochs that a trial may train before its next
decision are reserved beforehand, so a budget in epochs is never exceeded, however many workers
train. An arm begins a trial as long as a whole run fits into its budget besides its pending epochs.
So less than one run of its budget is left at the end.

Seconds are known only afterwards. They are reserved as epochs at the arm's pace so far, and a trial
of an arm that has used up its seconds stops after the current epoch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bakeoff.records import Budget, EpochResult, TrialRecord


@dataclass
class _Account:
    """A trial that is running or paused."""

    arm: str
    reserved_to: int = 0
    """The epoch up to which it trains before its next decision."""
    epoch: int = 0
    """The last epoch that was charged."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Seconds by epoch."""

    @property
    def reserved(self) -> int:
        return max(0, self.reserved_to - self.epoch)


@dataclass(kw_only=True)
class Charges:
    """What an arm has been charged so far, for every trial, whatever its outcome."""

    assigned: int = 0
    """Trials that the arm was assigned, running ones included."""
    trials: int = 0
    """Trials that have ended."""
    epochs: int = 0
    """Epochs of all its trials, unfinished ones included."""
    seconds: float = 0.0
    """Seconds of all its trials, unfinished ones included."""
    reserved: int = 0
    """Epochs that its unfinished trials may train before their next decisions."""

    @property
    def pace(self) -> float:
        """Seconds per epoch so far; 0 before any."""
        return self.seconds / self.epochs if self.epochs else 0.0


class Ledger:
    """The budget of every arm, and what has been charged against it.

    Args:
        arms: Names of the arms; the first one wins a tie.
        budget: The budget of every arm.
        run_epochs: Planned epochs of a run.
    """

    def __init__(self, arms: Sequence[str], budget: Budget, run_epochs: int) -> None:
        self.budget = budget
        self._run_epochs = run_epochs
        self.charges = {arm: Charges() for arm in arms}
        """What each arm has been charged."""
        self._accounts: dict[int, _Account] = {}
        self.is_closed = False
        """Whether no more trials begin, although budget is left."""

    def neediest_first(self) -> list[str]:
        """The arms, the one that has used the smallest share of its budget first."""
        return sorted(self.charges, key=lambda arm: (self._used_share(arm), self.assigned(arm)))

    def assigned(self, arm: str) -> int:
        """Trials that the arm was assigned, running ones included."""
        return self.charges[arm].assigned

    def _used_share(self, arm: str) -> float:
        """The used or reserved share of the budget, in the unit that runs out first."""
        charges, budget, shares = self.charges[arm], self.budget, [0.0]
        if budget.trials is not None:
            shares.append(charges.assigned / budget.trials)
        if budget.epochs is not None:
            shares.append((charges.epochs + charges.reserved) / budget.epochs)
        if budget.seconds is not None:
            shares.append((charges.seconds + charges.reserved * charges.pace) / budget.seconds)
        return max(shares)

    def draws(self, arm: str, pending_epochs: float) -> bool:
        """Whether the arm may begin another trial and train it to its end.

        Args:
            arm: The arm's name.
            pending_epochs: Epochs that its unfinished trials will probably still take.
        """
        charges = self.charges[arm]
        if self.is_closed:
            return False
        if self.budget.trials is not None and charges.assigned >= self.budget.trials:
            return False
        return self._fits(charges, max(pending_epochs, charges.reserved) + self._run_epochs)

    def affords(self, number: int, until: int) -> bool:
        """Whether the arm can pay for trial `number` up to epoch `until`."""
        account = self._accounts[number]
        charges = self.charges[account.arm]
        return self._fits(charges, charges.reserved + until - account.epoch)

    def _fits(self, charges: Charges, epochs: float) -> bool:
        budget = self.budget
        if budget.epochs is not None and charges.epochs + epochs > budget.epochs:
            return False
        return budget.seconds is None or charges.seconds + epochs * charges.pace <= budget.seconds

    def is_used_up(self, arm: str) -> bool:
        """Whether the arm has used up its seconds, so that its trials must stop now."""
        return self.budget.seconds is not None and self.charges[arm].seconds >= self.budget.seconds

    def num_left(self, arm: str) -> int:
        """Trials that the arm will still be assigned; an estimate if the budget has other units."""
        charges, budget, counts = self.charges[arm], self.budget, []
        if self.is_closed:
            return 0
        if budget.trials is not None:
            counts.append(float(budget.trials - charges.assigned))
        used = charges.epochs + charges.reserved
        per_trial = used / charges.assigned if charges.assigned else float(self._run_epochs)
        if budget.epochs is not None:
            counts.append((budget.epochs - used) / per_trial)
        if budget.seconds is not None and charges.pace:
            counts.append((budget.seconds / charges.pace - used) / per_trial)
        return max(0, math.floor(min(counts, default=1.0)))

    def assign(self, arm: str) -> None:
        """The arm is assigned a trial."""
        self.charges[arm].assigned += 1

    def begin(self, number: int, arm: str) -> None:
        """Trial `number` of the arm begins; nothing is reserved for it yet."""
        self._accounts[number] = _Account(arm)

    def charge(self, number: int, result: EpochResult) -> None:
        """Charge an epoch; one that is reported again only has its seconds corrected."""
        account = self._accounts[number]
        charges, seconds = self.charges[account.arm], result.train_seconds + result.evaluate_seconds
        charges.seconds += seconds - account.seconds.get(result.epoch, 0.0)
        account.seconds[result.epoch] = seconds
        if result.epoch > account.epoch:
            before = account.reserved
            charges.epochs += result.epoch - account.epoch
            account.epoch = result.epoch
            charges.reserved += account.reserved - before

    def epoch_of(self, number: int) -> int:
        """The last charged epoch of an unfinished trial."""
        return self._accounts[number].epoch

    def reserve(self, number: int, until: int) -> None:
        """Trial `number` may train to epoch `until`; its present epoch reserves nothing."""
        account = self._accounts[number]
        before = account.reserved
        account.reserved_to = until
        self.charges[account.arm].reserved += account.reserved - before

    def release(self, number: int) -> None:
        """Trial `number` pauses or ends, so it needs no reserved epochs."""
        self.reserve(number, self._accounts[number].epoch)

    def end(self, record: TrialRecord) -> None:
        """Book a trial that has ended as its record says."""
        self.release(record.number)
        account = self._accounts.pop(record.number)
        charges = self.charges[account.arm]
        charges.trials += 1
        charges.epochs += record.epochs_run - account.epoch
        seconds = record.train_seconds + record.evaluate_seconds
        charges.seconds += seconds - sum(account.seconds.values())
